// What is synced, as the kernel is asked for it: this program's own fsync and fdatasync stand before the library's.
#include "hsm/durable_folder.hpp"

#include <cerrno>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <latch>
#include <sys/syscall.h>
#include <thread>

#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace {

std::mutex lock;
std::vector<std::filesystem::path> synced;
std::atomic<bool> disk_is_broken = false, watching_is_refused = false;

int record(int descriptor, long call) {
    if (disk_is_broken) {
        errno = EIO;
        return -1;
    }
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor));
    const auto result = static_cast<int>(::syscall(call, descriptor));
    const std::lock_guard guard{lock};
    synced.push_back(path);
    return result;
}

}  // namespace

extern "C" int inotify_init1(int flags) noexcept {
    if (watching_is_refused) {
        errno = EPERM;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_inotify_init1, flags));
}
extern "C" int fsync(int descriptor) { return record(descriptor, SYS_fsync); }
extern "C" int fdatasync(int descriptor) { return record(descriptor, SYS_fdatasync); }

namespace qscd::hsm {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

std::vector<fs::path> taken() {
    const std::lock_guard guard{lock};
    return std::exchange(synced, {});
}

struct DurableFolderTest : ::testing::Test {
    fs::path folder = fs::temp_directory_path() / ("qscd-durable-" + std::to_string(::getpid()));
    fs::path token = folder / "token";
    std::unique_ptr<DurableFolder> durable;

    void SetUp() override {
        fs::remove_all(folder);
        fs::create_directories(token);
        for (int i = 0; i < 100; ++i) write("object" + std::to_string(i), "old");
        durable = std::make_unique<DurableFolder>(folder);
        ASSERT_TRUE(durable->sync());
        taken();
    }
    void TearDown() override {
        disk_is_broken = watching_is_refused = false;
        fs::remove_all(folder);
    }
    void write(const fs::path& name, std::string_view text) const { std::ofstream{token / name} << text; }
};

// Whoever wrote it may have been killed before it could.
TEST_F(DurableFolderTest, TheFirstSyncIsOfAllThatWasThereBefore) {
    DurableFolder fresh{folder};
    ASSERT_TRUE(fresh.sync());
    const auto all = taken();
    EXPECT_THAT(all, IsSupersetOf({folder, token, token / "object0", token / "object99"}));
    EXPECT_EQ(all.size(), 102U);
    ASSERT_TRUE(fresh.sync());
    EXPECT_THAT(taken(), IsEmpty());
}

TEST_F(DurableFolderTest, SyncsTheFileThatChangedAndNothingElse) {
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), IsEmpty()) << "what was written before is the business of whoever wrote it";
    write("object7", "new");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), ElementsAre(token / "object7"));
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), IsEmpty());
}

TEST_F(DurableFolderTest, SyncsTheFolderOfWhatIsMadeRenamedAndDestroyed) {
    write("fresh", "x");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), UnorderedElementsAre(token / "fresh", token));
    fs::rename(token / "fresh", token / "renamed");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), UnorderedElementsAre(token / "renamed", token));
    fs::remove(token / "renamed");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), ElementsAre(token));
}

TEST_F(DurableFolderTest, ALockFileIsSyncedOnceAndThenOnlyWithContent) {
    write("a.lock", "");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), UnorderedElementsAre(token / "a.lock", token));
    for (int i = 0; i < 3; ++i) {
        write("a.lock", "");
        ASSERT_TRUE(durable->sync());
        EXPECT_THAT(taken(), IsEmpty());
    }
    for (const auto* text : {"content", "", "content"}) {
        write("a.lock", text);
        ASSERT_TRUE(durable->sync());
        EXPECT_THAT(taken(), ElementsAre(token / "a.lock")) << "emptying it is a change too";
    }
}

TEST_F(DurableFolderTest, AFolderThatIsNewIsSyncedWithAllThatIsInIt) {
    fs::create_directories(folder / "second");
    std::ofstream{folder / "second" / "object"} << "x";
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), IsSupersetOf({folder, folder / "second", folder / "second" / "object"}));
    std::ofstream{folder / "second" / "object"} << "y";
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), ElementsAre(folder / "second" / "object")) << "and watched from then on";
}

TEST_F(DurableFolderTest, AFolderInAnothersPlaceIsSeen) {
    fs::copy(token, folder / "copy");
    ASSERT_TRUE(durable->sync());
    fs::rename(token, folder.string() + "-old");
    fs::rename(folder / "copy", token);
    write("object1", "new");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), Contains(token / "object1"));
    fs::remove_all(folder.string() + "-old");

    // The watched folder itself, as a restored backup would.
    fs::copy(folder, folder.string() + "-copy", fs::copy_options::recursive);
    fs::rename(folder, folder.string() + "-old");
    fs::rename(folder.string() + "-copy", folder);
    taken();
    write("object2", "new");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), Contains(token / "object2"));
    fs::remove_all(folder.string() + "-old");
}

TEST_F(DurableFolderTest, LosingCountOfTheEventsLosesNoFile) {
    std::size_t room = 0;
    std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> room;
    if (room == 0 || room > 100'000) GTEST_SKIP() << "the kernel's queue is too long to fill: " << room;
    write("object3", "new");
    std::array<std::ofstream, 2> files{std::ofstream{token / "object4"}, std::ofstream{token / "object5"}};
    for (std::size_t i = 0; i <= room; ++i) files[i % 2] << i << std::flush;  // two by turns: equal ones are merged
    write("object6", "new");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), IsSupersetOf({token / "object3", token / "object4", token / "object5", token / "object6"}));
    write("object7", "new");
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), ElementsAre(token / "object7"));
}

TEST_F(DurableFolderTest, WhereWatchingIsRefusedChangesAreFoundByTheirTimes) {
    watching_is_refused = true;
    durable = std::make_unique<DurableFolder>(folder);
    const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours{1};
    for (const auto& each : fs::directory_iterator{token}) fs::last_write_time(each, long_ago);
    ASSERT_TRUE(durable->sync());
    taken();
    write("object1", "new");
    write("fresh", "x");
    EXPECT_TRUE(durable->sync());
    EXPECT_THAT(taken(), UnorderedElementsAre(token / "object1", token / "fresh", token, folder));
    write("object1", "newer");
    EXPECT_TRUE(durable->sync());
    EXPECT_THAT(taken(), Contains(token / "object1"));
    watching_is_refused = false;
    EXPECT_TRUE(durable->sync());
    write("object2", "new");
    taken();
    EXPECT_TRUE(durable->sync());
    EXPECT_THAT(taken(), ElementsAre(token / "object2")) << "allowed again: watched again";
}

TEST_F(DurableFolderTest, ADiskThatRefusedOnceIsNotBelievedAgain) {
    write("object1", "new");
    disk_is_broken = true;
    EXPECT_EQ(durable->sync().error().code, Errc::store_away);
    disk_is_broken = false;
    EXPECT_EQ(durable->sync().error().code, Errc::store_away) << "the kernel tells of lost data only once";
}

TEST_F(DurableFolderTest, AFolderThatIsAwayMayComeBackAndThenEverythingIsSynced) {
    write("object1", "new");
    const fs::path away = folder.string() + "-away";
    fs::rename(folder, away);
    EXPECT_EQ(durable->sync().error().code, Errc::store_away);
    EXPECT_EQ(durable->sync().error().code, Errc::store_away);
    fs::rename(away, folder);
    ASSERT_TRUE(durable->sync());
    EXPECT_THAT(taken(), Contains(token / "object1"));
}

TEST_F(DurableFolderTest, WhoeverReturnsFindsItsOwnFileSynced) {
    constexpr int threads = 8;
    std::latch together{threads};
    std::atomic<int> missing = 0;
    std::vector<std::jthread> writers;
    for (int i = 0; i < threads; ++i)
        writers.emplace_back([&, i] {
            together.arrive_and_wait();
            for (int round = 0; round < 20; ++round) {
                const auto name = "own" + std::to_string(i) + "-" + std::to_string(round);
                write(name, "x");
                if (!durable->sync()) ++missing;
                const std::lock_guard guard{lock};
                if (std::ranges::count(synced, token / name) == 0) ++missing;
            }
        });
    writers.clear();
    EXPECT_EQ(missing, 0);
}

// The files that a call changed, and that it synced them all: on a real SoftHSM2, which syncs nothing itself.
struct SoftHsmIsDurable : ::testing::Test {
    SoftToken place{"durable-token"};
    std::shared_ptr<Module> module = place.load().value();
    std::unique_ptr<Token> token;
    void SetUp() override {
        ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
        token = SoftToken::open(module, "sam", 1).value();
        ASSERT_TRUE(token->generate(KeyKind::p256, random_fixed<CkaId>(), "first"));
        taken();
    }
    std::map<fs::path, std::string> files() const {
        std::map<fs::path, std::string> out;
        for (const auto& each : fs::recursive_directory_iterator{place.tokens()})
            if (each.is_regular_file()) out.emplace(each.path(), read_file(each.path()).value());
        return out;
    }
    // What `change` did to the files must be in what was synced.
    template <class Change>
    void expect_durable(Change change) {
        const auto before = files();
        taken();
        change();
        const auto paths = taken();
        for (const auto& [path, content] : files()) {
            const auto known = before.find(path);
            if (known != before.end() && known->second == content) continue;
            EXPECT_THAT(paths, Contains(path));
            if (known == before.end()) EXPECT_THAT(paths, Contains(path.parent_path()));
        }
        for (const auto& [path, content] : before)
            if (!fs::exists(path)) EXPECT_THAT(paths, Contains(path.parent_path()));
        EXPECT_FALSE(paths.empty());
    }
};

TEST_F(SoftHsmIsDurable, WhenAKeyIsMadeAndDestroyed) {
    const auto id = random_fixed<CkaId>(), secret = random_fixed<CkaId>();
    expect_durable([&] { ASSERT_TRUE(token->generate(KeyKind::p256, id, "x")); });
    expect_durable([&] { ASSERT_TRUE(token->generate_hmac_key(secret, "x")); });
    expect_durable([&] { ASSERT_TRUE(token->create_data("genesis", view_of("x"))); });
    expect_durable([&] { ASSERT_TRUE(token->destroy(id)); });
    expect_durable([&] { ASSERT_TRUE(token->destroy(secret)); });
}

TEST_F(SoftHsmIsDurable, WhenAnAnchorIsWritten) {
    for (const auto form : {Anchors::Form::label, Anchors::Form::numbered}) {
        auto anchors = Anchors::open(*token, form == Anchors::Form::label ? "a" : "b").value();
        expect_durable([&] { ASSERT_TRUE(anchors.create(view_of("genesis"), form)); });
        for (int i = 0; i < 4; ++i) {
            taken();
            const auto before = files();
            ASSERT_TRUE(anchors.write(view_of("head " + std::to_string(i))));
            if (form == Anchors::Form::label) {
                const auto paths = taken();
                ASSERT_EQ(paths.size(), 1u) << "one file, one sync";
                EXPECT_NE(before.at(paths[0]), read_file(paths[0]).value());
            }
        }
    }
}

TEST_F(SoftHsmIsDurable, AnAnchorThatCouldNotBeSyncedIsNotAnswered) {
    auto anchors = Anchors::open(*token, "a").value();
    ASSERT_TRUE(anchors.create(view_of("genesis")));
    disk_is_broken = true;
    const auto written = anchors.write(view_of("one"));
    disk_is_broken = false;
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, Errc::store_away);
    EXPECT_EQ(anchors.write(view_of("two")).error().code, Errc::store_away);
}

}  // namespace
}  // namespace qscd::hsm
