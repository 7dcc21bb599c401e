// The instrument itself: a program that writes without a sync is seen to lose data, one that syncs is not.
#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/store/database.hpp"
#include "tests/crash/powercut/possible_disk.hpp"

namespace qscd::crash {
namespace {

namespace fs = std::filesystem;

class Folder {
public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "qscd-powercut-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"a temporary folder"};
        top_ = fs::canonical(pattern);
        fs::create_directory(top_ / "disk");
    }
    ~Folder() { fs::remove_all(top_); }
    fs::path disk() const { return top_ / "disk"; }
    Shadow shadow() const { return {{disk()}, top_ / "shadow"}; }

private:
    fs::path top_;
};

// Runs the writer until it has said `lines` lines, and kills it. What it said last.
std::string killed_writer(const Folder& folder, const std::string& mode, int lines, const char* plant = nullptr) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error{"pipe"};
    const auto child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::close(ends[0]);
        ::setenv("LD_PRELOAD", QSCD_POWERCUT, 1);
        ::setenv("QSCD_POWERCUT_ROOT", folder.disk().c_str(), 1);
        ::setenv("QSCD_POWERCUT_SHADOW", folder.shadow().place().c_str(), 1);
        if (plant != nullptr) ::setenv("QSCD_POWERCUT_PLANT", plant, 1);
        ::execl(QSCD_POWERCUT_WRITER, QSCD_POWERCUT_WRITER, mode.c_str(), folder.disk().c_str(), nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    std::string text;
    char some[256];
    const auto complete = [&] { return std::ranges::count(text, '\n') >= lines; };
    for (ssize_t count = 0; !complete() && (count = ::read(ends[0], some, sizeof some)) > 0;)
        text.append(some, static_cast<std::size_t>(count));
    ::kill(child, SIGKILL);
    for (ssize_t count = 0; (count = ::read(ends[0], some, sizeof some)) > 0;)
        text.append(some, static_cast<std::size_t>(count));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!complete() || !WIFSIGNALED(status)) throw std::runtime_error{"the writer ended by itself: " + text};
    text.resize(text.find_last_of('\n'));
    return text.substr(text.find_last_of('\n') + 1);
}

std::string expected_content() {
    std::string out;
    for (char letter = 'a'; letter < 'i'; ++letter) out.append(4096, letter);
    return out;
}

std::string content_of(const fs::path& path) {
    auto text = read_file(path);
    return text ? text.value() : "";
}

// How many of so many power cuts lose what the writer believed durable.
template <class Intact>
int lost(const std::string& mode, int lines, int cuts, Intact intact, const char* plant = nullptr) {
    int out = 0;
    for (int seed = 0; seed < cuts; ++seed) {
        const Folder folder;
        EXPECT_TRUE(folder.shadow().sync_all());
        const auto said = killed_writer(folder, mode, lines, plant);
        std::mt19937_64 random{static_cast<std::uint64_t>(seed)};
        cut_power(folder.shadow(), random);
        out += intact(folder.disk(), said) ? 0 : 1;
    }
    return out;
}

bool has_file(const fs::path& disk, const std::string&) { return content_of(disk / "file") == expected_content(); }
bool is_new(const fs::path& disk, const std::string&) {
    return content_of(disk / "place") == std::string(4096, 'd') && !fs::exists(disk / "draft");
}
bool is_old_or_new(const fs::path& disk, const std::string&) {
    const auto place = content_of(disk / "place");
    return place == std::string(4096, 'd') || place == std::string(4096, 'p');
}
bool has_commits(const fs::path& disk, const std::string& said) {
    auto database = store::Database::open(disk / "store.sqlite");
    if (!database) return false;
    const auto checked = database.value()->query("PRAGMA integrity_check");
    const auto rows = database.value()->query("SELECT number FROM one ORDER BY number");
    if (!checked || !rows || store::text(checked.value().at(0).at(0)) != "ok") return false;
    std::int64_t next = 1;
    for (const auto& row : rows.value())
        if (store::integer(row.at(0)) != next++) return false;
    return next > std::stoll(said);
}

TEST(PowerCut, LosesWhatWasNotSynced) { EXPECT_GT(lost("write", 1, 20, has_file), 10); }
TEST(PowerCut, LosesNothingThatWasSynced) { EXPECT_EQ(lost("write-sync", 1, 20, has_file), 0); }
TEST(PowerCut, LosesANameWhoseFolderWasNotSynced) {
    const auto times = lost("write-sync-nameless", 1, 20, has_file);
    EXPECT_GT(times, 2);
    EXPECT_LT(times, 18);
}
TEST(PowerCut, UndoesARenameWhollyOrNotAtAll) {
    EXPECT_EQ(lost("rename", 1, 20, is_old_or_new), 0);
    const auto times = lost("rename", 1, 20, is_new);
    EXPECT_GT(times, 2);
    EXPECT_LT(times, 18);
    EXPECT_EQ(lost("rename-sync", 1, 20, is_new), 0);
}
TEST(PowerCut, OfADatabaseThatSyncsItsCommitsLosesNone) { EXPECT_EQ(lost("commit", 40, 20, has_commits), 0); }
TEST(PowerCut, OfADatabaseThatSyncsBetweenWhichItMovesItsJournalLosesNone) {
    EXPECT_EQ(lost("commit", 700, 3, has_commits), 0);
}
TEST(PowerCut, OfADatabaseThatDoesNotSyncIsSeen) { EXPECT_GT(lost("commit-unsynced", 40, 20, has_commits), 10); }
TEST(PowerCut, OfADiskThatLiesAboutSyncsIsSeen) { EXPECT_GT(lost("commit", 40, 20, has_commits, "lying-sync"), 2); }

// The same seed, the same loss: what a harness finds can be looked at again.
TEST(PowerCut, RepeatsItselfFromItsSeed) {
    std::vector<std::string> found;
    for (int i = 0; i < 2; ++i) {
        const Folder folder;
        ASSERT_TRUE(folder.shadow().sync_all());
        killed_writer(folder, "write", 1);
        std::mt19937_64 random{7};  // NOLINT(cert-msc51-cpp,cert-msc32-c): the same each time is the point
        const auto loss = cut_power(folder.shadow(), random);
        EXPECT_GT(loss.total(), 0U);
        found.push_back(content_of(folder.disk() / "file"));
    }
    EXPECT_EQ(found[0], found[1]);
}

}  // namespace
}  // namespace qscd::crash
