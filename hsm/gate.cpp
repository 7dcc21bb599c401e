#include "hsm/gate.hpp"

#include <algorithm>
#include <vector>

namespace qscd::hsm {
namespace {

// The gates that this thread is inside of, once for each time it entered.
std::vector<const Gate*>& entered() {
    thread_local std::vector<const Gate*> all;
    return all;
}

}  // namespace

void Gate::lock_shared() {
    auto& mine = entered();
    {
        std::unique_lock guard{lock_};
        // Who is inside already must not wait for a closing that waits for it.
        if (std::ranges::count(mine, this) == 0) changed_.wait(guard, [&] { return !closed_; });
        ++inside_;
    }
    mine.push_back(this);
}

void Gate::unlock_shared() {
    auto& mine = entered();
    mine.erase(std::ranges::find(mine, this));
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
