// Two samd on one store and one token, each a process with a login of its own: after a takeover the old owner commits no
// intent and releases no signature. [sam-state 7, promise 4] [SAM-24]
#include "base/process/daemon.hpp"
#include "tests/attack/sam_process.hpp"
#include "tests/unit/qscd/sam/state/whole_log.hpp"

namespace qscd::sam {
namespace {

using attack::SamProcess;

constexpr std::chrono::seconds patience{90};          // a server gives a stopped client's transaction up after 30 s
constexpr std::chrono::seconds patience_with_two{5};  // SoftHSM2 may show one of them no token while the other writes
constexpr std::chrono::milliseconds between_looks{20};
constexpr std::chrono::seconds past_the_floor{90};  // a takeover takes every code up to its time and a tolerance

struct TwoOwners : TrialSam {
    Credential app = enrol(anna()), other = enrol(boris());
    std::vector<Received> received;

    // It takes the state over, which a store or a token that is busy may delay.
    static bool takes_over(SamProcess& sam) {
        sam.launch();
        return comes(sam);
    }
    static bool comes(SamProcess& sam, std::chrono::seconds wait = patience) {
        const auto deadline = std::chrono::steady_clock::now() + wait;
        while (!sam.serves()) {
            if (sam.condition() == "no answer" || std::chrono::steady_clock::now() > deadline) return false;
            std::this_thread::sleep_for(between_looks);  // a samd that takes over tells only whoever asks it
        }
        return true;
    }
    static bool ended_by_itself(const std::optional<int>& status) {
        return status == process::stay_down || status == 1;  // fenced, or a commit that found another's
    }
    std::string approve(SamProcess& sam, const Credential& credential, const std::vector<std::string>& documents) {
        sam.advance(30s);
        const auto sad = sam.authorise(credential, documents);
        EXPECT_TRUE(sad) << describe(sad.error());
        return sad ? sad.value() : "";
    }
    void take(const Credential& credential, const std::string& document, const attack::Answer& answer) {
        const auto made = answer.as<pb::Signatures>();
        for (const auto& signature : made.signatures()) received.push_back({credential, document, signature});
    }
    bool signs(SamProcess& sam, const Credential& credential, const std::string& sad, const std::string& document) {
        const auto answer = sam.gateway().ask(attack::sign_request(credential.id, sad, {document}));
        if (!answer || !answer->good) return false;
        take(credential, document, *answer);
        return true;
    }

    // Between the starts of the epochs `first` and `first` + 1 everything is of `first`, and so on.
    void expect_that_each_epoch_is_one_owners(const std::vector<pb::LogRecord>& log) const {
        std::uint64_t epoch = 0;
        for (const auto& record : log) {
            if (record.has_start()) {
                pb::EpochStart start;
                ASSERT_TRUE(start.ParseFromString(record.start().body()));
                EXPECT_GT(start.epoch(), epoch);
                epoch = start.epoch();
            }
            if (record.has_closing()) EXPECT_EQ(record.closing().epoch(), epoch) << "record " << record.seq();
        }
    }
    // Seen from the trial's own SAM, once the processes are gone.
    std::vector<pb::LogRecord> expect_everything_on_record() {
        const auto log = records();
        for (const auto& each : received) result_of(log, each);
        // What was signed before a takeover may have been released to a connection that nobody read to its end.
        EXPECT_GE(std::ranges::count(log, "signed", &pb::LogRecord::type),
                  static_cast<std::ptrdiff_t>(received.size()));
        expect_that_each_epoch_is_one_owners(log);
        expect_clean_log(*this);
        return log;
    }
};

TEST_F(TwoOwners, SAM_24_WhoeverWasTakenOverFromServesNobodyAndWhatItCouldNotSpendIsStillThere) {
    {
        SamProcess old{*this}, fresh{*this};
        ASSERT_TRUE(old.start()) << old.condition();
        old.advance(past_the_floor);
        const auto sad = approve(old, app, {"one", "two", "three"});
        EXPECT_TRUE(signs(old, app, sad, "one"));

        ASSERT_TRUE(takes_over(fresh)) << fresh.condition();
        EXPECT_FALSE(signs(old, app, sad, "two"));
        EXPECT_FALSE(old.serves()) << "it ended with its first commit";
        EXPECT_FALSE(old.authorise(other, {"four"}));
        EXPECT_FALSE(signs(old, app, sad, "three"));
        EXPECT_TRUE(ended_by_itself(old.stop()));

        fresh.advance(past_the_floor);
        EXPECT_TRUE(signs(fresh, app, sad, "two"));
        EXPECT_FALSE(signs(fresh, app, sad, "one")) << "spent at the old one";
        EXPECT_TRUE(signs(fresh, other, approve(fresh, other, {"five"}), "five"));
    }
    EXPECT_EQ(received.size(), 3u);
    expect_everything_on_record();
}

TEST_F(TwoOwners, SAM_24_OneThatWasPausedUnderLoadReleasesNothingAfterwards) {
    constexpr std::size_t answers_before_the_pause = 12;
    std::vector<Credential> signers{app, other};
    for (const auto* number : {"3", "4", "5", "6", "7", "8"}) {
        auto person = anna();
        person.subject.serial_number += number;
        person.phone += number;
        signers.push_back(enrol(person));
    }
    struct Asked {
        const Credential* credential;
        std::string sad, document;
        bool good = false;
    };
    std::vector<Asked> asked;
    std::size_t from_the_old = 0, from_the_fresh = 0;
    {
        SamProcess old{*this}, fresh{*this};
        ASSERT_TRUE(old.start()) << old.condition();
        old.advance(past_the_floor);
        for (const auto& signer : signers) {
            std::vector<std::string> documents;
            for (const auto* each : {"a", "b", "c", "d", "e"}) documents.push_back(each + std::to_string(asked.size()));
            const auto sad = old.authorise(signer, documents);
            ASSERT_TRUE(sad) << describe(sad.error());
            for (const auto& document : documents) asked.push_back({&signer, sad.value(), document});
        }
        std::size_t answers = 0;
        const auto hear = [&](const attack::Answer& answer) {
            ++answers;
            auto& question = asked.at(answer.id);
            question.good = answer.good;
            if (answer.good) take(*question.credential, question.document, answer);
        };
        const auto question = [&](std::size_t i) {
            return attack::sign_request(asked[i].credential->id, asked[i].sad, {asked[i].document});
        };
        old.gateway().pipeline(asked.size(), asked.size(), question, [&](std::size_t, const attack::Answer& answer) {
            hear(answer);
            return answers < answers_before_the_pause;
        });
        old.pause();
        ASSERT_TRUE(takes_over(fresh)) << fresh.condition();
        old.go_on();
        while (answers < asked.size()) {
            const auto answer = old.gateway().receive();
            if (!answer) break;
            hear(*answer);
        }
        EXPECT_FALSE(old.authorise(app, {"late"}));
        EXPECT_FALSE(old.serves());
        EXPECT_TRUE(ended_by_itself(old.stop()));
        from_the_old = received.size();
        EXPECT_GE(from_the_old, answers_before_the_pause);

        for (const auto& each : asked)
            if (const bool anew = signs(fresh, *each.credential, each.sad, each.document); each.good)
                EXPECT_FALSE(anew) << each.document << " was signed twice";
        from_the_fresh = received.size() - from_the_old;
        fresh.advance(past_the_floor);
        EXPECT_TRUE(signs(fresh, app, approve(fresh, app, {"new"}), "new"));
    }
    const auto log = expect_everything_on_record();
    const auto starts = records("started");
    ASSERT_GE(starts.size(), 4u);
    const auto taken = starts[2].seq();  // the trial's own, the old one's, the fresh one's
    const auto spent = static_cast<std::size_t>(std::ranges::count_if(
        log, [&](const pb::LogRecord& record) { return record.seq() < taken && record.type() == "sign-intent"; }));
    EXPECT_EQ(from_the_fresh, asked.size() - spent) << "what was not spent, the new owner signs";
    for (std::size_t i = 0; i < from_the_old; ++i)
        if (const auto* result = result_of(log, received[i])) EXPECT_LT(result->seq(), taken) << "released too late";
}

TEST_F(TwoOwners, SAM_24_OfTwoThatStartAtOnceAtMostOneServes) {
    const int rounds = std::getenv("QSCD_FULL") != nullptr ? 10 : 3;
    {
        SamProcess left{*this}, right{*this};
        for (int round = 1; round <= rounds; ++round) {
            clock.advance(25h);  // unclean starts are forgotten
            for (auto* each : {&left, &right}) each->launch();
            for (auto* each : {&left, &right}) comes(*each, patience_with_two);
            clock.advance(past_the_floor);
            for (auto* each : {&left, &right}) each->set_clock(clock.now());  // one of them may have ended already
            // One code of one app, asked of both.
            int served = 0;
            const auto document = "both-" + std::to_string(round);
            for (auto* each : {&left, &right})
                if (const auto sad = each->authorise(app, {document}); sad && signs(*each, app, sad.value(), document))
                    ++served;
            EXPECT_LE(served, 1);  // none: each destroyed the other's head key, which is safe, and ends with a restart
            left.stop(), right.stop();

            auto& again = round % 2 == 0 ? left : right;
            ASSERT_TRUE(takes_over(again)) << again.condition();
            again.advance(past_the_floor);
            const auto after = "after-" + std::to_string(round);
            EXPECT_TRUE(signs(again, app, approve(again, app, {after}), after));
            again.stop();
        }
    }
    EXPECT_GE(received.size(), static_cast<std::size_t>(rounds));
    expect_everything_on_record();
}

}  // namespace
}  // namespace qscd::sam
