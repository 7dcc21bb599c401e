// Makes durable what a software module wrote and did not sync: exactly the files that changed, as inotify(7) names them,
// however many keys lie beside them. Where inotify is not to be had, or lost count, or a folder was exchanged, all files
// that changed since the last sync are found by their times.
// Sees what this host writes with write(2), or maps and closes. Thread rules: safe from every thread; who returns from
// sync() finds synced whatever was written before it was called, whichever thread did it. Private to the room.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <sys/types.h>

#include "base/file.hpp"

namespace qscd::hsm {

class DurableFolder {
public:
    // Watches from now on. Whoever wrote before may have been killed before it could sync: the first sync() is of
    // everything. Without it a power cut could bring back what this process has not seen.
    explicit DurableFolder(std::filesystem::path folder);

    // Errc::store_away: a folder that cannot be read now, or a sync that the disk refused; after the latter always.
    Result<void> sync();

private:
    struct Watched {
        std::filesystem::path path;
        ::dev_t device;
        ::ino_t inode;
    };
    struct Changes {
        std::set<std::filesystem::path> files, folders;
        bool lost = false;  // events or folders were missed: look at everything
    };

    bool watch(const std::filesystem::path& folder);
    void watch_all();
    bool watches_what_is_there() const;
    Changes drain();
    Result<void> sync_all();
    Result<void> sync_changed(const Changes& changes);
    Result<void> sync_file(const std::filesystem::path& path);
    Result<void> sync_folder(const std::filesystem::path& path);
    Result<void> refused(std::string_view what, const std::filesystem::path& path);

    std::filesystem::path folder_;
    std::filesystem::file_time_type complete_;  // everything older is synced
    bool first_ = true;
    std::mutex lock_;
    Descriptor events_;
    std::map<int, Watched> watches_;
    std::set<std::filesystem::path> empty_;  // lock files, synced once as such: nothing in them to sync again
    bool broken_ = false, said_ = false;
};

}  // namespace qscd::hsm
