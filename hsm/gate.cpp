#include "hsm/gate.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>

namespace qscd::hsm {
namespace {

constexpr std::size_t deepest = 8;  // a job of one module that uses another's: two, never many

// The gates that this thread is inside of, once for each time it entered. Without a destructor: objects that end with the
// process pass gates when the thread's own are gone.
struct Entered {
    std::array<const Gate*, deepest> gates;
    std::size_t count;
    std::span<const Gate*> all() { return {gates.data(), count}; }
};
Entered& entered() {
    thread_local constinit Entered here{};
    return here;
}

}  // namespace

void Gate::lock_shared() {
    auto& mine = entered();
    if (mine.count == deepest) throw std::logic_error{"a thread inside of too many modules"};
    {
        std::unique_lock guard{lock_};
        // Who is inside already must not wait for a closing that waits for it.
        if (std::ranges::count(mine.all(), this) == 0) changed_.wait(guard, [&] { return !closed_; });
        ++inside_;
    }
    mine.gates[mine.count++] = this;
}

void Gate::unlock_shared() {
    auto& mine = entered();
    *std::ranges::find(mine.all(), this) = mine.gates[mine.count - 1];
    --mine.count;
    const std::lock_guard guard{lock_};
    if (--inside_ == 0 && closed_) changed_.notify_all();
}

bool Gate::try_close_for(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::unique_lock guard{lock_};
    if (!changed_.wait_until(guard, deadline, [&] { return !closed_; })) return false;
    closed_ = true;
    if (changed_.wait_until(guard, deadline, [&] { return inside_ == 0; })) return true;
    closed_ = false;
    changed_.notify_all();
    return false;
}

void Gate::open() {
    const std::lock_guard guard{lock_};
    closed_ = false;
    changed_.notify_all();
}

}  // namespace qscd::hsm
