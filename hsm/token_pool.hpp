// A token's threads, their sessions, and the keeper that brings the token back when it went away. Private to the room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "hsm/breaker.hpp"
#include "hsm/session.hpp"
#include "hsm/token.hpp"

namespace qscd::hsm {

struct Token::Pool {
    Pool(std::shared_ptr<Module> on, std::string named, SecretBytes pin, Admission wanted)
        : module_(std::move(on)), label_(std::move(named)), login_(std::move(pin)), admission_(std::move(wanted)) {}
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // Looks for the token before any other thread works: a search beside a module that writes its first objects has been
    // seen to fail their making. Fewer threads than asked for where the token gives fewer sessions.
    Result<void> start(unsigned count);
    void post(std::function<void(Session&)> job);

    // Errc::token_away while the breaker is open.
    Result<void> admits() const;
    // The same; otherwise a session that is logged in.
    Result<void> admit(Session& session);
    // Tells the breaker of a job's answer, and drops a session that may be the cause.
    void report(Session& session, const Error* failed);
    template <class T>
    Result<T> watch(Session& session, Result<T> result) {
        report(session, result ? nullptr : &result.error());
        return result;
    }

    bool serves() const { return serves_; }
    bool wait_until_serving(std::chrono::milliseconds patience) const;
    Counters counters() const;
    unsigned workers() const { return static_cast<unsigned>(threads_.size()); }

private:
    void serve();
    void keep();
    Result<void> look();          // whether the token answers: session, login, token info and a search
    Result<void> look_lightly();  // the same without a search
    Result<void> begin_anew(std::uint64_t seen);
    void publish(const std::string& reason);  // after each change of the breaker, under the lock
    std::chrono::steady_clock::time_point now() const { return std::chrono::steady_clock::now(); }

    std::shared_ptr<Module> module_;
    std::string label_;
    Login login_;
    Admission admission_;
    // Two locks: however many ask, the keeper is not kept from its breaker.
    std::mutex queue_lock_;
    std::condition_variable work_;
    std::deque<std::function<void(Session&)>> jobs_;
    mutable std::mutex lock_;
    mutable std::condition_variable changed_;  // the breaker, or `stopping_`
    Breaker breaker_;
    std::atomic<bool> stopping_ = false;  // set under both
    std::atomic<bool> serves_ = false, admits_ = true, blemished_ = false, used_ = false;
    std::atomic<unsigned long> renewals_ = 0, restarts_ = 0, failures_ = 0;
    std::vector<std::thread> threads_;
    Session kept_{module_, label_, login_};  // the keeper's, never used for signing: it keeps the login alive
    std::thread keeper_;
};

}  // namespace qscd::hsm
