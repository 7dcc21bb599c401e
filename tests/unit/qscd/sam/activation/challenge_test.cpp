// SMS challenges: one code for one frozen multiset of hashes, and the document code that the message shows.
#include "qscd/sam/activation/challenge.hpp"

#include <gtest/gtest.h>
#include <map>
#include <regex>

#include "base/random.hpp"

namespace qscd::sam {
namespace {

using namespace std::chrono_literals;

const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;
const ClientId portal = ClientId::from("portal").value();
const policy::SmsRules rules{6, 300s, 3};

DtbsR hash_of(char document, HashAlgorithm algorithm = HashAlgorithm::sha256) {
    return DtbsR::from(algorithm, digest(algorithm, view_of(std::string{document}))).value();
}

// The public formula, written again from its text: hex in, bits as characters, no code shared.
std::string formula(const std::string& nonce_hex, int algorithm, std::vector<std::string> hashes_hex) {
    std::ranges::sort(hashes_hex);
    std::string input = "646f632f7631" + nonce_hex;  // "doc/v1"
    char text[16];
    (void)std::snprintf(text, sizeof text, "%02x%08zx", static_cast<unsigned>(algorithm), hashes_hex.size());
    input += text;
    for (const auto& hash : hashes_hex) input += hash;
    const auto digest = from_hex(sha256(*from_hex(input)).hex()).value();
    std::string bits;
    for (const auto byte : digest)
        for (int bit = 7; bit >= 0; --bit) bits += (byte >> bit & 1) != 0 ? '1' : '0';
    std::string out;
    for (std::size_t i = 0; i < 8; ++i)
        out += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[std::stoul(bits.substr(5 * i, 5), nullptr, 2)];
    return out;
}

TEST(DocumentCode, AUTHN_12_IsTheOneThatAnAppComputes) {
    for (const auto algorithm : {HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512}) {
        for (std::size_t count = 1; count <= 100; count += 11) {
            std::vector<DtbsR> hashes;
            std::vector<std::string> hex;
            for (std::size_t i = 0; i < count; ++i) {
                hashes.push_back(hash_of(static_cast<char>('a' + i % 7), algorithm));
                hex.push_back(to_hex(hashes.back().bytes()));
            }
            const auto nonce = random_fixed<Nonce>();
            EXPECT_EQ(document_code(nonce, hashes), formula(nonce.hex(), static_cast<int>(algorithm), hex));
        }
    }
}

TEST(DocumentCode, AUTHN_12_DoesNotDependOnTheOrder) {
    const auto nonce = random_fixed<Nonce>();
    EXPECT_EQ(document_code(nonce, {hash_of('a'), hash_of('b'), hash_of('a')}),
              document_code(nonce, {hash_of('b'), hash_of('a'), hash_of('a')}));
    EXPECT_EQ(hash_set_of({hash_of('a'), hash_of('b')}), hash_set_of({hash_of('b'), hash_of('a')}));
}

TEST(DocumentCode, AUTHN_12_ChangesWithEachDigestTheirNumberTheAlgorithmAndTheNonce) {
    const auto nonce = random_fixed<Nonce>();
    const std::vector three{hash_of('a'), hash_of('b'), hash_of('c')};
    const auto code = document_code(nonce, three);
    for (std::size_t i = 0; i < three.size(); ++i) {
        auto changed = three;
        changed[i] = hash_of('x');
        EXPECT_NE(document_code(nonce, changed), code);
        EXPECT_NE(hash_set_of(changed), hash_set_of(three));
        changed = three;
        changed.push_back(three[i]);
        EXPECT_NE(document_code(nonce, changed), code) << "repeats count";
        EXPECT_NE(hash_set_of(changed), hash_set_of(three));
    }
    EXPECT_NE(document_code(random_fixed<Nonce>(), three), code);
    EXPECT_NE(document_code(nonce, {hash_of('a', HashAlgorithm::sha384)}), document_code(nonce, {hash_of('a')}));
}

// Anna's credential and a process that can open challenges on it.
struct Opened {
    ProcessKey process{fill_random};
    cell::Credential cell;
    std::string text, document_code;

    explicit Opened(const std::vector<DtbsR>& hashes = {hash_of('a'), hash_of('b')}) {
        auto opened = open_challenge(cell, process, rules, portal, hashes, noon, fill_random);
        text = std::string{text_of(opened.text.reveal())};
        document_code = opened.document_code;
    }
    std::string code() const { return text.substr(text.size() - 6); }
    std::string wrong_code() const { return code() == "000000" ? "000001" : "000000"; }
    bool spend(const std::string& code, std::vector<DtbsR> hashes = {hash_of('a'), hash_of('b')},
               TimePoint at = noon + 1s, const ClientId& client = portal) {
        return spend_challenge(cell, process, client, hashes, SecretBytes{code}, at);
    }
};

TEST(ChallengeText, AUTHN_12_NamesTheRequesterTheNumberOfDocumentsAndTheirCode) {
    const Opened two;
    EXPECT_TRUE(std::regex_match(
        two.text,
        std::regex{
            R"(portal asks for your signature: 2 documents, [0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\. Code: \d{6})"}))
        << two.text;
    EXPECT_NE(two.text.find(two.document_code.substr(0, 4) + "-" + two.document_code.substr(4)), std::string::npos);
    EXPECT_NE(Opened{{hash_of('a')}}.text.find(": 1 document, "), std::string::npos);
}

TEST(ChallengeText, AUTHN_14_WithoutHashesSaysThatNoDocumentsAreNamed) {
    const Opened none{{}};
    EXPECT_TRUE(none.document_code.empty());
    EXPECT_TRUE(std::regex_match(none.text,
                                 std::regex{R"(portal asks for your signature: No documents are named\. Code: \d{6})"}))
        << none.text;
}

TEST(ChallengeText, EachHasACodeOfItsOwn) {
    std::map<std::string, int> seen;
    for (int i = 0; i < 200; ++i) ++seen[Opened{}.code()];
    EXPECT_GT(seen.size(), 190u);
}

TEST(Challenge, AUTHN_11_TheRightCodeIsAcceptedOnce) {
    Opened anna;
    EXPECT_TRUE(anna.spend(anna.code()));
    EXPECT_FALSE(anna.spend(anna.code()));
}

TEST(Challenge, AUTHN_11_HasThreeTries) {
    Opened anna;
    EXPECT_FALSE(anna.spend(anna.wrong_code()));
    EXPECT_FALSE(anna.spend(anna.wrong_code()));
    EXPECT_TRUE(anna.spend(anna.code())) << "the third may be right";
    Opened boris;
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(boris.spend(boris.wrong_code()));
    EXPECT_FALSE(boris.spend(boris.code())) << "the fourth may not";
}

TEST(Challenge, AUTHN_11_EndsExactlyAfterFiveMinutes) {
    Opened anna, boris;
    EXPECT_TRUE(anna.spend(anna.code(), {hash_of('a'), hash_of('b')}, noon + 299s));
    EXPECT_FALSE(boris.spend(boris.code(), {hash_of('a'), hash_of('b')}, noon + 300s));
}

struct OddCode : ::testing::TestWithParam<std::function<std::string(const std::string&)>> {};
INSTANTIATE_TEST_SUITE_P(, OddCode,
                         ::testing::Values([](const std::string&) { return std::string{}; },
                                           [](const std::string& code) { return code.substr(1); },
                                           [](const std::string& code) { return code + "0"; },
                                           [](const std::string& code) { return " " + code; },
                                           [](const std::string& code) { return code + std::string(1, '\0'); }));
TEST_P(OddCode, AUTHN_11_IsWrong) {
    Opened anna;
    EXPECT_FALSE(anna.spend(GetParam()(anna.code())));
}

TEST(Challenge, AUTHN_14_IsGoodForItsOwnHashesInAnyOrder) {
    Opened anna;
    EXPECT_TRUE(anna.spend(anna.code(), {hash_of('b'), hash_of('a')}));
}

struct OtherHashes : ::testing::TestWithParam<std::vector<DtbsR>> {};
INSTANTIATE_TEST_SUITE_P(, OtherHashes,
                         ::testing::Values(std::vector{hash_of('a')}, std::vector{hash_of('a'), hash_of('c')},
                                           std::vector{hash_of('a'), hash_of('b'), hash_of('b')},
                                           std::vector{hash_of('a', HashAlgorithm::sha384),
                                                       hash_of('b', HashAlgorithm::sha384)}));
TEST_P(OtherHashes, AUTHN_14_AreRefusedAndCostATry) {
    Opened anna;
    EXPECT_FALSE(anna.spend(anna.code(), GetParam()));
    EXPECT_EQ(anna.cell.challenge().tries_left(), 2u);
}

TEST(Challenge, AUTHN_14_IsGoodForItsOwnPortalAlone) {
    Opened anna;
    EXPECT_FALSE(anna.spend(anna.code(), {hash_of('a'), hash_of('b')}, noon, ClientId::from("other-portal").value()));
}

TEST(Challenge, AUTHN_14_OfAnotherCredentialDoesNotHelp) {
    Opened anna, boris;
    EXPECT_FALSE(boris.spend(anna.code() == boris.code() ? boris.wrong_code() : anna.code()));
}

TEST(Challenge, AUTHN_14_OpenedWithoutHashesBindsToTheFirstAuthorise) {
    Opened anna{{}}, boris{{}};
    EXPECT_TRUE(anna.spend(anna.code(), {hash_of('c')}));
    EXPECT_FALSE(boris.spend(boris.wrong_code(), {hash_of('c')}));
    EXPECT_FALSE(boris.spend(boris.code(), {hash_of('d')})) << "the first authorise named c, though its code was wrong";
    EXPECT_TRUE(boris.spend(boris.code(), {hash_of('c')}));
}

TEST(Challenge, ANewOneReplacesTheOld) {
    Opened anna;
    const auto old = anna.code();
    for (;;) {
        const auto opened = open_challenge(anna.cell, anna.process, rules, portal, {hash_of('a')}, noon, fill_random);
        if (!text_of(opened.text.reveal()).ends_with(old)) break;
    }
    EXPECT_FALSE(anna.spend(old, {hash_of('a')}));
}

TEST(Challenge, SAM_23_DiesWithTheProcessThatOpenedIt) {
    Opened anna;
    anna.process = ProcessKey{fill_random};
    EXPECT_FALSE(anna.spend(anna.code()));
    EXPECT_FALSE(anna.cell.has_challenge());
}

TEST(Challenge, SAM_05_TheCellKeepsAVerifierAlone) {
    const Opened anna;
    EXPECT_EQ(anna.cell.SerializeAsString().find(anna.code()), std::string::npos);
}

TEST(RandomDigits, AreDrawnAgainWhenTheyWouldNotBeFair) {
    Bytes stream{255, 250, 249, 0, 251, 9, 10, 128};
    std::size_t at = 0;
    const Random source = [&](std::span<std::uint8_t> out) {
        for (auto& byte : out) byte = stream[at++];
    };
    EXPECT_EQ(digits_from(source, 5), SecretBytes{std::string_view{"90908"}});
    EXPECT_EQ(at, stream.size());
}

}  // namespace
}  // namespace qscd::sam
