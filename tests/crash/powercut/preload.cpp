// libqscd-powercut: preloaded into a program, it keeps a Shadow of what the program synced below the folders of
// QSCD_POWERCUT_ROOT (colons between) in QSCD_POWERCUT_SHADOW. The syncs themselves go through. Each of them is the crash
// point that QSCD_POWERCUT_POINT names: the program dies when all is written and nothing synced. QSCD_POWERCUT_PLANT=lying-sync forgets
// three syncs in four: the planted bug that a harness must find.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.hpp"
#include "tests/crash/powercut/shadow.hpp"

namespace {

using qscd::crash::Shadow;

const Shadow* shadow() {
    static const Shadow* const one = [] {
        const char *root = std::getenv("QSCD_POWERCUT_ROOT"), *place = std::getenv("QSCD_POWERCUT_SHADOW");
        return root != nullptr && place != nullptr ? new Shadow{Shadow::roots_in(root), place} : nullptr;
    }();
    return one;
}

bool forgets() {
    static const bool lies = [] {
        const char* plant = std::getenv("QSCD_POWERCUT_PLANT");
        return plant != nullptr && std::strcmp(plant, "lying-sync") == 0;
    }();
    static std::atomic<unsigned> count = 0;
    return lies && ++count % 4 != 0;
}

std::mutex& one_at_a_time() {
    static auto* lock = new std::mutex;  // threads may still sync while the process ends
    return *lock;
}

// An instrument that sees less than the disk would be worse than none.
[[noreturn]] void blind(const char* what) {
    (void)!::write(STDERR_FILENO, what, std::strlen(what));
    std::abort();
}

void remember(int file) {
    const auto* watched = shadow();
    if (watched == nullptr) return;
    const int before = errno;
    std::string path(4096, '\0');
    const auto size = ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path.data(), path.size());
    path.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    struct stat state{};
    if (watched->watches(path) && ::fstat(file, &state) == 0) {
        static const char* const point = std::getenv("QSCD_POWERCUT_POINT");
        if (point != nullptr) qscd::crash_point(point);
        if (forgets()) {
            errno = before;
            return;
        }
        const std::lock_guard alone{one_at_a_time()};
        const bool good = S_ISDIR(state.st_mode)   ? watched->sync_names(path)
                          : S_ISREG(state.st_mode) ? watched->sync_content(file)
                                                   : true;
        if (!good) blind("powercut: the shadow cannot be written\n");
    }
    errno = before;
}

void remember_all() {
    const auto* watched = shadow();
    if (watched == nullptr) return;
    const std::lock_guard alone{one_at_a_time()};
    if (!watched->sync_all()) blind("powercut: the shadow cannot be written\n");
}

template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// Before the sync returns, so that whatever it promised is in the shadow.
extern "C" {

int fsync(int file) {
    static auto* const real = next<int(int)>("fsync");
    remember(file);
    return real(file);
}

int fdatasync(int file) {
    static auto* const real = next<int(int)>("fdatasync");
    remember(file);
    return real(file);
}

int syncfs(int file) noexcept {
    static auto* const real = next<int(int)>("syncfs");
    remember_all();
    return real(file);
}

void sync() noexcept {
    static auto* const real = next<void()>("sync");
    remember_all();
    real();
}

}  // extern "C"
