// A module whose generator dies under a SAM that works: no secret is made, nothing of the signers' is spent, and everybody
// who should know is told. The module is a real SoftHSM2 behind the spy. [QSCD-24] [AUTHN-29]
#include <cstdlib>
#include <unistd.h>

#include "base/file.hpp"
#include "tests/unit/hsm/soft_token.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

// The spy keeps the files that it was given first: one for the process.
std::filesystem::path file_named(const char* name) {
    static const auto folder = [] {
        auto out = std::filesystem::temp_directory_path() / ("qscd-randomness-" + std::to_string(::getpid()));
        std::filesystem::create_directories(out);
        (void)std::atexit([] {
            std::error_code ignored;
            std::filesystem::remove_all(
                std::filesystem::temp_directory_path() / ("qscd-randomness-" + std::to_string(::getpid())), ignored);
        });
        return out;
    }();
    return folder / name;
}

struct Randomness : TrialSam {
    Randomness() {
        stop();
        command("");
        tokens.module.reset();
        ::setenv("QSCD_SPY_TARGET", hsm::SoftToken::library().c_str(), 1);
        ::setenv("QSCD_SPY_LOG", file_named("log").c_str(), 1);
        ::setenv("QSCD_SPY_FAULTS", file_named("faults").c_str(), 1);
        tokens.module = hsm::Module::load({QSCD_SPY_LIBRARY,
                                           "",
                                           {{"SOFTHSM2_CONF", (tokens.folder / "softhsm2.conf").string()}},
                                           tokens.folder / "tokens"})
                            .value();
        tokens.flows_a_seed = 1;  // so that a fault shows at once
        start();
    }
    ~Randomness() override { command(""); }

    static void command(const std::string& lines) {
        (void)write_file(file_named("faults"), lines.empty() ? lines : lines + "\n").value();
    }
    Result<pb::Authorised> try_authorise(const Credential& credential) {
        next_step();
        return authorise(credential, {.code = code(credential)});
    }
    // "repeat" shows with the second draw.
    Error refused(const Credential& credential) {
        auto answer = try_authorise(credential);
        if (answer) answer = try_authorise(credential);
        EXPECT_FALSE(answer);
        return answer ? Error{} : answer.error();
    }
    pb::SamHealthReport health() {
        pb::SamRequest request;
        (void)request.mutable_health();
        return running->gateway.call<pb::SamHealthReport>(request).value();
    }
};

struct DeadGenerator : Randomness, testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(, DeadGenerator,
                         testing::Values("stuck-random 00", "stuck-random 0123456789", "stuck-random repeat"));

TEST_P(DeadGenerator, QSCD_24_StopsAuthorisationsForGoodAndIsTold) {
    const auto signer = enrol(anna());
    const auto sad = approved(signer);
    ASSERT_TRUE(health().tokens());
    command(GetParam());
    EXPECT_EQ(refused(signer).code, Errc::internal);
    EXPECT_TRUE(sign(signer, sad)) << "what was approved before needs no new secret";
    for (int i = 0; i < 5; ++i) EXPECT_EQ(try_authorise(signer).error().code, Errc::internal);

    const auto told = records("randomness-failed");
    ASSERT_EQ(told.size(), 1U) << "once";
    EXPECT_NE(field(told[0], "reason").find("randomness"), std::string::npos) << field(told[0], "reason");
    EXPECT_EQ(told[0].result(), "internal");
    const auto refusals = records("refused");
    ASSERT_GE(refusals.size(), 5U);
    EXPECT_EQ(field(refusals.back(), "request"), "authorize");
    EXPECT_FALSE(health().tokens());
    EXPECT_NE(health().detail().find("randomness"), std::string::npos) << health().detail();

    command("");
    EXPECT_EQ(try_authorise(signer).error().code, Errc::internal) << "a generator that was dead once is not believed";
    stop();
    start();
    EXPECT_TRUE(health().tokens());
    EXPECT_TRUE(try_authorise(signer)) << "no try was lost, and no day's limit reached";
}

TEST_F(Randomness, QSCD_24_AModuleThatRefusesStopsThemUntilItAnswersAgain) {
    const auto signer = enrol(anna());
    for (int round = 1; round <= 2; ++round) {
        command("C_GenerateRandom 1+ 0x120");  // CKR_RANDOM_SEED_NOT_SUPPORTED
        for (int i = 0; i < 3; ++i) EXPECT_FALSE(try_authorise(signer));
        EXPECT_FALSE(health().tokens());
        EXPECT_NE(health().detail().find("C_GenerateRandom"), std::string::npos) << health().detail();
        EXPECT_EQ(records("randomness-failed").size(), static_cast<std::size_t>(round)) << "each time that it begins";
        command("");
        EXPECT_TRUE(try_authorise(signer));
        EXPECT_TRUE(health().tokens());
    }
}

TEST_F(Randomness, QSCD_24_ATokenThatCannotBeDrawnAfterTheFactorsCostsNoPinTry) {
    const auto signer = enrol(anna());
    for (int i = 0; i < 4; ++i) {  // more than there are PIN tries
        command("C_GenerateRandom 2 0x120");
        EXPECT_FALSE(try_authorise(signer));
    }
    command("");
    EXPECT_TRUE(records("authorisation-failed").empty());
    EXPECT_TRUE(records("credential-blocked").empty());
    EXPECT_TRUE(try_authorise(signer));
}

TEST_F(Randomness, QSCD_24_NoChallengeIsSent) {
    const auto signer = enrol(boris(), "sms");
    const auto sent = sms_count();
    command("stuck-random 00");
    EXPECT_EQ(challenge(signer, {"contract"}).error().code, Errc::internal);
    EXPECT_EQ(sms_count(), sent);
    EXPECT_TRUE(records("challenge-opened").empty());
    EXPECT_EQ(field(records("refused").back(), "request"), "getChallenge");
}

TEST_F(Randomness, QSCD_24_EnrolmentsWaitAndLoseNothing) {
    const auto first = grant_for(anna()), second = grant_for(boris());
    ASSERT_TRUE(begin(desk.sign(first)));
    const auto code = last_code(anna().phone);
    const auto sent = sms_count();
    command("C_GenerateRandom 1+ 0x120");
    EXPECT_FALSE(begin(desk.sign(second)));
    EXPECT_EQ(sms_count(), sent);
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(set_factors(first.enrolment, "48151623", code));  // the code has three tries
    EXPECT_TRUE(records("factors-set").empty());
    EXPECT_TRUE(records("enrolment-code-wrong").empty());
    EXPECT_EQ(records("grant-accepted").size(), 1U);
    command("");
    EXPECT_TRUE(set_factors(first.enrolment, "48151623", code));
    EXPECT_TRUE(begin(desk.sign(second)));
    EXPECT_EQ(sms_count(), sent + 1);
}

TEST_F(Randomness, QSCD_24_AStartWithADeadGeneratorServesNobody) {
    const auto signer = enrol(anna());
    stop();
    command("stuck-random 00");
    start();
    EXPECT_EQ(try_authorise(signer).error().code, Errc::internal);
    EXPECT_FALSE(health().tokens());
    EXPECT_NE(health().detail().find("randomness"), std::string::npos) << health().detail();
    stop();
    command("");
    start();
    EXPECT_TRUE(try_authorise(signer));
}

}  // namespace
}  // namespace qscd::sam
