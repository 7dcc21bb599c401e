#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.hpp"

// A release binary must not hold this symbol; tests/architecture looks for it.
extern "C" {
extern const char qscd_test_crash_marker[];
const char qscd_test_crash_marker[] = "qscd test crash points";
}

namespace qscd {
namespace {

// Passages count from when the file appeared; another file, another count.
struct Passages {
    std::mutex lock;
    ino_t file = 0;
    timespec written{};
    unsigned long count = 0;
};

Passages& passages() {
    static auto* one = new Passages;  // threads may still pass while the process ends
    return *one;
}

}  // namespace

void crash_point(std::string_view name) noexcept {
    const char* path = std::getenv("QSCD_TEST_CRASH_FILE");
    if (path == nullptr) return;
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    std::array<char, 128> text{};
    const auto size = ::read(file, text.data(), text.size());
    struct stat state{};
    const bool known = ::fstat(file, &state) == 0;
    ::close(file);
    if (size <= 0 || !known) return;
    const std::string_view wanted{text.data(), static_cast<std::size_t>(size)};
    const auto colon = wanted.find(':');
    if (colon == std::string_view::npos || wanted.substr(0, colon) != name) return;
    unsigned long at = 0;
    std::from_chars(wanted.data() + colon + 1, wanted.data() + wanted.size(), at);
    auto& seen = passages();
    {
        const std::lock_guard one{seen.lock};
        const bool same = seen.file == state.st_ino && seen.written.tv_sec == state.st_mtim.tv_sec &&
                          seen.written.tv_nsec == state.st_mtim.tv_nsec;
        if (!same) {
            seen.file = state.st_ino;
            seen.written = state.st_mtim;
            seen.count = 0;
        }
        if (++seen.count != at) return;
    }
    if (::unlink(path) != 0) return;  // another process was first
    ::kill(::getpid(), SIGKILL);
    ::_exit(128 + SIGKILL);  // where a filter forbids the call
}

}  // namespace qscd
