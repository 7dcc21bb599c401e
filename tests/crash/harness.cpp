#include "tests/crash/harness.hpp"

#include <csignal>
#include <fstream>
#include <poll.h>
#include <sstream>

#include "base/file.hpp"
#include "protocol/message.hpp"
#include "protocol/record.pb.h"
#include "qscd/supervisor/client.hpp"
#include "tests/integration/enrolment_steps.hpp"

namespace qscd::crash {
namespace {

using integration::eventually;
using integration::require;

constexpr std::chrono::hours between_starts{25};  // more than three unclean starts a day and samd stays sealed
constexpr std::chrono::seconds patience{60};
constexpr unsigned pin_tries = 5, longest_load_ms = 250;
constexpr std::size_t closely_every = 8, longest = 100'000;

void append(Findings& all, Findings some) {
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
}

std::string field_in(std::string_view line, std::string_view name) {
    const auto at = line.find(name);
    if (at == std::string_view::npos) return {};
    const auto begin = at + name.size();
    return std::string{line.substr(begin, line.find(' ', begin) - begin)};
}

}  // namespace

Harness::Harness(std::uint64_t seed, std::string plant, std::string planted)
    : random_(seed),
      instruments_(std::move(plant), std::move(planted)),
      deployment_(instruments_.how()),
      world_(deployment_),
      load_(world_, random_()) {
    wait_until_all_is_well();
    load_.prepare();
}

pid_t Harness::pid_of(std::string_view daemon) const {
    const auto said = supervisor::status(deployment_.settings());
    if (!said) return 0;
    const auto state = json::Object::parse(said.value());
    const auto daemons = state.value().objects("daemons", 100);
    for (const auto& each : daemons.value())
        if (each.string("name", longest).value() == daemon) return static_cast<pid_t>(each.integer("pid").value());
    return 0;
}

// All are ready by their own words, and both ways that the gateway needs are tried for real.
void Harness::wait_until_all_is_well() {
    std::string why;
    bool sealed = false;  // it does not come back by itself
    const bool well = eventually(
        [&] {
            if (sealed) return true;
            const auto said = supervisor::status(deployment_.settings());
            why = said ? said.value() : describe(said.error());
            if (!said) return false;
            const auto state = json::Object::parse(said.value());
            const auto daemons = state.value().objects("daemons", 100);
            for (const auto& each : daemons.value())
                if (each.string("state", longest).value() != "ready") return false;
            pb::SamRequest ask;
            ask.mutable_health();
            const auto sam = deployment_.ask<pb::SamHealthReport>("samd", ask);
            why = sam ? sam.value().detail() : describe(sam.error());
            if (!sam) return false;
            ask.mutable_read_log()->set_count(1);
            const auto log = deployment_.ask<pb::LogRecords>("samd", ask);
            if (!log) why = describe(log.error());
            sealed = !log && log.error().code == Errc::sealed;
            if (!log || !sam.value().store() || !sam.value().tokens()) return false;
            auto portal = deployment_.another_client();
            const auto health = portal.request("GET", "/health/ready");
            why = health ? health.value().body : describe(health.error());
            return health && health.value().status == 200 && why.find("away") == std::string::npos;
        },
        patience);
    require(well && !sealed, "the deployment does not come back: " + why);
}

void Harness::begin(bool insists) {
    world_.advance(between_starts);
    load_.log_in();
    load_.start(insists);
}

void Harness::kill(const std::string& daemon) {
    const auto pid = pid_of(daemon);
    if (pid > 1) ::kill(pid, SIGKILL);
    ++kills_[daemon];
}

Findings Harness::end(bool closely) {
    ::poll(nullptr, 0, 10);  // some requests fall into the gap
    load_.stop();
    wait_until_all_is_well();
    load_.settle();
    auto found = world_.take_findings();
    read_log();
    append(found, world_.take_findings());
    world_.with_history([&](const History& history) {
        append(found, check_signatures(history, records_));
        append(found, check_tries(history, records_, pin_tries));
    });
    if (!closely && ++rounds_ % closely_every != 0) return found;
    read_calls();
    const auto in_token = keys_in_token();
    CallsByDigest calls;
    for (const auto& id : in_token)
        for (const auto& [digest, count] : calls_by_key_[id]) calls[digest] += count;
    const auto certificates = registered();
    world_.with_history([&](const History& history) {
        append(found, check_calls(history, records_, calls));
        append(found, check_enrolments(history, records_, certificates));
    });
    append(found, check_keys(records_, in_token));
    append(found, check_evidence());
    const auto spent = std::ranges::count(records_, "factors-spent", &Record::type);
    if (pins_compared_ > static_cast<std::size_t>(spent) + world_.pins_set)
        found.push_back("the PIN key was used " + std::to_string(pins_compared_) + " times, with " +
                        std::to_string(spent) + " tries spent and " + std::to_string(world_.pins_set) + " PINs set");
    return found;
}

Findings Harness::kill_at_random(const std::vector<std::string>& daemons) {
    begin();
    std::vector<std::pair<int, std::string>> plan;
    for (const auto& each : daemons) plan.emplace_back(random_() % longest_load_ms, each);
    std::ranges::sort(plan);
    int waited = 0;
    for (const auto& [at, daemon] : plan) {
        ::poll(nullptr, 0, at - waited);
        waited = at;
        kill(daemon);
    }
    return end(false);
}

Findings Harness::kill_at(const Point& point) {
    const std::string daemon{point.daemon()};
    const auto passage = 1 + static_cast<unsigned>(random_() % point.most);
    begin(true);
    instruments_.arm(point.name, passage);
    if (point.when == Passed::at_start) kill(daemon);
    const bool passed = eventually([&] { return !instruments_.armed(); });
    ++kills_[daemon];
    if (!passed) {
        instruments_.disarm();
        world_.found("crash point " + std::string{point.name} + " was not reached");
    }
    return end(false);
}

// One host of several loses power: its daemon is gone, and its disk is one of those that may be. Every second time at the
// worst moment, when all is written and nothing synced.
Findings Harness::cut_power_of(const std::string& daemon) {
    const bool at_a_sync = ++cuts_ % 2 == 0;
    const auto sync = 1 + static_cast<unsigned>(random_() % (daemon == "samd" ? 80U : 3U));
    const auto moment = static_cast<int>(random_() % longest_load_ms);
    begin(at_a_sync);
    instruments_.hold(daemon);
    if (at_a_sync) {
        instruments_.arm(Instruments::sync_of(daemon), sync);
        ++kills_[daemon];
    } else {
        ::poll(nullptr, 0, moment);
        kill(daemon);
    }
    const bool gone = eventually([&] { return instruments_.is_held(daemon); });
    if (gone) {
        const auto loss = cut_power(instruments_.disk_of(daemon), random_);
        loss_.pages += loss.pages;
        loss_.torn += loss.torn;
        loss_.lengths += loss.lengths;
        loss_.names += loss.names;
    }
    instruments_.disarm();
    instruments_.let_go(daemon);
    if (!gone) world_.found(daemon + " does not come to its sync " + std::to_string(sync));
    return end(false);
}

Findings Harness::look_closely() {
    begin();
    ::poll(nullptr, 0, longest_load_ms);
    return end(true);
}

// What was read before must still be there, byte for byte.
void Harness::read_log() {
    for (;;) {
        pb::SamRequest ask;
        ask.mutable_read_log()->set_from(next_ == 0 ? 0 : next_ - 1);
        ask.mutable_read_log()->set_count(500);
        const auto page = integration::required(deployment_.ask<pb::LogRecords>("samd", ask), "the log");
        if (page.size() < next_ || (next_ > 0 && (page.records().empty() || page.records(0) != last_record_))) {
            world_.found("the log was read up to record " + std::to_string(next_) + ", and is another one now");
            return;
        }
        for (int i = next_ > 0 ? 1 : 0; i < page.records_size(); ++i, ++next_) {
            const auto& bytes = page.records(i);
            last_record_ = bytes;
            const auto record = integration::required(protocol::decode<pb::LogRecord>(view_of(bytes)), "a record");
            if (record.has_closing()) continue;
            Record out{record.seq(),
                       record.type(),
                       record.actor(),
                       to_hex(view_of(record.credential())),
                       record.result(),
                       {},
                       {}};
            for (const auto& field : record.fields()) out.fields[field.name()] = field.value();
            out.fields["time"] = std::to_string(record.time());
            records_.push_back(std::move(out));
        }
        if (next_ >= page.size()) return;
    }
}

void Harness::read_calls() {
    std::ifstream log{instruments_.calls()};
    log.seekg(static_cast<std::streamoff>(call_log_read_));
    for (std::string line; std::getline(log, line) && !log.eof();) {
        call_log_read_ += line.size() + 1;
        if (line.find(" call=C_Sign-entered") == std::string::npos) continue;
        const auto id = field_in(line, " id="), label = field_in(line, " label=");
        if (label.find("pin") != std::string::npos) ++pins_compared_;
        ++calls_by_key_[id][field_in(line, " in=")];
    }
}

std::set<std::string> Harness::keys_in_token() const {
    const auto pin = integration::required(read_file(deployment_.in("secrets/qscd-signers-1.pin")), "PIN");
    const auto said = integration::run_program(
        {"env", "SOFTHSM2_CONF=" + deployment_.in("tokens/samd/softhsm2.conf").string(), "pkcs11-tool", "--module",
         deployment_.settings().library, "--token-label", "qscd-signers-1", "--login", "--pin", pin, "--list-objects",
         "--type", "privkey"});
    require(said.exit_code == 0, "pkcs11-tool: " + said.err);
    std::set<std::string> out;
    std::istringstream lines{said.out};
    for (std::string line; std::getline(lines, line);)
        if (const auto at = line.find("  ID:"); at == 0) out.insert(line.substr(line.find_first_not_of(' ', 5)));
    return out;
}

// What an auditor would find, who kept the last checkpoint.
Findings Harness::check_evidence() {
    const auto exported = deployment_.top() / "log.export", checkpoint = deployment_.top() / "checkpoint";
    std::filesystem::remove(exported);
    const auto made = deployment_.qscd({"audit", "export", exported});
    if (made.exit_code != 0) return {"the log cannot be exported: " + made.err};
    std::vector<std::string> words{integration::binary_folder / "qscd-audit-verify", "--attestation-key",
                                   deployment_.settings().pki(policy::attestation_key)};
    if (std::filesystem::exists(checkpoint)) words.insert(words.end(), {"--checkpoint", checkpoint});
    words.push_back(exported);
    const auto said = integration::run_program(words);
    if (said.exit_code != 0) return {"qscd-audit-verify: " + said.out + said.err};
    std::filesystem::remove(checkpoint);
    const auto kept = deployment_.qscd({"audit", "checkpoint", checkpoint});
    if (kept.exit_code != 0) return {"no checkpoint: " + kept.err};
    return {};
}

std::map<std::string, Registered> Harness::registered() const {
    std::map<std::string, Registered> out;
    const auto entries = integration::certificates_of(deployment_);
    for (const auto& each : entries.entries())
        out[to_hex(view_of(each.credential()))] = {bytes_of(each.certificate()), each.state()};
    return out;
}

std::string Harness::progress() const {
    std::ostringstream out;
    out << "kills:";
    for (const auto& [daemon, count] : kills_) out << " " << daemon << " " << count;
    out << "; approvals " << world_.approvals << ", signatures " << world_.signatures << ", challenges "
        << world_.challenges << ", wrong PINs " << world_.wrong_pins << ", enrolled " << world_.enrolled << ", tokens "
        << world_.tokens << "; without an answer " << world_.unknown << ", of them resolved " << world_.resolved
        << "; lost to power cuts: pages " << loss_.pages << ", lengths " << loss_.lengths << ", names " << loss_.names
        << "; records " << records_.size();
    return out.str();
}

}  // namespace qscd::crash
