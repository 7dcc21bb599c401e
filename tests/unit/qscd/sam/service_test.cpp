// What samd answers to whom, what its record says of it, and what stays out of it.
#include <future>
#include <latch>

#include "base/diagnostics.hpp"
#include "protocol/message.hpp"
#include "qscd/sam/permitted.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

using Case = pb::SamRequest::RequestCase;

const google::protobuf::OneofDescriptor& requests() {
    return *pb::SamRequest::descriptor()->FindOneofByName("request");
}
pb::SamRequest request_of(int index) {
    pb::SamRequest out;
    const auto* field = requests().field(index);
    out.GetReflection()->MutableMessage(&out, field);
    return out;
}

pb::SamRequest health_request() {
    pb::SamRequest out;
    out.mutable_health();
    return out;
}

using ServiceTest = TrialSam;

TEST_F(ServiceTest, SAM_10_WhatARoleMayNotAskIsRefusedAndOnTheRecord) {
    std::size_t refused = 0;
    for (int index = 0; index < requests().field_count(); ++index) {
        const auto request = request_of(index);
        for (auto [client, role] :
             {std::pair{&running->gateway, "gatewayd"}, std::pair{&running->bootstrap, "bootstrap"},
              std::pair{&running->stranger, "stranger"}}) {
            const auto answer = client->exchange(protocol::encode(request));
            const bool denied = !answer && answer.error().code == Errc::access_denied;
            EXPECT_EQ(denied, !permitted(request.request_case(), role))
                << requests().field(index)->name() << " by " << role;
            if (!denied) continue;
            ++refused;
            const auto record = records("refused").back();
            EXPECT_EQ(record.actor(), role);
            EXPECT_EQ(record.result(), "access_denied");
            EXPECT_EQ(field(record, "request"), requests().field(index)->name());
        }
    }
    EXPECT_GE(refused, 12u + 6u);
}

TEST_F(ServiceTest, SAM_11_NobodyButTheGatewayAuthorisesOrSigns) {
    for (const auto request : {Case::kAuthorise, Case::kSign, Case::kOpenChallenge})
        for (const auto* role : {"bootstrap", "stranger", "", "Gatewayd", "gatewayd "})
            EXPECT_FALSE(permitted(request, role));
}

TEST_F(ServiceTest, AnEmptyRequestIsRefused) {
    for (auto* client : {&running->gateway, &running->bootstrap, &running->stranger})
        EXPECT_FALSE(client->exchange({}));
}

TEST_F(ServiceTest, BytesThatAreNoRequestAreRefused) {
    for (const auto* hex : {"00", "ff", "0a01", "0a00ff", "0a000a00", "fa0700", "0a020a"})
        EXPECT_FALSE(running->gateway.exchange(*from_hex(hex))) << hex;
    EXPECT_TRUE(running->gateway.call<pb::SamHealthReport>(health_request()));
}

struct BadField {
    const char* name;
    std::function<void(pb::SamRequest&)> make;
    Errc refusal;
};
const std::string id16(16, 'i'), hash32(32, 'h');
const BadField bad_fields[] = {
    {"DescribeWithAShortId", [](auto& r) { r.mutable_describe()->set_credential("short"); }, Errc::parameter_invalid},
    {"ListWithALongId", [](auto& r) { r.mutable_list()->set_signer(std::string(17, 'x')); }, Errc::parameter_invalid},
    {"AuthoriseWithoutClient", [](auto& r) { r.mutable_authorise()->set_credential(id16); }, Errc::parameter_invalid},
    {"AuthoriseWithAStrangeClient",
     [](auto& r) {
         r.mutable_authorise()->set_client("a b");
         r.mutable_authorise()->set_credential(id16);
     },
     Errc::parameter_invalid},
    {"AuthoriseWithAHugeFactor",
     [](auto& r) {
         auto& a = *r.mutable_authorise();
         a.set_client("portal");
         a.set_credential(id16);
         a.add_factors()->set_value(std::string(65, '1'));
     },
     Errc::parameter_invalid},
    {"SignWithAShortHash",
     [](auto& r) {
         auto& s = *r.mutable_sign();
         s.set_client("portal");
         s.set_credential(id16);
         s.set_hash_algorithm(1);
         s.add_hashes("short");
     },
     Errc::hash_wrong_length},
    {"SignWithAnUnknownHashAlgorithm",
     [](auto& r) {
         auto& s = *r.mutable_sign();
         s.set_client("portal");
         s.set_credential(id16);
         s.set_hash_algorithm(4);
         s.add_hashes(hash32);
     },
     Errc::parameter_invalid},
    {"SignWithAnUnknownScheme",
     [](auto& r) {
         auto& s = *r.mutable_sign();
         s.set_client("portal");
         s.set_credential(id16);
         s.set_hash_algorithm(1);
         s.add_hashes(hash32);
         s.set_scheme(4);
     },
     Errc::parameter_invalid},
    {"SignWith101Hashes",
     [](auto& r) {
         auto& s = *r.mutable_sign();
         s.set_client("portal");
         s.set_credential(id16);
         s.set_hash_algorithm(1);
         for (int i = 0; i < 101; ++i) s.add_hashes(hash32);
     },
     Errc::too_many_signatures},
    {"SignWithALongIdempotencyKey",
     [](auto& r) {
         auto& s = *r.mutable_sign();
         s.set_client("portal");
         s.set_credential(id16);
         s.set_hash_algorithm(1);
         s.add_hashes(hash32);
         s.set_scheme(1);
         s.set_idempotency_key(std::string(129, 'k'));
     },
     Errc::parameter_invalid},
};
struct AField : ServiceTest, ::testing::WithParamInterface<BadField> {};
INSTANTIATE_TEST_SUITE_P(, AField, ::testing::ValuesIn(bad_fields), [](const auto& test) { return test.param.name; });
TEST_P(AField, IsRefusedBeforeAnythingIsDone) {
    pb::SamRequest request;
    GetParam().make(request);
    const auto answer = running->gateway.exchange(protocol::encode(request));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, GetParam().refusal) << describe(answer.error());
}

TEST_F(ServiceTest, DescribesAndListsWhatIsThere) {
    const auto person = anna();
    const auto credential = enrol(person);
    pb::SamRequest describe_it, list;
    describe_it.mutable_describe()->set_credential(std::string{text_of(credential.id.bytes())});
    list.mutable_list()->set_signer(std::string{text_of(person.signer.bytes())});
    const auto described = running->gateway.call<pb::CredentialDescription>(describe_it).value();
    EXPECT_EQ(described.status(), pb::CredentialDescription::ACTIVE);
    EXPECT_EQ(described.profile(), "totp");
    EXPECT_EQ(bytes_of(described.certificate()), credential.certificate);
    EXPECT_EQ(running->gateway.call<pb::CredentialList>(list).value().credentials_size(), 1);
    ASSERT_TRUE(set_disabled(credential, true));
    EXPECT_EQ(running->gateway.call<pb::CredentialDescription>(describe_it).value().status(),
              pb::CredentialDescription::DISABLED);
    describe_it.mutable_describe()->set_credential(id16);
    EXPECT_EQ(running->gateway.call<pb::CredentialDescription>(describe_it).error().code, Errc::parameter_invalid);
}

TEST_F(ServiceTest, HealthSaysWhatIsAway) {
    const auto health = [&] { return running->gateway.call<pb::SamHealthReport>(health_request()).value(); };
    EXPECT_TRUE(health().tokens());
    EXPECT_TRUE(health().store());
    EXPECT_GT(health().log_size(), 0u);
    stop();
    {
        const auto store = store::Database::open(tokens.store()).value();
        ASSERT_TRUE(store->execute("DELETE FROM head"));
    }
    start();
    EXPECT_TRUE(health().tokens());
    EXPECT_FALSE(health().store());
}

TEST_F(ServiceTest, AStoreThatDoesNotMatchItsHeadServesNothing) {
    const auto credential = enrol(anna());
    stop();
    {
        const auto store = store::Database::open(tokens.store()).value();
        ASSERT_TRUE(store->execute("DELETE FROM log WHERE seq = 3"));
    }
    start();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::sealed);
    EXPECT_EQ(sign(credential, std::string(32, 's')).error().code, Errc::sealed);
    EXPECT_EQ(begin(desk.sign(grant_for(boris()))).error().code, Errc::sealed);
    EXPECT_EQ(unseal("please").error().code, Errc::sealed) << "people cannot let go on what was changed";
}

TEST_F(ServiceTest, SAM_23_ASealedStateGoesOnByTheWordOfPeopleAndItsPinsAreLocked) {
    const auto credential = enrol(anna());
    EXPECT_EQ(unseal("no need").error().code, Errc::out_of_order);
    stop();
    const auto copy = instruments::contents_of(tokens.store());
    start();
    approved(credential);
    stop();
    instruments::put_back(tokens.store(), copy);
    start();
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::sealed);
    EXPECT_FALSE(running->gateway.call<pb::SamHealthReport>(health_request()).value().store());
    EXPECT_EQ(unseal("").error().code, Errc::parameter_invalid);
    const auto told = running->gateway.call<pb::SamHealthReport>(health_request()).value().detail();
    EXPECT_NE(told.find("older than its anchor"), std::string::npos) << told;
    EXPECT_TRUE(unseal("restored from the backup of last night"));
    EXPECT_EQ(field(records("unsealed").at(0), "reason"), "restored from the backup of last night");
    clock.advance(90s);
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_locked);
    ASSERT_TRUE(set_disabled(credential, false)) << "an officer vouches for it";
    next_step();
    EXPECT_TRUE(authorise(credential, {.code = code(credential)}));
}

// A SAD token that was used in the time that the restore took away.
TEST_F(ServiceTest, SAM_06_WhatWasApprovedBeforeARestoreIsWorthNothingWhenItsCredentialIsVouchedFor) {
    const auto credential = enrol(anna());
    const auto sad = approved(credential);
    stop();
    const auto copy = instruments::contents_of(tokens.store());
    start();
    ASSERT_TRUE(sign(credential, sad));
    stop();
    instruments::put_back(tokens.store(), copy);
    start();
    ASSERT_TRUE(unseal("restored"));
    EXPECT_EQ(sign(credential, sad).error().code, Errc::credential_locked);
    ASSERT_TRUE(set_disabled(credential, false));
    EXPECT_EQ(sign(credential, sad).error().code, Errc::parameter_invalid) << "not live again";
}

TEST_F(ServiceTest, AUD_01_TheRecordBeginsWithTheGenesisAndTellsEachStart) {
    stop();
    start();
    const auto all = records();
    EXPECT_EQ(all.at(0).type(), "genesis");
    EXPECT_EQ(field(all.at(0), "trial"), "true");
    EXPECT_EQ(records("genesis").size(), 1u);
    EXPECT_EQ(records("started").size(), 2u);
    EXPECT_EQ(field(records("started")[0], "policy"), rules.version().hex());
}

bool stands_alone_in(const std::string& text, const std::string& word) {
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
        const auto free = [&](std::size_t i) {
            return i >= text.size() || !std::isxdigit(static_cast<unsigned char>(text[i]));
        };
        if ((at == 0 || free(at - 1)) && free(at + word.size())) return true;
    }
    return false;
}

TEST_F(ServiceTest, SAM_05_NoPinNoCodeAndNoTokenReachTheRecordTheStoreOrTheDiagnostics) {
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    const auto by_app = enrol(anna(), "totp", "48151623");
    std::vector<std::string> secrets{"48151623", "99887766", last_code(anna().phone)};
    const auto by_sms = enrol(boris(), "sms", "48151623");
    secrets.push_back(last_code(boris().phone));
    next_step();
    secrets.push_back(code(by_app));
    EXPECT_FALSE(authorise(by_app, {.pin = "99887766", .code = code(by_app)}));
    const auto sad = approved(by_app);
    secrets.push_back(code(by_app));
    EXPECT_TRUE(sign(by_app, sad));
    EXPECT_TRUE(challenge(by_sms, {"contract"}));
    secrets.push_back(last_code(boris().phone));
    EXPECT_FALSE(authorise(by_sms, {.pin = "99887766", .code = last_code(boris().phone), .held = "SMS"}));
    running->stranger.exchange(protocol::encode(request_of(3))).has_value();

    std::string written;
    for (const auto& record : records()) written += record.DebugString();
    stop();
    written += ::testing::internal::GetCapturedStderr() + ::testing::internal::GetCapturedStdout();
    for (const auto* file : {"samd.sqlite", "samd.sqlite-wal"})
        if (const auto bytes = read_file(tokens.folder / file, 1 << 30)) written += bytes.value();
    for (const auto& secret : secrets) EXPECT_FALSE(stands_alone_in(written, secret)) << secret;
    EXPECT_EQ(written.find(sad), std::string::npos);
    EXPECT_EQ(written.find(std::string{text_of(by_app.totp_secret)}), std::string::npos);
    EXPECT_EQ(written.find(anna().phone), std::string::npos);
    EXPECT_EQ(written.find("sterreicher"), std::string::npos);
}

using CoreTest = TrialSam;

TEST_F(CoreTest, SAM_24_StepsThatWaitTogetherShareOneCommit) {
    std::latch hold{1}, done{10};
    running->core->post([&](Ledger&) { hold.wait(); }, [](const Error&) {});
    for (int i = 0; i < 10; ++i)
        running->core->post(
            [&](Ledger& ledger) {
                ledger.record({Event::refused, "portal"});
                running->core->after_commit([&](Ledger&, const Result<void>& committed) {
                    EXPECT_TRUE(committed);
                    done.count_down();
                });
            },
            [](const Error&) {});
    hold.count_down();
    done.wait();
    const auto mine = records("refused");
    ASSERT_EQ(mine.size(), 10U);
    EXPECT_LE(mine.back().seq() - mine.front().seq(), 10U) << "one closing record among them at most";
}

TEST_F(CoreTest, WhatIsPostedAfterTheEndIsRefused) {
    running->core->stop();
    bool refused = false;
    running->core->post([](Ledger&) { FAIL(); },
                        [&](const Error& error) { refused = error.code == Errc::service_away; });
    EXPECT_TRUE(refused);
}

TEST_F(CoreTest, WhatWaitsAtTheEndIsDoneAndDurable) {
    std::latch hold{1};
    running->core->post([&](Ledger&) { hold.wait(); }, [](const Error&) {});
    std::atomic<bool> durable = false;
    running->core->post(
        [&](Ledger& ledger) {
            ledger.record({Event::stopped, "samd"});
            running->core->after_commit(
                [&](Ledger&, const Result<void>& committed) { durable = committed.has_value(); });
        },
        [](const Error&) {});
    std::thread release{[&] { hold.count_down(); }};
    running->core->stop();
    release.join();
    EXPECT_TRUE(durable);
    stop();
    start();
    EXPECT_EQ(records("stopped").size(), 1u);
}

TEST_F(CoreTest, QSCD_19_KeysAreRotatedWhileSignersSignAndTheOldCellKeyIsDestroyed) {
    const auto credential = enrol(anna()), other = enrol(boris());
    std::atomic<bool> ended = false;
    std::atomic<int> good = 0;
    const auto sad = approved(credential, {"a", "b", "c", "d", "e"});
    std::thread load{[&] {
        for (const auto* document : {"a", "b", "c", "d", "e"}) good += sign(credential, sad, {document}) ? 1 : 0;
        ended = true;
    }};
    EXPECT_TRUE(rotate_keys("yearly"));
    load.join();
    EXPECT_EQ(good, 5) << "whoever waited was served afterwards";
    EXPECT_EQ(field(records("key-rotated").at(0), "reason"), "yearly");
    EXPECT_EQ(records("sign-outcome-unknown").size(), 0u);
    const auto cell_keys = [&] { return running->sam_token->keys("K_cell").value().size(); };
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    for (int i = 0; i < 3; ++i)
        EXPECT_FALSE(authorise(other, {.pin = "00000000", .code = wrong(code(other))})) << "under load";
    while (cell_keys() != 1 && std::chrono::steady_clock::now() < deadline) records("key-destroyed");
    EXPECT_EQ(cell_keys(), 1u);
    const auto pin_keys = [&] { return running->sam_token->keys("K_pin").value().size(); };
    EXPECT_EQ(pin_keys(), 2u) << "verifiers still hang on the old one";
    clock.advance(10min);
    for (const auto* each : {&credential, &other})
        EXPECT_FALSE(approved(*each).empty()) << "with the PIN it always had, which makes its verifier anew";
    stop();
    start();
    while (pin_keys() != 1 && std::chrono::steady_clock::now() < deadline) records("key-destroyed");
    EXPECT_EQ(pin_keys(), 1u);
    for (const auto* each : {&credential, &other}) EXPECT_FALSE(approved(*each).empty());
}

TEST_F(CoreTest, SAM_24_AnotherOwnerEndsThisOneForGood) {
    const auto credential = enrol(anna());
    in_store([&](Ledger& ledger) { ledger.record({Event::refused, "somebody else", credential.id}); });
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::fenced);
    EXPECT_FALSE(authorise(credential, {.code = code(credential)})) << "nothing more from this one";
    running->core->stop();
    EXPECT_TRUE(running->lost);
    EXPECT_TRUE(running->fenced);
    stop();
    start();
    EXPECT_FALSE(authorise(credential, {.code = code(credential)})) << "steps up to the takeover are spent";
    clock.advance(90s);
    EXPECT_TRUE(authorise(credential, {.code = code(credential)})) << "the next start reads what is true";
}

TEST_F(CoreTest, AStopWhileSignaturesAreUnderWayLosesNoIntent) {
    const auto credential = enrol(anna());
    const auto sad = approved(credential, {"a", "b", "c", "d", "e"});
    std::vector<std::thread> askers;
    for (const auto* document : {"a", "b", "c", "d", "e"})
        askers.emplace_back([&, document] { std::ignore = sign(credential, sad, {document}); });
    auto ended = std::async(std::launch::async, [this] {
        running->server.stop();
        running->core->stop();
    });
    for (auto& asker : askers) asker.join();
    ended.get();
    stop();
    start();
    const auto intents = records("sign-intent").size();
    EXPECT_EQ(records("signed").size() + records("sign-outcome-unknown").size(), intents);
}

// A genesis for production and a policy with trial profiles: nothing is opened, and health says why.
TEST(ATrialPolicy, SAM_03_DoesNotOpenASamThatWasNotMadeForTrial) {
    TrialModule tokens;
    const FixedClock clock{noon};
    const auto rules = trial_policy();
    const Desk desk{noon};
    tokens.open_sam(rules.version(), false);
    Running running{tokens, rules, desk, clock};
    pb::SamRequest health;
    health.mutable_health();
    const auto report = running.bootstrap.call<pb::SamHealthReport>(health);
    ASSERT_TRUE(report) << describe(report.error());
    EXPECT_NE(report.value().detail().find("genesis is not for trial"), std::string::npos) << report.value().detail();
    EXPECT_EQ(report.value().log_size(), 0U);
}

}  // namespace
}  // namespace qscd::sam
