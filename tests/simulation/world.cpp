#include "tests/simulation/world.hpp"

#include "tests/simulation/policy.hpp"

namespace qscd::sam::simulation {
namespace {

const TimePoint beginning = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + std::chrono::hours{8};

}  // namespace

World::World(std::uint64_t seed, Plant plant, bool trace)
    : dice_(seed),
      plant_(plant),
      events_(trace),
      clock_(beginning),
      token_(dice_, plant),
      disk_(dice_, plant),
      books_(disk_, token_),
      around_{disk_, token_, books_, dice_, *this, clock_, trial_policy(), plant} {
    seed_process_random(dice_.roll());
    disk_.committed = [this](unsigned owner, const std::vector<const Bytes*>& records) {
        happened(Kind::batch, owner, records.size());
        books_.committed(owner, records);
    };
    token_.anchored = [this](unsigned owner) {
        happened(Kind::anchored, owner, token_.newest_anchor() == nullptr ? 0 : token_.newest_anchor()->size());
        books_.anchored();
    };
    token_.fenced_others = [this](unsigned owner) { books_.fenced_others(owner); };
    token_.head_signed = [this](unsigned owner) { books_.head_signed(owner); };
    token_.pin_evaluated = [this](unsigned owner, const CkaId&, ByteView input) {
        happened(Kind::pin_evaluated, owner);
        books_.pin_evaluated(input, by_number_.at(owner)->owner.asking_);
    };

    // What kind of a world: a few signers and small batches, or many and large ones.
    struct Size {
        std::uint64_t signers, activations;
        double batch;  // arrivals a round
    };
    static constexpr std::array sizes{Size{12, 400, 0.3}, Size{80, 1500, 4}, Size{600, 5000, 40}, Size{2500, 8000, 80}};
    static constexpr std::array weights{0, 1, 2, 2, 2, 3, 3, 3};
    const auto& size = sizes[static_cast<std::size_t>(weights[dice_.below(weights.size())])];
    const auto signers = std::max<std::uint64_t>(4, size.signers / 2 + dice_.below(size.signers));
    const double a_second = std::min(12.0, static_cast<double>(signers) / 60);
    pause_ = static_cast<std::int64_t>(1000 / a_second);
    round_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(1000 * size.batch / a_second), 50, 9000);
    wanted_ = size.activations / 2 + dice_.below(size.activations);
    hostile_ = 0.05 + 0.01 * static_cast<double>(dice_.below(20));
    failing_module_ = 0.001 * static_cast<double>(dice_.below(30));
    trouble_ = static_cast<std::int64_t>(static_cast<double>(wanted_) / a_second * 1000 /
                                         static_cast<double>(dice_.between(5, 25)));
    for (std::uint64_t i = 0; i < dice_.between(1, 8); ++i)
        portals_.push_back(ClientId::from("portal-" + std::to_string(i)).value());
    for (std::uint64_t i = 0; i < signers; ++i) make_signer();
    for (int i = 0; i < 6; ++i) victims_.push_back(dice_.below(signers));
}

World::~World() = default;

void World::happened(Kind kind, std::uint64_t what, std::uint64_t more) {
    events_.happened({step_, now_, kind, current_ ? current_->owner.number() : 0, what, more});
}

void World::in(std::int64_t milliseconds, std::function<void()> event) {
    queue_.push({now_ + milliseconds, numbered_++, std::move(event)});
}

void World::set_clock() {
    clock_.set(beginning +
               std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds{now_} + skipped_ + wrong_));
    newest_time_ = std::max(newest_time_, clock_.now());
}

bool World::next() {
    if (queue_.empty()) return false;
    auto event = queue_.top();
    queue_.pop();
    now_ = std::max(now_, event.at);
    ++step_;
    set_clock();
    event.what();
    return true;
}

void World::live_on(std::uint64_t events) {
    ++depth_;
    for (std::uint64_t i = 0; i < events && next(); ++i) {}
    --depth_;
}

// ── Fate ────────────────────────────────────────────────────────────────────────────────────────────────────────────

bool World::fails_at(unsigned number, Point point) {
    if (!armed_ || armed_->owner != number) return false;
    // Looking at the anchor and writing it is one step of the module here; tests of hsm/ have what lies between.
    if (armed_->doom == Doom::twin && (point == Point::inside_anchor || depth_ > 0)) return false;
    if (armed_->countdown-- > 0) return false;
    const auto doom = armed_->doom;
    armed_.reset();
    const auto life = by_number_.at(number);
    switch (doom) {
        case Doom::kill: happened(Kind::killed, number, static_cast<unsigned>(point)); throw Killed{};
        case Doom::power_cut:
            happened(Kind::power_cut, number, static_cast<unsigned>(point));
            for (const auto& each : lives_) each->doomed = true;
            disk_.power_cut();
            throw Killed{};
        case Doom::fail: happened(Kind::fault, number, static_cast<unsigned>(point)); return true;
        case Doom::twin: break;
    }
    // This one hangs; another one takes over and serves for a while; then this one goes on as if nothing had been.
    happened(Kind::twin, number, static_cast<unsigned>(point));
    const bool was_busy = std::exchange(life->busy, true);
    start(std::nullopt);
    live_on(dice_.below(3) == 0 ? 0 : dice_.below(300));
    life->busy = was_busy;
    if (life->doomed) throw Killed{};
    return false;
}

void World::arm(Doom doom) {
    if (!current_) return;
    armed_ = Armed{doom, current_->owner.number(), static_cast<unsigned>(dice_.below(25))};
}

// ── Owners ──────────────────────────────────────────────────────────────────────────────────────────────────────────

World::LifePtr World::make_life() {
    const auto number = static_cast<unsigned>(by_number_.size());
    auto life = std::make_shared<Life>(number, around_);
    life->history = histories_;
    by_number_.push_back(life);
    lives_.push_back(life);
    life->owner.to_module = [this, weak = std::weak_ptr{life}](std::shared_ptr<Owner::ModuleJob> job) {
        const auto held = weak.lock();
        const auto hangs = dice_.chance(0.003);
        in(static_cast<std::int64_t>(hangs ? 90'000 : dice_.between(1, 2 * static_cast<std::uint64_t>(round_))),
           [this, held, job] { module_signs(held, job); });
    };
    life->owner.to_phone = [this, weak = std::weak_ptr{life}](std::string phone, std::string text,
                                                              std::function<void(bool)> done) {
        const bool sent = dice_.chance(0.97);
        if (sent)
            in(static_cast<std::int64_t>(dice_.between(100, 5000)), [this, phone, text] { message_came(phone, text); });
        in(50, [held = weak.lock(), done = std::move(done), sent] {
            if (!held->dead) done(sent);
        });
    };
    return life;
}

// Who gets a client's request: mostly the newest owner, at times an older one that is still there.
World::Life* World::route() {
    if (lives_.size() > 1 && dice_.chance(0.3)) {
        const auto& any = lives_[dice_.below(lives_.size())];
        if (!any->dead && any->owner.serves()) return any.get();
    }
    return current_ && !current_->dead && current_->owner.serves() ? current_.get() : nullptr;
}

void World::guard(const LifePtr& life, const std::function<void()>& action) {
    const bool was_busy = std::exchange(life->busy, true);
    try {
        if (life->doomed) throw Killed{};
        action();
        life->busy = was_busy;
    } catch (const Killed&) {
        life->busy = was_busy;
        bury(life, Kind::killed);
        return;
    }
    if (const auto& lost = life->owner.lost()) bury(life, lost->code == Errc::fenced ? Kind::fenced : Kind::owner_lost);
}

void World::bury(const LifePtr& life, Kind how) {
    if (life->dead) return;
    life->dead = true;
    if (how != Kind::killed) happened(how, life->owner.number());
    if (armed_ && armed_->owner == life->owner.number()) armed_.reset();
    for (const auto& errand : std::exchange(life->waiting, {}))
        if (errand->owner == life->owner.number()) owner_died(errand);
    std::erase(lives_, life);
    if (current_ == life) {
        current_.reset();
        if (!ending_) in(static_cast<std::int64_t>(dice_.between(100, 3000)), [this] { start(std::nullopt); });
    }
    for (const auto& each : std::vector{lives_})  // who went down with it
        if (each->doomed && !each->busy) bury(each, Kind::killed);
    expecting_.clear();
    life->owner.ledger_.reset();
    life->owner.waiting_.clear();
    life->owner.after_.clear();
    life->owner.strands_.clear();
    life->owner.unrecorded_.clear();
}

void World::round_of(const LifePtr& life) {
    if (life->dead) return;
    if (!life->busy) {
        guard(life, [&] {
            const auto steps = life->owner.round();
            if (steps == 0 && dice_.chance(0.02)) life->owner.silence();
        });
        if (life->dead) return;
        if (life->waiting.size() > 4096) {
            std::erase_if(life->waiting, [&](const ErrandPtr& each) {
                return each->at == Errand::At::nowhere || each->owner != life->owner.number();
            });
        }
    }
    const auto spread = static_cast<std::uint64_t>(round_);
    in(static_cast<std::int64_t>(spread / 2 + 1 + dice_.below(spread)), [this, life] { round_of(life); });
}

bool World::takes_over(const LifePtr& life, const std::optional<Unseal>& unseal) {
    const bool touched = truth_.has_value();
    bool serves = false;
    guard(life, [&] {
        const auto started = life->owner.start(unseal);
        serves = static_cast<bool>(started);
        if (serves) return;
        happened(Kind::start_failed, life->owner.number(), static_cast<unsigned>(started.error().code));
        if (started.error().code == Errc::sealed) {
            if (!unseal) judge_refusal(started.error());
            sealed(started.error());
        } else if (!ending_) {
            in(static_cast<std::int64_t>(dice_.between(500, 5000)), [this] {
                if (!current_) start(std::nullopt);
            });
        }
    });
    if (!serves) {
        if (!life->dead) {
            life->dead = true;
            std::erase(lives_, life);
        } else if (!ending_ && !current_) {
            in(static_cast<std::int64_t>(dice_.between(500, 5000)), [this] {
                if (!current_) start(std::nullopt);
            });
        }
        return false;
    }
    if (life->dead) return false;
    books_.opened(touched);
    return true;
}

void World::start(std::optional<Unseal> unseal) {
    if (starting_) return;
    starting_ = true;
    const auto life = make_life();
    if (!ending_ && dice_.chance(0.1)) {  // something goes wrong on the way, too
        const std::array dooms{Doom::kill, Doom::fail, Doom::power_cut};
        armed_ = Armed{dooms[dice_.below(3)], life->owner.number(), static_cast<unsigned>(dice_.below(25))};
    }
    const bool first = token_.newest_anchor() != nullptr && token_.newest_anchor()->size() == 0;
    if (!first) unclean_.push_back(clock_.now());
    const bool serves = takes_over(life, unseal);
    starting_ = false;
    if (!serves) return;
    current_ = life;
    word_given_ = false;
    patience_until_ = now_ + 75'000;
    happened(Kind::takeover, life->owner.number(), life->owner.ledger().epoch());
    if (first) populate();
    in(round_, [this, life] { round_of(life); });
}

// Only the right reasons count.
void World::judge_refusal(const Error& error) {
    const auto now = clock_.now();
    const auto recent = std::ranges::count_if(unclean_, [&](auto at) { return at + std::chrono::hours{25} > now; });
    const bool many = recent > static_cast<std::ptrdiff_t>(unclean_starts_a_day) &&
                      error.detail.starts_with(row_of(SealReason::unclean_starts).text);
    const bool back = now < newest_time_ && error.detail.starts_with(row_of(SealReason::clock_back).text);
    // A start takes a store that breaks off while the cells are read for one that holds nonsense.
    const bool broke_off = error.detail.ends_with("a read error");
    books_.refused_to_open(error, truth_.has_value() || word_given_, many || back || broke_off);
}

// What people do about it.
void World::sealed(const Error& error) {
    happened(Kind::sealed, truth_ ? 1 : 0);
    const bool clock = error.detail.starts_with(row_of(SealReason::clock_back).text);
    in(static_cast<std::int64_t>(dice_.between(1000, 20'000)), [this, clock] {
        if (current_) return;
        if (truth_ && dice_.chance(0.7)) {
            put_back();
            return start(std::nullopt);
        }
        if (clock && !truth_ && dice_.chance(0.5)) {
            wrong_ = {};
            set_clock();
            return start(std::nullopt);
        }
        happened(Kind::unsealed, truth_ ? 1 : 0);
        if (truth_) {
            truth_.reset();
            ++histories_;
            word_given_ = true;
            books_.let_go_on();
        }
        start(Unseal{"people looked at it"});
    });
}

void World::put_back() {
    if (!truth_) return;
    happened(Kind::put_back);
    disk_.restore(std::move(*truth_));
    truth_.reset();
}

// ── The signers' module ─────────────────────────────────────────────────────────────────────────────────────────────

void World::module_signs(const LifePtr& life, const std::shared_ptr<Owner::ModuleJob>& job) {
    // A request that stood in the module's queue when its process died may still be signed.
    if (life->dead && (life->history != histories_ || dice_.chance(0.6))) return;
    const auto key = job->key;
    std::vector<ModuleOutcome> outcomes;
    for (const auto& hash : job->activation.hashes()) {
        if (dice_.chance(failing_module_)) {
            happened(Kind::module_failed, 0);
            outcomes.push_back({Error{Errc::token_away, "before"}, false});
            break;
        }
        happened(Kind::module_entered, life->owner.number());
        books_.entered_module(*job->request, job->begun, job->activation, hash);
        if (dice_.chance(failing_module_)) {
            happened(Kind::module_failed, 1);
            outcomes.push_back({Error{Errc::token_away, "inside"}, plant_ != Plant::used_when_entered_forgotten});
            break;
        }
        auto signature = VirtualToken::signature(key, hash);
        if (dice_.chance(failing_module_ / 20)) signature[0] ^= 1;
        outcomes.push_back({std::move(signature), true});
    }
    if (life->dead) return;
    job->done(ModuleAnswer::check(std::move(job->activation), std::move(outcomes),
                                  [&](const DtbsR& hash, ByteView signature) {
                                      return std::ranges::equal(signature, VirtualToken::signature(key, hash));
                                  }));
}

// ── Trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void World::trouble() {
    if (ending_) return;
    in(static_cast<std::int64_t>(dice_.between(1, 2 * static_cast<std::uint64_t>(trouble_))), [this] { trouble(); });
    switch (dice_.below(16)) {
        case 0:
        case 1:
        case 2: return arm(Doom::kill);
        case 3: return arm(Doom::power_cut);
        case 4:
        case 5: return arm(Doom::twin);
        case 6:
            if (current_ && depth_ == 0) start(std::nullopt);  // beside the one that is there
            return;
        case 7:
        case 8: return arm(Doom::fail);
        case 9:
            if (token_.away) return;
            happened(Kind::token_away);
            token_.away = true;
            return in(static_cast<std::int64_t>(dice_.between(100, 10'000)), [this] {
                token_.away = false;
                happened(Kind::token_back);
            });
        case 10: {  // a clean stop
            if (!current_ || current_->busy) return;
            const auto life = current_;
            guard(life, [&] { life->owner.stop(); });
            if (!life->dead) bury(life, Kind::stopped);
            return;
        }
        case 11: {
            const std::chrono::hours night{dice_.between(8, 26)};
            happened(Kind::clock_moved, static_cast<std::uint64_t>(night.count()));
            skipped_ += night;
            set_clock();
            return;
        }
        case 12: {  // somebody sets the clock; at times it is noticed
            const auto by = std::chrono::seconds{dice_.below(dice_.chance(0.2) ? 4000 : 60)};
            happened(Kind::clock_moved, static_cast<std::uint64_t>(by.count()), 1);
            wrong_ += dice_.chance(0.5) ? by : -by;
            set_clock();
            return in(static_cast<std::int64_t>(dice_.between(1000, 400'000)), [this] { wrong_ = {}; });
        }
        case 13:
            if (truth_) return;
            happened(Kind::snapshot, disk_.tables().log.size());
            snapshots_.push_back(disk_.tables());
            if (snapshots_.size() > 3) snapshots_.erase(snapshots_.begin());
            // Soon enough for a SAD token or a code that is used in between.
            if (dice_.chance(0.6))
                in(static_cast<std::int64_t>(dice_.between(5000, 60'000)), [this] { restore_older(); });
            return;
        default: return restore_older();
    }
}

// An older store in place of this one, while nobody looks.
void World::restore_older() {
    if (ending_ || snapshots_.empty() || truth_ || depth_ > 0 || starting_) return;
    for (const auto& life : std::vector{lives_}) {
        happened(Kind::killed, life->owner.number(), 99);
        life->doomed = true;
        bury(life, Kind::killed);
    }
    disk_.power_cut();
    const auto& older = snapshots_[dice_.chance(0.5) ? snapshots_.size() - 1 : dice_.below(snapshots_.size())];
    const auto* anchor = token_.newest_anchor();
    const auto& now = disk_.tables();
    // Whether it lies behind the anchor, or tells another story.
    const bool behind = anchor != nullptr && (older.log.size() < anchor->size() ||
                                              older.log[anchor->size() - 1] != now.log[anchor->size() - 1]);
    if (!behind) return;
    happened(Kind::restored, older.log.size(), now.log.size());
    truth_ = now;
    disk_.restore(older);
    for (int i = 0; i < 20; ++i) in(static_cast<std::int64_t>(dice_.between(1000, 90'000)), [this] { replay_loot(); });
}

// ── From the first start to the last ────────────────────────────────────────────────────────────────────────────────

void World::populate() {
    for (std::size_t index = 0; index < signers_.size(); ++index) enrol(index);
    in(round_ * 3, [this] { trouble(); });
}

void World::run(std::uint64_t steps) {
    const std::function<void()> arrival = [this, &arrival] {
        if (ending_) return;
        begin_errand();
        in(static_cast<std::int64_t>(1 + dice_.below(2 * static_cast<std::uint64_t>(pause_))), arrival);
    };
    start(std::nullopt);
    in(4 * round_, arrival);
    const auto longest = 200 * wanted_ + 100'000;  // some worlds are never let live
    while (activations_ < wanted_ && step_ < std::min(steps, longest) && next()) {}
    if (step_ < steps) finish();
    // Whatever still waits refers to this frame.
    queue_ = {};
}

void World::finish() {
    const auto until = now_ + 3 * round_ + 30'000;
    ending_ = true;
    armed_.reset();
    while (!queue_.empty() && queue_.top().at <= until) next();
    ending_ = true;
    armed_.reset();
    token_.away = false;
    wrong_ = {};
    skipped_ += std::chrono::hours{30};  // so that nothing but the state decides
    set_clock();
    for (const auto& life : std::vector{lives_}) {
        life->doomed = true;
        bury(life, Kind::killed);
    }
    disk_.power_cut();
    put_back();
    current_.reset();
    unclean_.clear();
    if (disk_.tables().heads.empty()) return;  // it never came to life
    start(std::nullopt);
    if (!current_) throw Violation{"it does not start any more"};
    auto& ledger = current_->owner.ledger();
    for (const auto& signer : signers_) {
        const auto cell = ledger.credential(signer.enrolled.credential);
        if (!cell) throw Violation{"a cell cannot be read"};
        if (!cell.value()) {
            if (signer.live && !signer.gone) books_.missing(signer.enrolled.credential);
            continue;
        }
        const auto device = ledger.device(*held_device_of(*cell.value()));
        if (!device || !device.value()) throw Violation{"a device's cell cannot be read"};
        // What lies below the floor is spent, whatever the cell says.
        const auto floor = ledger.floors().app_steps() / totp_period + totp_tolerance;
        Books::CellView view{cell.value()->pin_tries_left(), std::max(device.value()->last_step(), floor), {}};
        for (const auto& sad : cell.value()->sads()) {
            auto& seen = view.sads.emplace_back(*Sha256Digest::from(view_of(sad.digest())),
                                                std::vector<std::pair<Bytes, bool>>{});
            for (const auto& hash : sad.hashes()) seen.second.emplace_back(bytes_of(hash.hash()), hash.used());
        }
        books_.agrees(signer.enrolled.credential, view);
    }
    const auto origin = ledger.custody().origin();
    current_->owner.stop();
    books_.whole_log_verifies(origin);
}

}  // namespace qscd::sam::simulation
