// One attacker over many signers: without the held factor there is no PIN evaluation, the limits trip within their budget,
// and whoever is attacked signs all the same. [T-08] [T-12] [T-13] [AUTHN-09] [AUTHN-29]
#include <map>

#include "tests/attack/spied_trial.hpp"

namespace qscd::attack {
namespace {

using namespace std::chrono_literals;
using sam::Ledger;

constexpr std::size_t at_once = 256;
constexpr unsigned portal_budget = 20, service_budget = 100, day_budget = 30;  // as qscd/sam/activation/limits.hpp
constexpr const char *common_pin = "48151623", *hostile = "hostile-portal";    // the PIN is even right for the victims

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

struct Target {
    CredentialId credential;
    Bytes totp_secret;
};

// What a flood of authorise requests got.
struct Flood {
    std::map<Errc, std::size_t> refusals;
    std::size_t granted = 0;
    std::size_t count(Errc errc) const {
        const auto found = refusals.find(errc);
        return found == refusals.end() ? 0 : found->second;
    }
    std::size_t evaluated() const { return count(Errc::factors_wrong) + count(Errc::parameter_invalid) + granted; }
};

struct Spray : SpiedTrial {
    std::vector<Target> targets;
    std::size_t victim_signed = 0;
    sam::Credential victim = enrol(sam::anna());

    // Signers by the thousand, each with an app of their own: cells like the victim's, written as the SAM writes them.
    void populate(std::size_t count) {
        stop();
        in_store([&](Ledger& ledger) {
            const auto cell = ledger.credential(victim.id).value().value();
            const auto app = ledger.device(*DeviceId::from(view_of(cell.app_device()))).value().value();
            for (std::size_t i = 0; i < count; ++i) {
                const Target target{random_fixed<CredentialId>(), random_bytes(20)};
                auto device = app;
                device.set_id(string_of(random_bytes(16)));
                device.set_totp_secret(string_of(target.totp_secret));
                auto credential = cell;
                credential.set_id(string_of(target.credential.bytes()));
                credential.set_signer(string_of(random_bytes(16)));
                credential.set_enrolment(string_of(random_bytes(16)));
                credential.set_app_device(device.id());
                device.set_signer(credential.signer());
                ledger.put(device);
                ledger.put(credential);
                targets.push_back(target);
            }
            ledger.record({sam::Event::factors_set, "bootstrap"});
        });
        start();
        start_counting();
    }

    // A code that is not by chance the right one.
    std::string wrong_code(const Target& target) const {
        for (auto number = 0u;; ++number) {
            const auto guess = std::to_string(314'159 + number);
            bool lucky = false;
            for (const auto step : {-30s, 0s, 30s}) lucky |= guess == sam::totp(target.totp_secret, clock.now() + step);
            if (!lucky) return guess;
        }
    }
    Target own(const sam::Credential& credential) const { return {credential.id, credential.totp_secret}; }

    using Portal = std::function<std::string(std::size_t)>;
    Flood flood(std::size_t count, const Portal& portal, const std::function<Target(std::size_t)>& at,
                const std::function<void(std::size_t)>& before_each = {}) {
        Flood out;
        auto wire = gateway();
        const auto answered = wire.pipeline(
            count, before_each ? 1 : at_once,
            [&](std::size_t i) {
                if (before_each) before_each(i);
                const auto target = at(i);
                return authorise_request(target.credential, {"contract"}, common_pin, wrong_code(target), "TOTP",
                                         portal(i));
            },
            [&](std::size_t, const Answer& answer) {
                if (answer.good) ++out.granted;
                else ++out.refusals[*answer.refusal()];
                return true;
            });
        EXPECT_EQ(answered, count);
        return out;
    }
    Flood spray(std::size_t count) {
        return flood(count, [](std::size_t) { return hostile; }, [&](std::size_t i) { return any(i); });
    }
    // Known signers, and now and then one that nobody knows.
    Target any(std::size_t i) const {
        if (i % 16 == 15) return {random_fixed<CredentialId>(), random_bytes(20)};
        return targets[i * 7919 % targets.size()];
    }

    Result<pb::Authorised> victim_signs(const std::string& portal) {
        auto sad = authorise(victim, {.code = code(victim), .client = portal});
        if (sad) {
            EXPECT_TRUE(sign(victim, sad.value().sad(), {"contract"}, "", Scheme::ecdsa, portal));
            ++victim_signed;
        }
        return sad;
    }
    bool victim_waits(const std::string& portal) {
        const auto sad = victim_signs(portal);
        return !sad && sad.error().code == Errc::too_many_requests;
    }

    // How many PIN tries are gone, over everybody.
    std::size_t pin_tries_spent() {
        std::size_t spent = 0;
        stop();
        in_store([&](Ledger& ledger) {
            const auto full = rules.find("totp")->pin().tries;
            for (const auto& target : targets)
                spent += full - ledger.credential(target.credential).value().value().pin_tries_left();
            spent += full - ledger.credential(victim.id).value().value().pin_tries_left();
            ledger.record({sam::Event::factors_set, "bootstrap"});
        });
        start();
        return spent;
    }
    void next_minute() { clock.set(std::chrono::ceil<std::chrono::minutes>(clock.now() + 1s)); }
};

TEST_F(Spray, T_12_AUTHN_29_OnePortalOverAllSignersTripsItsLimitAndNobodyElseNotices) {
    populate(size_of_attack(2'000, 10'000));
    const auto minutes = size_of_attack(4, 60);
    for (std::size_t minute = 0; minute < minutes; ++minute) {
        next_minute();
        EXPECT_TRUE(victim_signs(hostile)) << "a minute later, through the same portal";
        const auto got = spray(targets.size());
        EXPECT_EQ(got.granted, 0u);
        EXPECT_LE(got.evaluated(), portal_budget) << "in minute " << minute;
        EXPECT_GE(got.evaluated(), portal_budget) << "the limit is the limit, not less";
        EXPECT_EQ(got.count(Errc::too_many_requests), targets.size() - got.evaluated());
        clock.advance(30s);
        EXPECT_TRUE(victim_waits(hostile));
        EXPECT_TRUE(victim_signs("portal")) << "at once, through another portal";
    }
    EXPECT_EQ(pin_evaluations(), victim_signed) << "without the code no PIN is looked at, says the module";
    EXPECT_EQ(pin_tries_spent(), 0u) << "and say the cells";
}

TEST_F(Spray, AUTHN_29_ManyPortalsTripTheServicesLimitAndAMinuteLaterAllIsWell) {
    populate(size_of_attack(500, 10'000));
    for (int minute = 0; minute < 2; ++minute) {
        next_minute();
        EXPECT_TRUE(victim_signs("portal"));
        const auto got = flood(
            targets.size(), [](std::size_t i) { return "invented-" + std::to_string(i % 400); },
            [&](std::size_t i) { return any(i); });
        EXPECT_EQ(got.granted, 0u);
        EXPECT_EQ(got.evaluated(), service_budget);
        EXPECT_TRUE(victim_waits("portal"))
            << "over the service's limit everybody waits: there is no app challenge, approval or passkey yet";
    }
    next_minute();
    EXPECT_TRUE(victim_signs("portal"));
    EXPECT_EQ(pin_evaluations(), victim_signed);
    EXPECT_EQ(pin_tries_spent(), 0u);
}

TEST_F(Spray, AUTHN_29_ARestartInTheMiddleOfAMinuteGivesNothingBack) {
    populate(100);
    next_minute();
    auto evaluated = spray(15).evaluated();
    for (int restart = 0; restart < 3; ++restart) {
        stop();
        start();
        evaluated += spray(100).evaluated();
    }
    EXPECT_EQ(evaluated, portal_budget);
    next_minute();
    EXPECT_TRUE(victim_signs(hostile));
}

// Whoever has a few portals and no phone: how often may he guess one signer's code in a day, restarts of the SAM included?
// 30 tries against three good codes of a million each: 9 in 100,000 [threat model 6.4].
TEST_F(Spray, T_08_T_13_OneSignerADayAndRestartsChangeNothing) {
    const auto each_hours = size_of_attack(8, 30), restarts = size_of_attack(4, 100);
    const auto started = clock.now();
    start_counting();
    std::size_t evaluated = 0;
    for (std::size_t hour = 0; hour < 24; ++hour) {
        const auto got = flood(
            each_hours, [](std::size_t i) { return "portal-" + std::to_string(i % 5); },
            [&](std::size_t) { return own(victim); });
        EXPECT_EQ(got.granted, 0u);
        evaluated += got.evaluated();
        clock.advance(59min + 59s);
        for (auto left = restarts / 24 + (hour < restarts % 24 ? 1 : 0); left > 0; --left) {
            stop();
            start();
        }
    }
    ASSERT_LT(clock.now(), started + 24h);
    EXPECT_LE(evaluated, day_budget);
    EXPECT_EQ(pin_evaluations(), 0u);
    EXPECT_EQ(pin_tries_spent(), 0u);
    clock.advance(24h);
    EXPECT_TRUE(victim_signs("portal")) << "never for good";
}

// The harness can fail. An attacker who waits for the next minute is not stopped by a limit by the minute, and the count
// above would say so …
TEST_F(Spray, ProofOfTheHarness_WhoeverWaitsIsNotStopped) {
    populate(60);
    const auto got = flood(
        60, [](std::size_t) { return hostile; }, [&](std::size_t i) { return targets[i]; },
        [&](std::size_t i) {
            if (i % 19 == 0) next_minute();
        });
    EXPECT_EQ(got.evaluated(), 60u);
    EXPECT_EQ(got.count(Errc::too_many_requests), 0u);
}
// … and with the phone in hand PIN tries do go.
TEST_F(Spray, ProofOfTheHarness_WithTheCodeAPinTryIsSpentAndCounted) {
    next_minute();
    start_counting();
    EXPECT_EQ(authorise(victim, {.pin = "00000000", .code = code(victim)}).error().code, Errc::factors_wrong);
    EXPECT_EQ(pin_evaluations(), 1u);
    EXPECT_EQ(pin_tries_spent(), 1u);
}

}  // namespace
}  // namespace qscd::attack
