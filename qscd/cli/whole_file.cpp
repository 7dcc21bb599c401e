#include "qscd/cli/whole_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qscd::cli {
namespace {

constexpr std::size_t block = 1 << 20;

Error failed(std::string_view what, const std::filesystem::path& path) {
    return {Errc::store_away, std::string{what} + " " + path.string() + ": " + std::strerror(errno)};
}

}  // namespace

Result<WholeFile> WholeFile::create(const std::filesystem::path& path) {
    const std::filesystem::path beside{path.string() + ".new"};
    Descriptor file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file || ::fchmod(file.get(), 0600) != 0) return failed("create", beside);
    return WholeFile{path, beside, std::move(file)};
}

WholeFile::~WholeFile() {
    if (file_) ::unlink(beside_.c_str());
}

Result<void> WholeFile::write(std::string_view text) {
    waiting_ += text;
    return waiting_.size() < block ? Result<void>{success()} : flush();
}

Result<void> WholeFile::flush() {
    for (std::string_view rest = waiting_; !rest.empty();) {
        const auto count = ::write(file_.get(), rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed("write", beside_);
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    waiting_.clear();
    return success();
}

Result<void> WholeFile::finish() {
    QSCD_TRY(flush());
    if (::fsync(file_.get()) != 0) return failed("fsync", beside_);
    if (::rename(beside_.c_str(), path_.c_str()) != 0) return failed("rename", path_);
    file_ = Descriptor{};
    const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path{"."};
    const Descriptor at{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!at || ::fsync(at.get()) != 0) return failed("fsync", folder);
    return success();
}

}  // namespace qscd::cli
