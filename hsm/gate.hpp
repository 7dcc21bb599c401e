// The gate before a module: many calls may be inside at once, and C_Finalize only when none is. [pkcs11 2.40, 5.4]
// Thread rules: safe from every thread. A thread that is inside may enter again; it leaves as often as it entered.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace qscd::hsm {

class Gate {
public:
    // For std::shared_lock. Who comes while it is being closed waits outside, so that it does become empty.
    void lock_shared();
    void unlock_shared();

    // True: the caller is alone inside, until open(). False: somebody stayed inside for so long, a call that does not
    // return, and the gate is open again: what hangs on one token must not stop the others of its module.
    bool try_close_for(std::chrono::milliseconds patience);
    void open();

private:
    std::mutex lock_;
    std::condition_variable changed_;
    unsigned inside_ = 0;
    bool closed_ = false;
};

}  // namespace qscd::hsm
