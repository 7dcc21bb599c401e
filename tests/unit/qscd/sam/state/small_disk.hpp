// A file system of a test's own, so small that a test fills it. Where nobody may mount one, made() is false.
// Thread rules: one thread.
#pragma once

#include <filesystem>
#include <sys/mount.h>

#include "base/file.hpp"

namespace qscd::sam {

class SmallDisk {
public:
    explicit SmallDisk(std::filesystem::path at) : at_(std::move(at)) {
        std::filesystem::create_directories(at_);
        made_ = ::mount("tmpfs", at_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=0700") == 0;
    }
    ~SmallDisk() {
        if (made_) ::umount2(at_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    bool made() const { return made_; }
    const std::filesystem::path& path() const { return at_; }
    void fill() {
        const Descriptor file{::open(ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
        const Bytes page(4096);
        while (::write(file.get(), page.data(), page.size()) > 0) continue;
    }
    void empty() { std::filesystem::remove(ballast()); }
    // False: somebody has a file open for writing.
    bool set_read_only(bool on) {
        return ::mount("tmpfs", at_.c_str(), "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV | (on ? MS_RDONLY : 0u),
                       "size=16m") == 0;
    }

private:
    std::filesystem::path ballast() const { return at_ / "ballast"; }
    std::filesystem::path at_;
    bool made_ = false;
};

}  // namespace qscd::sam
