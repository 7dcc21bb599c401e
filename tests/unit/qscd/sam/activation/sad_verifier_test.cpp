// SAD tokens: each listed hash occurrence once, until it expires, and nothing else.
#include "qscd/sam/activation/sad_verifier.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace qscd::sam {
namespace {

using namespace std::chrono_literals;

const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;
const ClientId portal = ClientId::from("portal").value();

DtbsR hash_of(char document, HashAlgorithm algorithm = HashAlgorithm::sha256) {
    return DtbsR::from(algorithm, digest(algorithm, view_of(std::string{document}))).value();
}

// Anna's credential, on which she approved two copies of a and one b at noon, for the portal and for two minutes.
struct Approved {
    CredentialId id = random_fixed<CredentialId>();
    cell::Credential cell;
    SecretBytes sad = [this] {
        cell.set_id(std::string{text_of(id.bytes())});
        return issue_sad(cell, portal, {hash_of('a'), hash_of('b'), hash_of('a')}, noon + 120s, fill_random);
    }();

    SignRequest ask(std::vector<DtbsR> hashes, std::string key = "") const {
        return {portal, id, SecretBytes{sad.reveal()}, std::move(hashes), Scheme::ecdsa, std::move(key)};
    }
    Result<Activation> verify(const SignRequest& request, TimePoint at = noon + 5s) {
        return SadVerifier::verify(cell, request, at);
    }
    Errc refusal(const SignRequest& request, TimePoint at = noon + 5s) {
        const auto before = cell.SerializeAsString();
        const auto verdict = verify(request, at);
        EXPECT_EQ(cell.SerializeAsString(), before) << "a refusal consumes nothing";
        return verdict ? Errc{} : verdict.error().code;
    }
};

TEST(SadVerifier, SAM_01_MakesAnActivationOfWhatAnnaApproved) {
    Approved anna;
    const auto activation = anna.verify(anna.ask({hash_of('a'), hash_of('b')}));
    ASSERT_TRUE(activation);
    EXPECT_EQ(activation.value().credential(), anna.id);
    EXPECT_EQ(activation.value().hashes(), (std::vector{hash_of('a'), hash_of('b')}));
    EXPECT_EQ(activation.value().scheme(), Scheme::ecdsa);
}

// Take a good request, change one thing, and it activates nothing.
struct Change {
    const char* name;
    Errc refusal;
    std::function<void(SignRequest&)> make;
};
const Change changes[] = {
    {"OnAnotherCredential", Errc::parameter_invalid, [](auto& ask) { ask.credential = random_fixed<CredentialId>(); }},
    {"FromAnotherPortal", Errc::parameter_invalid,
     [](auto& ask) { ask.client = ClientId::from("other-portal").value(); }},
    {"WithAnotherSad", Errc::parameter_invalid, [](auto& ask) { ask.sad = SecretBytes{ByteView{random_bytes(32)}}; }},
    {"WithAnEmptySad", Errc::parameter_invalid, [](auto& ask) { ask.sad = SecretBytes{std::string_view{}}; }},
    {"WithTheDigestOfTheSad", Errc::parameter_invalid,
     [](auto& ask) { ask.sad = SecretBytes{sha256(ask.sad.reveal()).bytes()}; }},
    {"ForAnotherHash", Errc::hash_not_authorised, [](auto& ask) { ask.hashes = {hash_of('c')}; }},
    {"ForOneHashMore", Errc::hash_not_authorised, [](auto& ask) { ask.hashes.push_back(hash_of('c')); }},
    {"ForOneHashTwice", Errc::hash_not_authorised, [](auto& ask) { ask.hashes.push_back(hash_of('b')); }},
    {"ForOneHashThreeTimes", Errc::hash_not_authorised, [](auto& ask) { ask.hashes.push_back(hash_of('a')); }},
    {"UnderAnotherHashAlgorithm", Errc::hash_not_authorised,
     [](auto& ask) { ask.hashes = {hash_of('a', HashAlgorithm::sha384)}; }},
    {"ForNoHash", Errc::hashes_empty, [](auto& ask) { ask.hashes.clear(); }},
};
struct ChangedRequest : ::testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(, ChangedRequest, ::testing::ValuesIn(changes),
                         [](const auto& test) { return test.param.name; });
TEST_P(ChangedRequest, SAM_01_IsRefused) {
    Approved anna;
    auto ask = anna.ask({hash_of('a'), hash_of('b'), hash_of('a')});
    GetParam().make(ask);
    EXPECT_EQ(anna.refusal(ask), GetParam().refusal);
}

TEST(SadVerifier, SAM_01_TheSameBytesUnderAnotherAlgorithmAreAnotherHash) {
    Approved anna;
    cell::Credential cell = anna.cell;
    cell.mutable_sads(0)->set_hash_algorithm(static_cast<unsigned>(HashAlgorithm::sha384));
    EXPECT_EQ(SadVerifier::verify(cell, anna.ask({hash_of('a')}), noon).error().code, Errc::hash_not_authorised);
}

TEST(SadVerifier, SAM_01_AnotherCredentialsCellDoesNotKnowIt) {
    Approved anna, boris;
    EXPECT_EQ(SadVerifier::verify(boris.cell, anna.ask({hash_of('a')}), noon).error().code, Errc::parameter_invalid);
}

TEST(SadVerifier, SAM_02_TakesTheHashesInAnyOrder) {
    for (const auto& order :
         {std::vector{hash_of('a'), hash_of('a'), hash_of('b')}, std::vector{hash_of('b'), hash_of('a'), hash_of('a')},
          std::vector{hash_of('a'), hash_of('b'), hash_of('a')}}) {
        Approved anna;
        EXPECT_TRUE(anna.verify(anna.ask(order)));
        EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')})), Errc::hash_not_authorised);
        EXPECT_EQ(anna.refusal(anna.ask({hash_of('b')})), Errc::hash_not_authorised);
    }
}

TEST(SadVerifier, SAM_02_IsUsedInPartsAndEachOccurrenceOnce) {
    Approved anna;
    EXPECT_TRUE(anna.verify(anna.ask({hash_of('a')})));
    EXPECT_TRUE(anna.verify(anna.ask({hash_of('b')})));
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('b')})), Errc::hash_not_authorised);
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a'), hash_of('a')})), Errc::hash_not_authorised);
    EXPECT_TRUE(anna.verify(anna.ask({hash_of('a')})));
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')})), Errc::hash_not_authorised);
}

TEST(SadVerifier, SAM_02_256AttemptsOnTenHashesTwoOfThemEqualGiveTenSignatures) {
    cell::Credential cell;
    const auto id = random_fixed<CredentialId>();
    cell.set_id(std::string{text_of(id.bytes())});
    std::vector<DtbsR> hashes{hash_of('a')};
    for (char each = 'a'; each < 'a' + 9; ++each) hashes.push_back(hash_of(each));
    const auto sad = issue_sad(cell, portal, hashes, noon + 120s, fill_random);
    int good = 0;
    for (int i = 0; i < 256; ++i) {
        const SignRequest ask{portal,        id, SecretBytes{sad.reveal()}, {hash_of(static_cast<char>('a' + i % 10))},
                              Scheme::ecdsa, ""};
        good += SadVerifier::verify(cell, ask, noon) ? 1 : 0;
    }
    EXPECT_EQ(good, 10);
}

TEST(SadVerifier, SAM_06_EndsExactlyAtItsSecond) {
    Approved anna;
    EXPECT_TRUE(anna.verify(anna.ask({hash_of('a')}), noon + 119s));
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')}), noon + 120s), Errc::sad_expired);
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')}), noon + 121s), Errc::sad_expired);
}

TEST(SadVerifier, AnExpiredOneIsCalledExpiredForTenMinutesAndThenUnknown) {
    Approved anna;
    forget_old_sads(anna.cell, noon + 120s + sad_memory - 1s);
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')}), noon + 719s), Errc::sad_expired);
    forget_old_sads(anna.cell, noon + 120s + sad_memory);
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')}), noon + 720s), Errc::parameter_invalid);
}

TEST(SadVerifier, WhatNeverEnteredTheModuleIsGivenBack) {
    Approved anna;
    const auto activation = anna.verify(anna.ask({hash_of('a'), hash_of('b'), hash_of('a')}));
    ASSERT_TRUE(activation);
    SadVerifier::give_back(anna.cell, activation.value(), 1);  // the first was used
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a'), hash_of('a')})), Errc::hash_not_authorised);
    EXPECT_TRUE(anna.verify(anna.ask({hash_of('b'), hash_of('a')})));
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('a')})), Errc::hash_not_authorised);
}

TEST(SadVerifier, GivingBackNothingGivesNothingBack) {
    Approved anna;
    const auto activation = anna.verify(anna.ask({hash_of('b')}));
    SadVerifier::give_back(anna.cell, activation.value(), 1);
    EXPECT_EQ(anna.refusal(anna.ask({hash_of('b')})), Errc::hash_not_authorised);
}

TEST(SadVerifier, SIG_20_AKeyRemembersItsRequest) {
    Approved anna;
    ASSERT_EQ(answered(anna.cell, anna.ask({hash_of('a')}, "key-1")).value(), nullptr);
    ASSERT_TRUE(anna.verify(anna.ask({hash_of('a')}, "key-1")));
    const auto repeated = answered(anna.cell, anna.ask({hash_of('a')}, "key-1"));
    ASSERT_TRUE(repeated);
    ASSERT_NE(repeated.value(), nullptr);
    EXPECT_FALSE(repeated.value()->done());
    EXPECT_EQ(answered(anna.cell, anna.ask({hash_of('a')}, "key-2")).value(), nullptr);
    EXPECT_EQ(answered(anna.cell, anna.ask({hash_of('a')})).value(), nullptr) << "without a key nothing is a repeat";
}

const Change other_bodies[] = {
    {"OtherHashes", Errc::parameter_invalid, [](auto& ask) { ask.hashes = {hash_of('b')}; }},
    {"MoreHashes", Errc::parameter_invalid, [](auto& ask) { ask.hashes.push_back(hash_of('b')); }},
    {"OtherSad", Errc::parameter_invalid, [](auto& ask) { ask.sad = SecretBytes{ByteView{random_bytes(32)}}; }},
    {"OtherScheme", Errc::parameter_invalid, [](auto& ask) { ask.scheme = Scheme::rsa_pss; }},
};
struct SameKey : ::testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(, SameKey, ::testing::ValuesIn(other_bodies),
                         [](const auto& test) { return test.param.name; });
TEST_P(SameKey, SIG_20_WithAnotherBodyIsRefused) {
    Approved anna;
    ASSERT_TRUE(anna.verify(anna.ask({hash_of('a')}, "key-1")));
    auto ask = anna.ask({hash_of('a')}, "key-1");
    GetParam().make(ask);
    const auto repeated = answered(anna.cell, ask);
    ASSERT_FALSE(repeated);
    EXPECT_EQ(repeated.error().code, GetParam().refusal);
    EXPECT_EQ(repeated.error().parameter.name, "Idempotency-Key");
}

TEST(SadVerifier, SIG_20_AnotherPortalsKeysAreItsOwn) {
    Approved anna;
    ASSERT_TRUE(anna.verify(anna.ask({hash_of('a')}, "key-1")));
    auto ask = anna.ask({hash_of('a')}, "key-1");
    ask.client = ClientId::from("other-portal").value();
    EXPECT_EQ(answered(anna.cell, ask).value(), nullptr);
}

TEST(SadVerifier, SixteenLiveOnesAndNoMore) {
    Approved anna;
    for (int i = 1; i < live_sads_limit; ++i) {
        EXPECT_TRUE(has_room_for_sad(anna.cell, noon));
        issue_sad(anna.cell, portal, {hash_of('a')}, noon + 120s, fill_random);
    }
    EXPECT_FALSE(has_room_for_sad(anna.cell, noon + 119s));
    EXPECT_TRUE(has_room_for_sad(anna.cell, noon + 120s)) << "expired ones take no room";
}

TEST(SadVerifier, SAM_05_TheCellKeepsADigestAlone) {
    Approved anna;
    EXPECT_EQ(anna.sad.size(), 32u);
    EXPECT_EQ(anna.cell.SerializeAsString().find(std::string{text_of(anna.sad.reveal())}), std::string::npos);
}

}  // namespace
}  // namespace qscd::sam
