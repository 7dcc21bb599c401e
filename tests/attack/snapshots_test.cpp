// A life in fifty steps, a copy of the store after each. Whoever puts any of them back, after a clean stop or a crash, finds
// the SAM sealed: no PIN evaluation, no signature, nothing spent given back. [T-19] [OPS-03] [SAM-06] [QSCD-07]
#include "tests/attack/spied_trial.hpp"

namespace qscd::attack {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t steps = 50;
constexpr const char* wrong_pin = "31415926";

struct Snapshots : SpiedTrial {
    sam::Credential app = enrol(sam::anna()), phone = enrol(sam::boris(), "sms");
    std::vector<StoreCopy> copies;
    std::vector<std::pair<std::string, std::string>> sads;  // every SAD token that was ever handed out, and for what
    std::size_t disabled_at = 0;

    // What people do, and what thieves of phones do. Each step changes something that somebody would like back.
    void live(std::size_t step) {
        clock.advance(3h);
        switch (step % 10) {
            case 0: EXPECT_TRUE(sign(app, approve("contract"), {"contract"})); break;
            case 1: approve("never used"); break;
            case 2: EXPECT_FALSE(authorise(app, {.pin = wrong_pin, .code = code(app)})); break;  // a PIN try
            case 3: EXPECT_FALSE(authorise(app, {.code = sam::wrong(code(app))})); break;        // a code's try
            case 4: EXPECT_TRUE(challenge(phone, {"contract"})); break;
            case 5:
                EXPECT_TRUE(challenge(phone, {"contract"}));
                EXPECT_FALSE(authorise(phone, {.code = sam::wrong(last_code(phone.phone)), .held = "SMS"}));
                break;
            case 6: EXPECT_FALSE(authorise(app, {.pin = wrong_pin, .code = code(app)})); break;
            case 7: EXPECT_TRUE(set_disabled(phone, true)); break;
            case 8: EXPECT_TRUE(set_disabled(phone, false)); break;
            default: stop(), start();
        }
        copies.emplace_back(tokens.folder, "step-" + std::to_string(step));
    }
    std::string approve(const std::string& document) {
        clock.advance(30s);
        const auto sad = authorise(app, {.code = code(app), .documents = {document}});
        EXPECT_TRUE(sad) << describe(sad.error());
        sads.emplace_back(sad.value().sad(), document);
        return sads.back().first;
    }

    // Everything an attacker would try in a state that was put back. Returns how much of it worked.
    std::size_t try_everything() {
        std::size_t worked = 0;
        const auto answered = [&](const auto& result, Errc refusal) {
            if (result) ++worked;
            else EXPECT_EQ(result.error().code, refusal);
        };
        answered(authorise(app, {.pin = wrong_pin, .code = code(app)}), Errc::sealed);
        answered(authorise(app, {.code = code(app)}), Errc::sealed);
        answered(challenge(phone, {"contract"}), Errc::sealed);
        for (auto sad = sads.rbegin(); sad != sads.rend() && sad - sads.rbegin() < 2; ++sad)
            answered(sign(app, sad->first, {sad->second}), Errc::sealed);
        return worked;
    }

    // The store of `step` put back now; afterwards all is as it was.
    void restore(std::size_t step, bool crashes) {
        if (crashes) crash();
        else stop();
        const StoreCopy newest{tokens.folder, "newest"};
        copies[step].put_back();
        start_counting();
        start();
        EXPECT_EQ(try_everything(), 0u) << "step " << step << " put back after step " << copies.size() - 1;
        EXPECT_EQ(pin_evaluations(), 0u);
        stop();
        newest.put_back();
        start();
    }
};

TEST_F(Snapshots, T_19_OPS_03_AnyOfFiftyPutBackAtAnyTimeIsSeenAtTheStart) {
    const bool all_pairs = size_of_attack(0, 1) == 1;
    for (std::size_t step = 0; step < steps; ++step) {
        live(step);
        for (std::size_t earlier = 0; earlier < step; ++earlier)
            if (const bool chosen = earlier == step * 37 % 50; all_pairs || chosen)
                restore(earlier, chosen && step % 10 == 4);  // more crashes in a day would seal it for themselves
    }
    const auto signed_at_the_end = records("signed").size();
    for (std::size_t step = 0; step + 1 < steps; ++step) restore(step, false);
    EXPECT_EQ(records("signed").size(), signed_at_the_end);
    EXPECT_EQ(signed_at_the_end, steps / 10);
    clock.advance(1h);
    EXPECT_TRUE(sign(app, approve("still here"), {"still here"}));
}

// The harness can fail: with the store as it is, put back over itself, nothing is sealed and the attacker's right answers
// are served.
TEST_F(Snapshots, ProofOfTheHarness_TheNewestStoreIsNoOlderOne) {
    for (std::size_t step = 0; step < 3; ++step) live(step);
    stop();
    const StoreCopy newest{tokens.folder, "newest"};
    newest.put_back();
    start_counting();
    start();
    clock.advance(30s);
    EXPECT_TRUE(authorise(app, {.code = code(app)}));
    EXPECT_EQ(pin_evaluations(), 1u);
}

// People may let a SAM go on that was rolled back: what was spent since is not known, so no PIN of it counts before an
// officer vouches for it, and no SAD token of it signs.
TEST_F(Snapshots, OPS_03_AfterAnUnsealOfAnOlderStoreEveryPinWaitsForAnOfficer) {
    live(0);
    approve("a contract");
    copies.emplace_back(tokens.folder, "before");
    EXPECT_TRUE(sign(app, sads.back().first, {"a contract"}));
    clock.advance(30s);
    EXPECT_FALSE(authorise(app, {.pin = wrong_pin, .code = code(app)}));
    stop();
    copies.back().put_back();
    start();
    EXPECT_EQ(try_everything(), 0u);
    pb::SamRequest unseal;
    unseal.mutable_unseal()->set_reason("the disk died");
    ASSERT_TRUE(running->bootstrap.call<pb::Done>(unseal));
    start_counting();
    EXPECT_FALSE(sign(app, sads.back().first, {"a contract"})) << "signed once already, in what was lost";
    clock.advance(30s);
    EXPECT_FALSE(authorise(app, {.code = code(app)}));
    EXPECT_EQ(pin_evaluations(), 0u);
    ASSERT_TRUE(set_disabled(app, true));
    ASSERT_TRUE(set_disabled(app, false));
    clock.advance(30s);
    EXPECT_TRUE(authorise(app, {.code = code(app)}));
}

TEST_F(Snapshots, OPS_12_AClockSetBackBeforeAStartSealsIt) {
    live(0);
    stop();
    clock.set(clock.now() - 1h);
    start();
    EXPECT_EQ(try_everything(), 0u);
    stop();
    clock.set(clock.now() + 1h);
    start();
    EXPECT_TRUE(sign(app, approve("contract"), {"contract"}));
}

}  // namespace
}  // namespace qscd::attack
