// The checks can fail: one true story, and lies about it that each must be found.
#include "tests/crash/checks.hpp"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>

#include "base/digest.hpp"

namespace qscd::crash {
namespace {

const std::string anna = "anna", boris = "boris", enrolment = "e1";

Bytes hash(char letter) {
    const auto digest = sha256(view_of(std::string(1, letter)));
    return {digest.bytes().begin(), digest.bytes().end()};
}
std::string named(char letter) { return sha256(hash(letter)).hex(); }  // as the call log does
Bytes signature(char letter) { return Bytes(70, static_cast<std::uint8_t>(letter)); }
std::string digest_of(const Bytes& signature) { return sha256(signature).hex(); }

struct Story {
    History history;
    std::vector<Record> records;
    std::set<std::string> keys{"k1"};
    CallsByDigest calls{{named('a'), 1}, {named('b'), 1}};
    std::map<std::string, Registered> certificates{{anna, {Bytes{7}, "active"}}};

    Record& record(const std::string& type, const std::string& credential, std::map<std::string, std::string> fields) {
        records.push_back({records.size(), type, "portal", credential, "ok", "", std::move(fields)});
        return records.back();
    }
    Record& first(const std::string& type) { return *std::ranges::find(records, type, &Record::type); }
    void forget(const std::string& type) {
        std::erase_if(records, [&](const auto& each) { return each.type == type; });
    }
    Findings findings() const {
        Findings out;
        for (const auto& some : {check_signatures(history, records), check_tries(history, records, 5),
                                 check_calls(history, records, calls), check_keys(records, keys),
                                 check_enrolments(history, records, certificates)})
            out.insert(out.end(), some.begin(), some.end());
        return out;
    }
};

// Anna enrolled, approved "a" and "b" and got both signatures; Boris typed wrong PINs.
Story true_story() {
    Story out;
    out.history.enrolments.push_back({enrolment, anna, true, true, true, Bytes{5}, Bytes{7}});
    out.record("grant-accepted", anna, {{"enrolment", enrolment}});
    out.record("factors-set", anna, {});
    out.record("key-intended", anna, {{"cka_id", "k0"}});
    out.record("key-swept", anna, {{"cka_id", "k0"}});
    out.record("key-intended", anna, {{"cka_id", "k1"}});
    out.record("key-created", anna, {{"cka_id", "k1"}, {"public_key", sha256(Bytes{5}).hex()}});
    out.record("credential-active", anna, {});
    out.history.approvals.push_back({anna, {hash('a'), hash('b')}, true, Fate::done});
    out.record("authorised", anna, {{"hash_set", hash_set_of({hash('b'), hash('a')})}});
    for (const char letter : {'a', 'b'}) {
        out.history.signings.push_back({anna, {hash(letter)}, Fate::done, {signature(letter)}});
        const auto seq = out.record("sign-intent", anna, {{"hash_set", hash_set_of({hash(letter)})}}).seq;
        out.record("signed", anna, {{"intent", std::to_string(seq)}, {"digest", digest_of(signature(letter))}});
    }
    for (int i = 0; i < 5; ++i) {
        out.history.approvals.push_back({boris, {hash('c')}, false, Fate::done});
        out.record("authorisation-failed", boris, {});
    }
    return out;
}

TEST(Checks, FindNothingWrongWithATrueStory) { EXPECT_EQ(true_story().findings(), Findings{}); }

struct Lie {
    const char* name;
    std::function<void(Story&)> tell;
};
class Lies : public testing::TestWithParam<Lie> {};
TEST_P(Lies, AreFound) {
    auto story = true_story();
    GetParam().tell(story);
    EXPECT_FALSE(story.findings().empty());
}
INSTANTIATE_TEST_SUITE_P(
    , Lies,
    testing::Values(
        Lie{"AResultIsLost", [](Story& s) { s.forget("signed"); }},
        Lie{"AnIntentIsLost", [](Story& s) { s.records.erase(s.records.begin() + 8); }},
        Lie{"AResultIsOfOtherSignatures",
            [](Story& s) { s.first("signed").fields["digest"] = digest_of(signature('x')); }},
        Lie{"AResultIsThereTwice", [](Story& s) { s.records.push_back(s.first("signed")); }},
        Lie{"AnOccurrenceIsUsedTwice",
            [](Story& s) {
                const auto seq = s.record("sign-intent", anna, {{"hash_set", hash_set_of({hash('a')})}}).seq;
                s.record("sign-outcome-unknown", anna, {{"intent", std::to_string(seq)}});
            }},
        Lie{"SomethingIsSignedThatNobodyAskedFor",
            [](Story& s) {
                const auto seq = s.record("sign-intent", anna, {{"hash_set", hash_set_of({hash('z')})}}).seq;
                s.record("signed", anna, {{"intent", std::to_string(seq)}, {"digest", digest_of(signature('z'))}});
            }},
        Lie{"ASignatureWasReleasedThatIsNowhere",
            [](Story& s) { s.history.signings.push_back({anna, {hash('a')}, Fate::done, {signature('q')}}); }},
        Lie{"ASignatureDoesNotVerify", [](Story& s) { s.first("signed").type = "signature-does-not-verify"; }},
        Lie{"TheTokenSignedTwice", [](Story& s) { ++s.calls[named('a')]; }},
        Lie{"TheTokenSignedWithoutAnIntent", [](Story& s) { ++s.calls[named('y')]; }},
        Lie{"TheTokenWasNeverAsked", [](Story& s) { s.calls.erase(named('b')); }},
        Lie{"AnApprovalIsLost", [](Story& s) { s.forget("authorised"); }},
        Lie{"AWrongPinApproved",
            [](Story& s) { s.record("authorised", boris, {{"hash_set", hash_set_of({hash('c')})}}); }},
        Lie{"ATryIsRegained", [](Story& s) { s.records.pop_back(); }},
        Lie{"OneTryTooMany",
            [](Story& s) {
                s.history.approvals.push_back({boris, {hash('c')}, false, Fate::done});
                s.record("authorisation-failed", boris, {});
            }},
        Lie{"ABlockedCredentialApproves",
            [](Story& s) {
                s.record("credential-blocked", boris, {});
                s.history.approvals.push_back({boris, {hash('d')}, true, Fate::done});
                s.record("authorised", boris, {{"hash_set", hash_set_of({hash('d')})}});
            }},
        Lie{"AKeyIsAnOrphan", [](Story& s) { s.keys.insert("k2"); }},
        Lie{"ASweptKeyIsStillThere", [](Story& s) { s.keys.insert("k0"); }},
        Lie{"AKeyIsGone", [](Story& s) { s.keys.clear(); }},
        Lie{"AReservationIsLost", [](Story& s) { s.forget("grant-accepted"); }},
        Lie{"FactorsAreLost", [](Story& s) { s.forget("factors-set"); }},
        Lie{"AKeyProofIsLost", [](Story& s) { s.first("key-created").fields["public_key"] = "another"; }},
        Lie{"AnActivationIsLost", [](Story& s) { s.forget("credential-active"); }},
        Lie{"ACertificateIsLost", [](Story& s) { s.certificates.clear(); }},
        Lie{"ACertificateIsAnother", [](Story& s) { s.certificates[anna].certificate = Bytes{8}; }},
        Lie{"AReceiptIsLost", [](Story& s) { s.certificates[anna].state = "issued"; }}),
    [](const auto& each) { return std::string{each.param.name}; });

}  // namespace
}  // namespace qscd::crash
