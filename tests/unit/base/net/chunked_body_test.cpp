#include "base/net/chunked_body.hpp"

#include <gtest/gtest.h>

namespace qscd::net {
namespace {

struct Outcome {
    std::string body;
    unsigned refusal;
    bool complete;
    std::size_t taken;
    bool operator==(const Outcome&) const = default;
};
Outcome read(std::string_view bytes, std::size_t max_bytes, std::size_t step) {
    ChunkedBody chunks{max_bytes};
    Outcome out{};
    while (out.taken < bytes.size()) {
        const auto taken = chunks.take(bytes.substr(out.taken, step), out.body);
        out.taken += taken;
        if (taken == 0 || chunks.complete() || chunks.refusal() != 0) break;
    }
    out.refusal = chunks.refusal();
    out.complete = chunks.complete();
    return out;
}

TEST(ChunkedBody, IsPutTogetherHoweverItsBytesArrive) {
    const std::string_view bytes = "5\r\nhello\r\n0001\r\n \r\nA\r\n0123456789\r\n0\r\n\r\nGET /";
    for (std::size_t step = 1; step <= bytes.size(); ++step)
        EXPECT_EQ(read(bytes, 64, step), (Outcome{"hello 0123456789", 0, true, bytes.size() - 5})) << step;
}

TEST(ChunkedBody, API_05_OfTheLargestSizeIsReadAndOfOneByteMoreIsNot) {
    EXPECT_TRUE(read("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 5, 99).complete);
    EXPECT_EQ(read("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", 5, 99).refusal, 413u);
    EXPECT_EQ(read("6\r\n", 5, 99).refusal, 413u);
    EXPECT_EQ(read("ffffffff\r\n", 5, 99).refusal, 413u);
}

TEST(ChunkedBody, API_04_WithOrnamentsIsRefused) {
    for (const std::string_view bytes :
         {"5;a=b\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
          "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-1\r\n", "\r\n", "5\nhello\r\n",
          "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\r\n", "0\r\nX: y\r\n\r\n", "0\r\n\n", "0\n\n",
          "0;\r\n\r\n", "000000000\r\n\r\n", "g\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n"}) {
        for (const std::size_t step : {1u, 3u, 99u}) {
            const auto outcome = read(bytes, 64, step);
            EXPECT_TRUE(outcome.refusal == 400 || outcome.refusal == 413) << bytes;
            EXPECT_FALSE(outcome.complete) << bytes;
        }
    }
}

}  // namespace
}  // namespace qscd::net
