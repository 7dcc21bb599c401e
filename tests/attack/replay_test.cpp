// SAD tokens used again, and again: 256 requests at once, across stops and kills of the SAM and copies of its store put
// back. Each occurrence of a hash is signed at most once. [T-03] [SAM-02] [SAM-06]
#include <map>
#include <random>
#include <set>

#include "tests/attack/sam_process.hpp"

namespace qscd::attack {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t at_once = 256;
constexpr bool an_older_store_is_seen = true;

// What a signer approved, and what came of it.
struct Approval {
    sam::Credential credential;
    std::string sad;
    std::vector<std::string> documents;  // with repeats
};
struct Outcome {
    std::map<std::pair<std::string, std::string>, std::set<std::string>> signatures;  // by SAD token and document
    std::map<Errc, std::size_t> refusals;
    std::size_t asked = 0;
};

struct ReplayAttack : sam::TrialSam {
    std::mt19937_64 random{20'261'120};
    std::vector<sam::Credential> credentials;
    std::vector<Approval> approvals;
    Outcome outcome;

    std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>{0, limit - 1}(random); }

    // On a day of its own: three SAD tokens for each credential, all live for some seconds yet.
    void approve(SamProcess& sam) {
        sam.advance(24h);
        for (int round = 0; round < 3; ++round) {
            sam.advance(30s);
            for (const auto& credential : credentials) {
                const auto name = std::to_string(approvals.size());
                std::vector<std::string> documents{name + "a", name + "a", name + "a", name + "b", name + "c"};
                auto sad = sam.authorise(credential, documents);
                ASSERT_TRUE(sad) << describe(sad.error());
                approvals.push_back({credential, std::move(sad.value()), std::move(documents)});
            }
        }
    }

    // Some of what was approved, now and then too often, now and then by somebody else or for something else.
    pb::SamRequest replay(const Approval& approval) {
        std::vector<std::string> documents;
        for (auto count = 1 + below(3); count > 0; --count)
            documents.push_back(approval.documents[below(approval.documents.size())]);
        if (below(50) == 0) documents.emplace_back("never approved");
        const auto key = below(4) == 0 ? "key-" + std::to_string(below(4)) : "";
        const auto& credential = below(50) == 0 ? credentials[below(credentials.size())] : approval.credential;
        return sign_request(credential.id, approval.sad, documents, below(50) == 0 ? "other-portal" : "portal", key);
    }

    // Replays over the newest tokens until `count` were answered, or the SAM is gone.
    std::size_t attack(SamProcess& sam, std::size_t count, std::size_t first, std::size_t stop_after = SIZE_MAX) {
        std::vector<std::pair<const Approval*, pb::SignHash>> sent(count);
        const auto answered = sam.gateway().pipeline(
            count, at_once,
            [&](std::size_t i) {
                const auto& approval = approvals[first + below(approvals.size() - first)];
                auto request = replay(approval);
                sent[i] = {&approval, request.sign()};
                return request;
            },
            [&](std::size_t i, const Answer& answer) {
                note(*sent[i].first, sent[i].second, answer);
                return --stop_after > 0;
            });
        outcome.asked += answered;
        return answered;
    }

    void note(const Approval& approval, const pb::SignHash& request, const Answer& answer) {
        if (!answer.good) {
            ++outcome.refusals[*answer.refusal()];
            return;
        }
        const auto signatures = answer.as<pb::Signatures>();
        EXPECT_EQ(signatures.signatures_size(), request.hashes_size());
        EXPECT_EQ(request.client(), "portal");
        for (int i = 0; i < signatures.signatures_size(); ++i) {
            const auto document = std::ranges::find_if(approval.documents, [&](const auto& each) {
                return text_of(sam::hash_of(each).bytes()) == request.hashes(i);
            });
            ASSERT_NE(document, approval.documents.end()) << "signed what nobody approved";
            auto& known = outcome.signatures[{approval.sad, *document}];
            if (known.insert(signatures.signatures(i)).second) {  // ECDSA: another signature has other bytes
                EXPECT_TRUE(verifies(approval.credential, *document, signatures.signatures(i)));
            }
        }
    }

    // Occurrences that were signed more often than they were approved, and how many were signed in all.
    std::size_t signed_too_often() const {
        std::size_t out = 0;
        for (const auto& approval : approvals) {
            for (const auto& document : std::set(approval.documents.begin(), approval.documents.end())) {
                const auto found = outcome.signatures.find({approval.sad, document});
                const auto got = found == outcome.signatures.end() ? 0 : found->second.size();
                const auto approved = static_cast<std::size_t>(std::ranges::count(approval.documents, document));
                out += got > approved ? got - approved : 0;
            }
        }
        return out;
    }
    std::size_t occurrences_signed() const {
        std::size_t out = 0;
        for (const auto& [what, signatures] : outcome.signatures) out += signatures.size();
        return out;
    }
    std::size_t occurrences_approved() const {
        std::size_t out = 0;
        for (const auto& approval : approvals) out += approval.documents.size();
        return out;
    }
    void enrol_four() {
        for (int i = 0; i < 4; ++i) {
            auto person = sam::anna();
            person.phone.back() = static_cast<char>('0' + i);
            credentials.push_back(enrol(person));
        }
    }
};

TEST_F(ReplayAttack, T_03_SAM_02_EachOccurrenceIsSignedAtMostOnceAcrossStopsAndKills) {
    const auto total = size_of_attack(20'000, 1'000'000);
    constexpr std::size_t rounds = 8;
    enrol_four();
    {
        SamProcess sam{*this};
        ASSERT_TRUE(sam.start()) << sam.condition();
        for (std::size_t round = 0; round < rounds; ++round) {
            const auto first = approvals.size();
            approve(sam);
            const std::optional<StoreCopy> earlier = an_older_store_is_seen
                                                         ? std::optional<StoreCopy>{std::in_place, tokens.folder,
                                                                                    std::to_string(round)}
                                                         : std::nullopt;
            const auto before = occurrences_signed();
            const auto share = total / rounds;
            auto done = attack(sam, share, first, 1 + below(share / 2));  // walks away, with up to 255 under way
            switch (round % 4) {
                case 0: sam.stop(); break;
                case 1: sam.kill(); break;
                case 2:
                    sam.kill();
                    if (earlier) {
                        const StoreCopy newest{tokens.folder, "newest-" + std::to_string(round)};
                        earlier->put_back();
                        EXPECT_FALSE(sam.start()) << "a store of an earlier day";
                        EXPECT_EQ(attack(sam, 256, first), 256u) << "refused, one and all";
                        sam.stop();
                        newest.put_back();
                    }
                    break;
                default: sam.kill(), sam.start(), sam.kill();
            }
            ASSERT_TRUE(sam.start()) << sam.condition();
            done += attack(sam, share - std::min(done, share - 1), first);
            EXPECT_GT(occurrences_signed(), before) << "round " << round << " signed nothing at all";
        }
    }
    EXPECT_GE(outcome.asked, total);
    EXPECT_EQ(signed_too_often(), 0u);
    EXPECT_LE(occurrences_signed(), occurrences_approved());

    // And by the SAM's own record: no more hashes entered an intent than were approved, but for those given back.
    std::size_t intended = 0;
    for (const auto& record : records("sign-intent")) intended += std::stoul(sam::field(record, "hashes"));
    EXPECT_TRUE(records("sign-failed").empty());
    EXPECT_LE(intended, occurrences_approved());
    EXPECT_GE(intended, occurrences_signed());
    for (const auto& [errc, count] : outcome.refusals) std::cout << "  " << name_of(errc) << ": " << count << "\n";
    std::cout << "  asked " << outcome.asked << ", approved " << occurrences_approved() << ", signed "
              << occurrences_signed() << "\n";
}

TEST_F(ReplayAttack, SAM_02_WithoutAnInterruptionEachOccurrenceIsSignedExactlyOnce) {
    enrol_four();
    SamProcess sam{*this};
    ASSERT_TRUE(sam.start()) << sam.condition();
    approve(sam);
    attack(sam, 2'000, 0);
    for (const auto& approval : approvals)
        for (const auto& document : approval.documents) {  // what chance left over
            const auto request = sign_request(approval.credential.id, approval.sad, {document});
            const auto answer = sam.gateway().ask(request);
            ASSERT_TRUE(answer);
            note(approval, request.sign(), *answer);
        }
    EXPECT_EQ(signed_too_often(), 0u);
    EXPECT_EQ(occurrences_signed(), occurrences_approved());
}

// The harness can fail: a store and a software token put back together are beyond what the SAM alone can see, so the
// very same attack then signs occurrences twice, and the count must say so.
TEST_F(ReplayAttack, ProofOfTheHarness_StoreAndTokenPutBackTogetherAreCounted) {
    enrol_four();
    SamProcess sam{*this};
    ASSERT_TRUE(sam.start()) << sam.condition();
    approve(sam);
    sam.stop();
    const StoreCopy store{tokens.folder, "planted-store"};
    const TokenCopy token{tokens.folder, "planted-token"};
    for (int life = 0; life < 2; ++life) {
        ASSERT_TRUE(sam.start()) << sam.condition();
        attack(sam, 1'000, 0);
        sam.stop();
        store.put_back();
        token.put_back();
    }
    EXPECT_GT(signed_too_often(), 0u);
}

}  // namespace
}  // namespace qscd::attack
