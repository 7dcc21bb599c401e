#include "tests/crash/load.hpp"

#include <poll.h>

#include "base/random.hpp"
#include "tests/integration/signature_check.hpp"

namespace qscd::crash {
namespace {

constexpr std::size_t app_signers = 3, most_victims = 2;
constexpr std::chrono::seconds sad_margin{10}, sad_life{120};
constexpr const char* wrong_factors = "invalid_authentication_data";
constexpr const char* wrong_pin = "90909090";

void breathe(int milliseconds) { ::poll(nullptr, 0, milliseconds); }

std::string signer_in(const Person& person) { return person.signer; }

}  // namespace

Load::Signer::Signer(World& world, EnrolmentRun& enrolled, unsigned number, std::uint64_t seed)
    : person(enrolled.person()),
      credential(enrolled.credential()),
      certificate(integration::required(certificate_from_der(view_of(enrolled.certificate())), "certificate")),
      portal(world, "portal-" + std::to_string(number)),
      random(seed) {}

Load::Victim::Victim(World& world, EnrolmentRun& enrolled, unsigned number)
    : person(enrolled.person()), credential(enrolled.credential()), portal(world, "portal-" + std::to_string(number)) {}

Load::Load(World& world, std::uint64_t seed) : world_(world), random_(seed) {}
Load::~Load() { stop(); }

std::unique_ptr<EnrolmentRun> Load::enrolled_now(const std::string& profile) {
    auto run = std::make_unique<EnrolmentRun>(world_, next_person(), profile);
    const bool done = integration::eventually([&] {
        while (run->go_on() == EnrolmentRun::Went::on) {}
        return run->finished();
    });
    integration::require(done && !run->certificate().empty(), "the first signers cannot be enrolled");
    return run;
}

void Load::prepare() {
    for (std::size_t i = 0; i < app_signers; ++i) {
        const auto run = enrolled_now(i % 2 == 0 ? "qscd-totp" : "lcp-totp");
        signers_.push_back(std::make_unique<Signer>(world_, *run, ++portals_, random_()));
    }
    const auto run = enrolled_now("qscd-sms");
    by_sms_ = std::make_unique<Signer>(world_, *run, ++portals_, random_());
    registered_ = std::make_unique<PortalClient>(world_, "portal-" + std::to_string(++portals_));
    for (const auto& each : signers_)
        integration::require(each->portal.register_for({signer_in(each->person)}), "portals cannot be registered");
    integration::require(by_sms_->portal.register_for({signer_in(by_sms_->person)}), "portals cannot be registered");
    log_in();
}

void Load::log_in() {
    const auto in = [&](PortalClient& portal) {
        integration::require(integration::eventually([&] { return portal.log_in(); }), "a portal cannot log in");
    };
    for (const auto& each : signers_) in(each->portal);
    in(by_sms_->portal);
    for (const auto& each : victims_) in(each->portal);
}

void Load::start(bool insists) {
    insists_ = insists;
    for (const auto& each : signers_)
        threads_.emplace_back([this, &signer = *each](const std::stop_token& stop) { signs(stop, signer); });
    threads_.emplace_back([this](const std::stop_token& stop) { signs_with_sms(stop, *by_sms_); });
    threads_.emplace_back([this](const std::stop_token& stop) { enrols(stop); });
    threads_.emplace_back([this](const std::stop_token& stop) { types_wrong_pins(stop); });
    threads_.emplace_back([this](const std::stop_token& stop) { registers(stop); });
}

void Load::stop() {
    for (auto& each : threads_) each.request_stop();
    threads_.clear();  // joins
}

// --- signing ---

std::vector<Bytes> Load::fresh_hashes(std::mt19937_64& random) {
    std::vector<Bytes> out;
    const auto count = 1 + random() % 3;
    for (std::size_t i = 0; i < count; ++i) out.push_back(integration::hash_numbered(++documents_));
    if (random() % 4 == 0) out.push_back(out.front());  // two occurrences
    return out;
}

void Load::signs(const std::stop_token& stop, Signer& signer) {
    while (!stop.stop_requested()) {
        const auto before = world_.unknown.load();
        sign_with_app(stop, signer);
        if (world_.unknown != before) breathe(5);  // somebody is away
    }
}

void Load::sign_with_app(const std::stop_token& stop, Signer& signer) {
    const auto hashes = fresh_hashes(signer.random);
    const auto code = signer.person.app_code(world_.fresh_step(signer.person));
    const auto asked = world_.with_history([&](History& history) {
        history.approvals.push_back({signer.credential, hashes});
        return history.approvals.size() - 1;
    });
    const auto since = world_.now();
    const auto answer = signer.portal.call(
        "credentials/authorize",
        integration::Portal::authorisation(signer.credential, hashes, {signer.person.pin, "TOTP", code}));
    if (!answer) return;
    const bool good = answer->status == 200;
    world_.with_history([&](History& history) {
        history.approvals[asked].fate = good ? Fate::done : Fate::refused;
        history.approvals[asked].error = answer->error;
    });
    if (!good) return breathe(2);
    ++world_.approvals;
    signer.last_code = code;
    const auto sad = answer->text("SAD");
    // In parts; the last one sometimes stays for later, when samd may have been another process in between.
    for (std::size_t at = 0; at < hashes.size();) {
        const auto size = std::min<std::size_t>(1 + signer.random() % 2, hashes.size() - at);
        Signing part{signer.credential,
                     {hashes.begin() + static_cast<std::ptrdiff_t>(at),
                      hashes.begin() + static_cast<std::ptrdiff_t>(at + size)}};
        at += size;
        const auto number = world_.with_history([&](History& history) {
            history.signings.push_back(part);
            return history.signings.size() - 1;
        });
        Pending pending{number, sad, "key-" + std::to_string(++keys_), since + sad_life, false};
        const bool later = at == hashes.size() && signer.random() % 6 == 0;
        if (later || stop.stop_requested()) signer.pending.push_back(std::move(pending));
        else sign_part(signer, std::move(pending));
    }
}

void Load::sign_part(Signer& signer, Pending part) {
    const auto before = world_.with_history([&](History& history) { return history.signings.at(part.signing); });
    const auto answer = signer.portal.call("signatures/signHash",
                                           boost::json::object{{"credentialID", signer.credential},
                                                               {"SAD", part.sad},
                                                               {"hashes", integration::base64_of(before.hashes)},
                                                               {"signAlgo", "1.2.840.10045.4.3.2"}},
                                           part.key);
    const bool in_time = world_.now() + sad_margin < part.sad_expires;
    if (!answer) {
        part.asked = true;
        signer.pending.push_back(std::move(part));
        return;
    }
    if (answer->status != 200) {
        // A SAD token that was handed out and not used is good until it expires.
        if (!part.asked && in_time && answer->status != 429)
            world_.found("a SAD token was handed out for credential " + signer.credential +
                         ", and is refused: " + answer->body);
        world_.with_history([&](History& history) {
            auto& signing = history.signings.at(part.signing);
            if (signing.fate == Fate::unknown) signing.fate = Fate::refused;
            signing.error = answer->body;
        });
        return;
    }
    auto signatures = answer->signatures();
    bool verify = signatures.size() == before.hashes.size();
    for (std::size_t i = 0; verify && i < signatures.size(); ++i)
        verify = integration::is_signature(*signer.certificate, Scheme::ecdsa, HashAlgorithm::sha256, before.hashes[i],
                                           signatures[i]);
    if (!verify) world_.found("signatures were handed out that do not verify: credential " + signer.credential);
    if (before.fate == Fate::done && before.signatures != signatures)
        world_.found("the same request was answered with other signatures: credential " + signer.credential);
    ++world_.signatures;
    if (part.asked) ++world_.resolved;
    world_.with_history([&](History& history) {
        auto& signing = history.signings.at(part.signing);
        signing.fate = Fate::done;
        signing.signatures = std::move(signatures);
    });
    part.asked = true;
    signer.last_done = std::move(part);
}

// A phone gets ten messages a day: one a load is enough.
void Load::signs_with_sms(const std::stop_token& stop, Signer& signer) {
    do {
        sign_with_sms(signer);
        if (insists_) breathe(100);
    } while (insists_ && !stop.stop_requested());
}

void Load::sign_with_sms(Signer& signer) {
    const auto hashes = fresh_hashes(signer.random);
    const auto opened = signer.portal.call("credentials/getChallenge",
                                           {{"credentialID", signer.credential},
                                            {"authObjectID", "SMS"},
                                            {"numSignatures", hashes.size()},
                                            {"hashes", integration::base64_of(hashes)},
                                            {"hashAlgorithmOID", row_of(HashAlgorithm::sha256).oid}});
    if (!opened || opened->status != 204) return;
    ++world_.challenges;
    const auto code = code_sent_to(world_.deployment(), signer.person.phone);
    const auto asked = world_.with_history([&](History& history) {
        history.approvals.push_back({signer.credential, hashes});
        return history.approvals.size() - 1;
    });
    const auto since = world_.now();
    const auto answer = signer.portal.call(
        "credentials/authorize",
        integration::Portal::authorisation(signer.credential, hashes, {signer.person.pin, "SMS", code}));
    if (!answer) return;
    world_.with_history(
        [&](History& history) { history.approvals[asked].fate = answer->status == 200 ? Fate::done : Fate::refused; });
    if (answer->status != 200) return;
    ++world_.approvals;
    const auto number = world_.with_history([&](History& history) {
        history.signings.push_back({signer.credential, hashes});
        return history.signings.size() - 1;
    });
    sign_part(signer, {number, answer->text("SAD"), "key-" + std::to_string(++keys_), since + sad_life, false});
}

// A code that was accepted is never accepted again, whoever owns the cells now.
void Load::replay(Signer& signer) {
    if (signer.last_code.empty()) return;
    const std::vector<Bytes> hashes{integration::hash_numbered(++documents_)};
    const auto answer = signer.portal.call(
        "credentials/authorize",
        integration::Portal::authorisation(signer.credential, hashes,
                                           {signer.person.pin, "TOTP", std::exchange(signer.last_code, {})}));
    if (answer && answer->status == 200)
        world_.found("an app code was accepted twice: credential " + signer.credential);
}

// --- enrolling, and typing wrong PINs ---

void Load::enrols(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        if (!enrolling_)
            enrolling_ = std::make_unique<EnrolmentRun>(world_, next_person(),
                                                        people_ % 2 == 0 ? "qscd-totp" : "lcp-totp");
        switch (enrolling_->go_on()) {
            case EnrolmentRun::Went::on: break;
            case EnrolmentRun::Went::waits: breathe(5); break;
            case EnrolmentRun::Went::over:
                last_enrolled_ = std::move(enrolling_);
                if (!insists_) return;
                if (last_enrolled_->failed()) breathe(200);
                break;
        }
    }
}

void Load::types_wrong_pins(const std::stop_token& stop) {
    for (const auto& each : victims_) {
        if (stop.stop_requested()) return;
        try_wrong_pin(*each);
    }
}

void Load::try_wrong_pin(Victim& victim) {
    const std::vector<Bytes> hashes{integration::hash_numbered(++documents_)};
    const auto asked = world_.with_history([&](History& history) {
        history.approvals.push_back({victim.credential, hashes, false});
        return history.approvals.size() - 1;
    });
    std::optional<Answer> answer;
    world_.with_fresh_step(victim.person, [&](std::int64_t step) {  // so that it is the PIN that is looked at
        answer = victim.portal.call("credentials/authorize",
                                    integration::Portal::authorisation(
                                        victim.credential, hashes, {wrong_pin, "TOTP", victim.person.app_code(step)}));
    });
    if (!answer) return;
    const bool plain = answer->error == wrong_factors;
    if (answer->status == 200) world_.found("a wrong PIN approved: credential " + victim.credential);
    if (plain) {
        ++world_.wrong_pins;
    } else if (answer->description == "Credential locked") {
        victim.blocked = true;
    }
    world_.with_history([&](History& history) {
        history.approvals[asked].fate = plain ? Fate::done : Fate::refused;
        history.approvals[asked].error = answer->error;
    });
}

void Load::registers(const std::stop_token& stop) {
    auto signers = registered_->signers();
    const auto wanted = signer_in(signers_.front()->person);
    if (std::ranges::find(signers, wanted) == signers.end()) signers.push_back(wanted);
    for (int i = 0; (insists_ || i < 3) && !stop.stop_requested(); ++i) {
        if (!registered_->register_for(signers) || !registered_->log_in()) breathe(5);
    }
}

// --- afterwards ---

void Load::settle() {
    for (const auto& each : signers_) {
        for (auto& part : std::exchange(each->pending, {})) sign_part(*each, std::move(part));
        each->pending.clear();  // asked twice without an answer: it stays unknown
        if (each->last_done) sign_part(*each, *std::exchange(each->last_done, {}));
        each->portal.confirm(each->credential);
    }
    for (auto& part : std::exchange(by_sms_->pending, {})) sign_part(*by_sms_, std::move(part));
    by_sms_->pending.clear();
    replay(*signers_[random_() % signers_.size()]);
    registered_->confirm(a_credential());
    if (enrolling_) enrolling_->confirm();
    if (!last_enrolled_) return;
    last_enrolled_->confirm();
    if (victims_.size() < most_victims && last_enrolled_->finished()) {
        auto victim = std::make_unique<Victim>(world_, *last_enrolled_, ++portals_);
        if (victim->portal.register_for({signer_in(victim->person)})) victims_.push_back(std::move(victim));
    }
    last_enrolled_.reset();
    // Blocked: even the right PIN approves nothing now.
    std::erase_if(victims_, [&](const auto& victim) {
        if (!victim->blocked) return false;
        world_.advance(std::chrono::minutes{5});
        const std::vector<Bytes> hashes{integration::hash_numbered(++documents_)};
        const auto code = victim->person.app_code(world_.fresh_step(victim->person));
        const auto answer = victim->portal.call(
            "credentials/authorize",
            integration::Portal::authorisation(victim->credential, hashes, {victim->person.pin, "TOTP", code}));
        if (answer && answer->status == 200)
            world_.found("tries were regained: credential " + victim->credential + " was blocked");
        return answer.has_value();
    });
}

}  // namespace qscd::crash
