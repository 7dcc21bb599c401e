// What an answer tells of the factor that failed, and of the credential it was about: its bytes, the module calls, the
// batches and the records behind it are counted for each branch and must be the same. Times are compared in the full run
// only, where no neighbour disturbs them. [T-15] [T-16] [AUTHN-09] [AUTHN-30]
#include <gmock/gmock.h>
#include <random>

#include "tests/attack/spied_trial.hpp"
#include "tests/attack/welch.hpp"

namespace qscd::attack {
namespace {

using namespace std::chrono_literals;
using sam::noon;

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

// All that somebody outside, beside the disk or beside the module could count.
struct Work {
    std::string answer;  // failure, and its bytes
    std::map<std::string, std::size_t> module_calls;
    std::size_t batches = 0, records = 0, sealed = 0;
    std::vector<std::string> record_shapes;
    bool operator==(const Work&) const = default;
};
void PrintTo(const Work& work, std::ostream* out) {
    *out << work.batches << " batches, " << work.records << " records, answer " << work.answer << ", calls";
    for (const auto& [call, count] : work.module_calls) *out << " " << call << "=" << count;
    for (const auto& shape : work.record_shapes) *out << "\n    " << shape;
}

struct EqualAnswers : SpiedTrial {
    sam::Credential app = enrol(sam::anna()), phone = enrol(sam::boris(), "sms");
    Wire wire = gateway();

    Work work_of(const pb::SamRequest& request) {
        const auto from = records().size();
        start_counting();
        const auto answer = wire.ask(request).value();
        Work work;
        work.answer = (answer.good ? "good " + std::to_string(answer.body.size()) : "failure " + to_hex(answer.body));
        for (const auto& call : calls()) ++work.module_calls[call["call"] + " " + call["label"]];
        auto all = records();
        for (auto at = from; at < all.size(); ++at) {
            auto& record = all[at];
            if (record.has_closing()) ++work.batches;
            ++work.records;
            work.sealed += record.sealed().size();
            auto shape = record.type() + " " + record.result() + " " + std::to_string(record.sealed().size());
            for (const auto& each : record.fields())
                shape += " " + each.name() + (record.has_closing() ? "" : "=" + each.value());
            if (record.has_closing()) shape += " changed " + std::to_string(record.closing().changed_size());
            work.record_shapes.push_back(std::move(shape));
        }
        next_try();
        return work;
    }
    // Another minute for the limits by the minute, another day for those by the day, and a fresh code.
    void next_try() { clock.advance(24h); }

    std::string wrong_code() const {
        for (auto guess = 314'159u;; ++guess) {
            bool lucky = false;
            for (const auto at : {-30s, 0s, 30s})
                lucky |= std::to_string(guess) == sam::totp(app.totp_secret, clock.now() + at);
            if (!lucky) return std::to_string(guess);
        }
    }
    pb::SamRequest by_app(const std::string& pin, const std::string& code) const {
        return authorise_request(app.id, {"contract"}, pin, code);
    }
    // Its challenge was opened a moment ago.
    pb::SamRequest by_sms(const std::string& pin, bool right) {
        EXPECT_TRUE(challenge(phone, {"contract"}));
        const auto code = last_code(phone.phone);
        return authorise_request(phone.id, {"contract"}, pin, right ? code : sam::wrong(code), "SMS");
    }
    void recover() {  // PIN tries are restored by success
        clock.advance(24h);
        EXPECT_TRUE(authorise(app, {.code = code(app)}));
        EXPECT_TRUE(challenge(phone, {"contract"}));
        EXPECT_TRUE(authorise(phone, {.code = last_code(phone.phone), .held = "SMS"}));
        clock.advance(24h);
    }
};

constexpr const char *right_pin = "48151623", *wrong_pin = "31415926", *short_pin = "3141", *no_pin = "let me in";

TEST_F(EqualAnswers, AUTHN_09_WhicheverFactorFailedTheWorkAndTheAnswerAreTheSame) {
    recover();
    const auto wrong_code_alone = work_of(by_app(right_pin, wrong_code()));
    EXPECT_EQ(wrong_code_alone.batches, 2u) << "one before the compare, one after";
    EXPECT_EQ(work_of(by_app(wrong_pin, wrong_code())), wrong_code_alone);
    EXPECT_EQ(work_of(by_app(wrong_pin, code(app))), wrong_code_alone);
    recover();
    EXPECT_EQ(work_of(by_app(short_pin, code(app))), wrong_code_alone) << "a PIN of another length";
    EXPECT_EQ(work_of(by_app(no_pin, code(app))), wrong_code_alone) << "what cannot be a PIN";
    recover();
    const auto right = work_of(by_app(right_pin, code(app)));
    EXPECT_EQ(right.batches, wrong_code_alone.batches);
    EXPECT_EQ(right.module_calls, wrong_code_alone.module_calls) << "up to the answer";
}

TEST_F(EqualAnswers, AUTHN_09_TheSameByMessage) {
    recover();
    const auto wrong_code_alone = work_of(by_sms(right_pin, false));
    EXPECT_EQ(wrong_code_alone.batches, 2u);
    EXPECT_EQ(work_of(by_sms(wrong_pin, false)), wrong_code_alone);
    EXPECT_EQ(work_of(by_sms(wrong_pin, true)), wrong_code_alone);
    recover();
    const auto right = work_of(by_sms(right_pin, true));
    EXPECT_EQ(right.batches, wrong_code_alone.batches);
    EXPECT_EQ(right.module_calls, wrong_code_alone.module_calls);
}

TEST_F(EqualAnswers, AUTHN_09_ARealPinIsEvaluatedOnlyAfterARightCode) {
    recover();
    for (const auto& [pin, right, evaluated] : {std::tuple{right_pin, false, 0u},
                                                {wrong_pin, false, 0u},
                                                {wrong_pin, true, 1u},
                                                {no_pin, true, 0u},
                                                {right_pin, true, 1u}}) {
        work_of(by_app(pin, right ? code(app) : wrong_code()));
        EXPECT_EQ(pin_evaluations(), evaluated) << pin << right;
    }
}

// Who reads the log knows which credential it was; so here the records are left out.
TEST_F(EqualAnswers, AUTHN_30_AnUnknownAndABlockedCredentialAnswerLikeAnyOther) {
    recover();
    const auto work_of = [&](const pb::SamRequest& request) {
        auto work = EqualAnswers::work_of(request);
        work.record_shapes.clear();
        work.records = work.sealed = 0;
        return work;
    };
    const auto known = work_of(by_app(wrong_pin, wrong_code()));
    auto unknown = by_app(wrong_pin, "314159");
    unknown.mutable_authorise()->set_credential(string_of(random_bytes(16)));
    EXPECT_EQ(work_of(unknown), known);
    for (int i = 0; i < 3; ++i) work_of(by_app(wrong_pin, code(app)));
    ASSERT_EQ(records("credential-blocked").size(), 1u);
    EXPECT_EQ(work_of(by_app(wrong_pin, wrong_code())), known);
    EXPECT_EQ(work_of(by_app(right_pin, wrong_code())), known);
}

// The harness can fail: a request that is refused before the module is asked differs in each of its counts.
TEST_F(EqualAnswers, ProofOfTheHarness_AShorterPathIsSeen) {
    recover();
    const auto whole = work_of(by_app(wrong_pin, wrong_code()));
    auto none = by_app(wrong_pin, wrong_code());
    none.mutable_authorise()->clear_hashes();
    const auto shorter = work_of(none);
    EXPECT_NE(shorter.answer, whole.answer);
    EXPECT_LT(shorter.batches, whole.batches);
    EXPECT_NE(shorter.module_calls, whole.module_calls);
    EXPECT_FALSE(shorter == whole);
}

// A reproducible bell of times around `mean`.
std::vector<double> times_around(double mean, std::size_t count, unsigned seed) {
    std::mt19937 random{seed};
    std::normal_distribution<double> bell{mean, 200};
    std::vector<double> out(count);
    for (auto& each : out) each = bell(random);
    return out;
}
TEST(WelchT, ProofOfTheHarness_ALeakOfOnePerCentOfAnAnswerIsSeenAndNoneIsNot) {
    const auto one = times_around(1000, 50'000, 1), same = times_around(1000, 50'000, 2),
               leaking = times_around(1010, 50'000, 3);
    EXPECT_LT(std::abs(welch_t(one, same)), leak_threshold);
    EXPECT_GT(std::abs(welch_t(one, leaking)), leak_threshold);
}

// Whole answers, taken turn by turn, so that drift touches all branches alike.
struct Timing : EqualAnswers {
    using Branch = std::pair<std::string, std::function<pb::SamRequest()>>;
    CredentialId blocked = random_fixed<CredentialId>();

    // A credential for centuries, since each sample takes some hours of the SAM's time, and a blocked one beside it.
    void prepare() {
        wire = {};
        stop();
        in_store([&](sam::Ledger& ledger) {
            auto cell = ledger.credential(app.id).value().value();
            cell.set_not_after(unix_seconds(noon + std::chrono::years{2000}));
            ledger.put(cell);
            cell.set_id(string_of(blocked.bytes()));
            cell.set_pin_tries_left(0);
            ledger.put(cell);
            ledger.record({sam::Event::factors_set, "bootstrap"});
        });
        start();
        wire = gateway();
    }
    std::map<std::string, double> compare(const std::vector<Branch>& branches, std::size_t rounds) {
        std::vector<std::vector<double>> times(branches.size());
        for (std::size_t round = 0; round < rounds; ++round) {
            for (std::size_t i = 0; i < branches.size(); ++i) {
                const auto at = (i + round) % branches.size();
                const auto request = branches[at].second();
                const auto began = std::chrono::steady_clock::now();
                const auto answer = wire.ask(request);
                const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
                EXPECT_EQ(answer.value().refusal(), Errc::factors_wrong) << branches[at].first;
                times[at].push_back(took.count());
                clock.advance(6h);
            }
            EXPECT_TRUE(authorise(app, {.code = code(app)})) << "restores the PIN tries";
            clock.advance(6h);
        }
        std::map<std::string, double> out;
        for (std::size_t i = 1; i < branches.size(); ++i) {
            const auto t = out[branches[i].first] = welch_t(times[0], times[i]);
            std::cout << "  " << branches[i].first << " against " << branches[0].first << ": t = " << t << ", "
                      << moments_of(times[i], 0.9).mean << " and " << moments_of(times[0], 0.9).mean << " µs\n";
        }
        return out;
    }
    pb::SamRequest about(const CredentialId& credential) const {
        auto request = by_app(wrong_pin, wrong_code());
        request.mutable_authorise()->set_credential(string_of(credential.bytes()));
        return request;
    }
};

TEST_F(Timing, T_15_T_16_WholeAnswersTakeTheSameTime) {
    const auto rounds = size_of_attack(0, 200'000);
    if (rounds == 0) GTEST_SKIP() << "times are compared in the full run: ./dev attack";
    prepare();
    const auto t = compare({{"right PIN, wrong code", [&] { return by_app(right_pin, wrong_code()); }},
                            {"wrong PIN, wrong code", [&] { return by_app(wrong_pin, wrong_code()); }},
                            {"wrong PIN, right code", [&] { return by_app(wrong_pin, code(app)); }},
                            {"blocked credential", [&] { return about(blocked); }},
                            {"unknown credential", [&] { return about(random_fixed<CredentialId>()); }}},
                           rounds);
    // An unknown one has no cells to write, which takes some of the time of a batch. Only the gateway can ask about one, and
    // whom samd knows it may ask by `describe`; people at the gateway hear about their own credentials alone.
    for (const auto* branch : {"wrong PIN, wrong code", "wrong PIN, right code", "blocked credential"})
        EXPECT_LT(std::abs(t.at(branch)), leak_threshold) << branch;
}

}  // namespace
}  // namespace qscd::attack
