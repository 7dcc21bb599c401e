// Files that must be whole or absent. All functions name the path in their error's detail. Thread rules: none shared.
#pragma once

#include <chrono>
#include <filesystem>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace qscd {

// An owned file descriptor.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor();
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16 << 20);

// Write beside, fsync, rename, fsync the folder: after success the new content survives a power cut, before it the old.
Result<void> write_file(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);

// fsync of each regular file below `folder` that changed at or after `since`, and of the folders themselves.
Result<void> sync_changes(const std::filesystem::path& folder, std::chrono::file_clock::time_point since);

}  // namespace qscd
