#include "hsm/token_pool.hpp"

#include "base/diagnostics.hpp"

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;

constexpr auto hidden_token_patience = 1s;  // SoftHSM may hide a token while another process writes it
constexpr auto hidden_token_pause = 20ms;
constexpr auto idle_interval = 2s;  // a token that nobody uses is looked at so often
constexpr CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY;

bool means_away(const Error& error) { return error.code == Errc::token_away; }

}  // namespace

Result<void> Token::Pool::start(unsigned count) {
    const auto deadline = now() + hidden_token_patience;
    auto there = look();
    while (!there && means_away(there.error()) && now() < deadline) {
        std::this_thread::sleep_for(hidden_token_pause);  // no module tells when its slot list changes
        there = look();
    }
    if (there) {
        const auto inside = module_->enter();
        if (const auto limit = kept_.session_limit(); limit && limit.value() != 0 && limit.value() < count + 1) {
            if (limit.value() < 2)
                return Error{Errc::configuration, "token " + label_ + " gives one session, and two are needed"};
            count = static_cast<unsigned>(limit.value()) - 1;
            note(Level::warning, "fewer-sessions", {{"token", label_}, {"threads", std::to_string(count)}});
        }
    }
    {
        const std::lock_guard guard{lock_};
        if (!there && there.error().code == Errc::configuration) breaker_.refuse();
        else if (!there) breaker_.looked(false, false, now());
        publish(there ? "" : describe(there.error()));
    }
    for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { serve(); });
    keeper_ = std::thread{[this] { keep(); }};
    return there;
}

Token::Pool::~Pool() {
    {
        const std::scoped_lock guard{queue_lock_, lock_};
        stopping_ = true;
    }
    work_.notify_all();
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
    if (keeper_.joinable()) keeper_.join();
    if (serves_) module_->count_serving(-1);
}

void Token::Pool::post(std::function<void(Session&)> job) {
    {
        const std::lock_guard guard{queue_lock_};
        jobs_.push_back(std::move(job));
    }
    work_.notify_one();
}

void Token::Pool::serve() {
    Session session{module_, label_, login_};
    for (;;) {
        std::unique_lock guard{queue_lock_};
        work_.wait(guard, [&] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        guard.unlock();
        job(session);
    }
}

Result<void> Token::Pool::admits() const {
    if (!admits_) return Error{Errc::token_away, "token " + label_ + " is away"};
    return success();
}

Result<void> Token::Pool::admit(Session& session) {
    QSCD_TRY(admits());
    session.clear();
    auto ready = session.ready();
    if (!ready) report(session, &ready.error());
    return ready;
}

void Token::Pool::report(Session& session, const Error* failed) {
    used_ = true;
    if (session.went_stale()) ++renewals_;
    if (failed == nullptr || failed->code == Errc::key_gone) {
        if (!blemished_) return;
        const std::lock_guard guard{lock_};
        breaker_.succeeded();
        publish("");
        return;
    }
    const bool refused = failed->code == Errc::configuration && login_.refused();
    if (!means_away(*failed) && !refused) return;  // the token did answer
    // Whatever may be wrong with this session, the next job has another.
    session.drop();
    ++failures_;
    const std::lock_guard guard{lock_};
    if (refused) breaker_.refuse();
    else breaker_.failed(now());
    publish(describe(*failed));
}

void Token::Pool::publish(const std::string& reason) {
    blemished_ = breaker_.blemished();
    if (const bool serves = breaker_.serves(); serves_.exchange(serves) != serves)
        module_->count_serving(serves ? 1 : -1);
    if (const bool admits = breaker_.admits(); admits_.exchange(admits) != admits) {
        if (admits) note("token-back", {{"token", label_}});
        else if (breaker_.refused()) note(Level::alarm, "token-refused", {{"token", label_}, {"reason", reason}});
        else note(Level::alarm, "token-away", {{"token", label_}, {"reason", reason}});
    }
    changed_.notify_all();
}

Result<void> Token::Pool::look() {
    const auto inside = module_->enter();
    QSCD_TRY(kept_.ready());
    QSCD_TRY(kept_.prove());
    QSCD_TRY(kept_.token_is_there());
    const std::array wanted{attribute(CKA_CLASS, private_class)};  // reads its store
    QSCD_TRY(kept_.search(wanted));
    login_.close_abandoned(module_->api(), module_->generation());
    if (admission_) {
        QSCD_TRY(admission_(kept_));
    }
    return success();
}

Result<void> Token::Pool::look_lightly() {
    const auto inside = module_->enter();
    QSCD_TRY(kept_.ready());
    QSCD_TRY(kept_.token_is_there());
    return success();
}

// All sessions anew, and the module with them where its other tokens allow.
Result<void> Token::Pool::begin_anew(std::uint64_t seen) {
    login_.replace_sessions();
    if (const auto done = module_->reinitialise_since(seen); !done) return look();
    ++restarts_;
    return look();
}

void Token::Pool::keep() {
    std::unique_lock guard{lock_};
    while (!stopping_) {
        if (breaker_.refused()) {
            changed_.wait(guard, [&] { return stopping_.load(); });
            continue;
        }
        if (!breaker_.wants_a_look()) {
            const bool woken = changed_.wait_for(guard, idle_interval, [&] { return stopping_ || !breaker_.serves(); });
            // Whoever begins the module anew for another token voids the session that keeps this one's login, too.
            const bool used = used_.exchange(false);
            if (woken || (used && kept_.current())) continue;
        }
        if (now() < breaker_.next_look()) {
            changed_.wait_until(guard, breaker_.next_look(), [&] { return stopping_.load(); });
            continue;
        }
        const bool open = breaker_.is_open(), by_calls = breaker_.opened_by_calls();
        const bool idle = breaker_.serves();
        const auto seen = module_->generation();
        guard.unlock();
        auto there = idle ? look_lightly() : look();
        const auto unfit = [&] { return !there && there.error().code == Errc::configuration; };
        const bool renew = open && (by_calls || !there) && !login_.refused() && !unfit();
        if (renew) there = begin_anew(seen);
        guard.lock();
        if (login_.refused() || unfit()) breaker_.refuse();
        else breaker_.looked(there.has_value(), renew, now());
        publish(there ? "" : describe(there.error()));
    }
}

bool Token::Pool::wait_until_serving(std::chrono::milliseconds patience) const {
    std::unique_lock guard{lock_};
    return changed_.wait_for(guard, patience, [&] { return breaker_.serves(); });
}

Token::Counters Token::Pool::counters() const {
    const std::lock_guard guard{lock_};
    return {failures_, renewals_, breaker_.openings(), restarts_};
}

}  // namespace qscd::hsm
