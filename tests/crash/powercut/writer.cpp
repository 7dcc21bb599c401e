// A program to cut the power of: it writes below FOLDER as MODE says, prints one line for each thing it believes durable,
// and goes on until it is killed.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <unistd.h>

#include "base/file.hpp"
#include "base/store/database.hpp"

namespace {

namespace fs = std::filesystem;
using qscd::Descriptor;

constexpr std::size_t block = 4096;

void write_block(const Descriptor& file, char letter) {
    const std::string text(block, letter);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(2);
}
Descriptor created(const fs::path& path) {
    return Descriptor{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
}
void sync_folder(const fs::path& folder) { ::fsync(Descriptor{::open(folder.c_str(), O_RDONLY | O_DIRECTORY)}.get()); }
void say(const std::string& text) { std::cout << text << std::endl; }
[[noreturn]] void wait() {
    for (;;) ::pause();
}

void written(const fs::path& folder, bool sync_file, bool sync_name) {
    const auto file = created(folder / "file");
    for (char letter = 'a'; letter < 'i'; ++letter) write_block(file, letter);
    if (sync_file) ::fsync(file.get());
    if (sync_name) sync_folder(folder);
    say("written");
    wait();
}

// "old" was there and synced; "new" takes its place.
void renamed(const fs::path& folder, bool sync_name) {
    for (const char* name : {"place", "draft"}) {
        const auto file = created(folder / name);
        write_block(file, name[0]);
        ::fsync(file.get());
        if (std::string{name} == "place") sync_folder(folder);
    }
    fs::rename(folder / "draft", folder / "place");
    if (sync_name) sync_folder(folder);
    say("renamed");
    wait();
}

// One row a commit, for ever. SQLite does not sync a new database's name: its journal's sync does.
void commits(const fs::path& folder, const char* synchronous) {
    auto opened = qscd::store::Database::open(folder / "store.sqlite");
    if (!opened) ::_exit(3);
    auto& database = *opened.value();
    if (!database.execute(std::string{"PRAGMA synchronous="} + synchronous)) ::_exit(3);
    if (!database.execute("CREATE TABLE IF NOT EXISTS one (number BIGINT PRIMARY KEY, text TEXT)")) ::_exit(3);
    for (std::int64_t number = 1;; ++number) {
        if (!database.execute("INSERT INTO one (number, text) VALUES ($1, $2)", {number, std::string(300, 'x')}))
            ::_exit(4);
        say(std::to_string(number));
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 1;
    const std::string mode{argv[1]};
    const fs::path folder{argv[2]};
    if (mode == "write") written(folder, false, true);
    if (mode == "write-sync") written(folder, true, true);
    if (mode == "write-sync-nameless") written(folder, true, false);
    if (mode == "rename") renamed(folder, false);
    if (mode == "rename-sync") renamed(folder, true);
    if (mode == "commit") commits(folder, "FULL");
    if (mode == "commit-unsynced") commits(folder, "OFF");
    return 1;
}
