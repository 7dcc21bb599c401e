#include "ades/content.hpp"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qscd::ades {
namespace {

struct InAFolder : ::testing::Test {
    std::filesystem::path folder = std::filesystem::path{::testing::TempDir()} / "qscd-content-XXXXXX";
    void SetUp() override {
        auto pattern = folder.string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
};

TEST_F(InAFolder, DigestOfAFileIsThatOfItsBytes) {
    for (const std::size_t size : {0U, 1U, (1U << 18) - 1, 1U << 18, (1U << 18) + 1, 1'000'000U}) {
        const std::string text(size, 'q');
        std::ofstream{folder / "document", std::ios::binary} << text;
        for (const auto& row : hash_rows)
            EXPECT_EQ(digest_file(folder / "document", row.algorithm).value(), digest(row.algorithm, view_of(text)));
    }
}

TEST_F(InAFolder, DigestNamesTheFileThatCannotBeRead) {
    for (const auto& path : {folder / "absent", folder}) {
        const auto out = digest_file(path, HashAlgorithm::sha256);
        ASSERT_FALSE(out);
        EXPECT_EQ(out.error().code, Errc::parameter_invalid);
        EXPECT_THAT(out.error().detail, ::testing::HasSubstr(path.string()));
    }
}

TEST(ContentHashed, AnswersForItsOwnHashOnly) {
    const auto content = content_hashed(HashAlgorithm::sha256, Bytes(32, 1));
    EXPECT_EQ(content(HashAlgorithm::sha256).value(), Bytes(32, 1));
    EXPECT_EQ(content(HashAlgorithm::sha384).error().code, Errc::not_supported);
}

}  // namespace
}  // namespace qscd::ades
