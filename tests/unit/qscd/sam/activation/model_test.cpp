// Every sequence of up to six messages, faults and moments, against a model of a page: the order of steps is enforced by
// the flows themselves, whatever order the messages come in [SAM-07]. Sequences that led to the same state go on as one.
#include <unordered_map>

#include "tests/unit/qscd/sam/activation/bench.hpp"

namespace qscd::sam::bench {
namespace {

// What one message came to: what was answered and what was seen from outside.
struct Outcome {
    std::optional<Errc> refusal = {};
    bool crashed = false;
    std::vector<Event> events = {};  // that are durable
    unsigned pins = 0, nothings = 0, made = 0, messages = 0;
    bool operator==(const Outcome&) const = default;
};

enum class Code { right, wrong, replayed, late };
enum class Token { newest, of_boris };

// ── The model: what must happen, written from the specification alone ───────────────────────────────────────────────

struct Model {
    explicit Model(bool by_app) : app(by_app) {}
    bool app, disabled = false;
    unsigned tries = 3;
    int now = 0;  // seconds
    struct Open {
        int until, tries;
    };
    std::optional<Open> open;     // a challenge for document a, of this process
    std::vector<int> unfinished;  // when challenges were opened that were not completed
    int last_step = -100;         // of the app
    struct Approval {
        int until;
        char document;
        bool used = false;
    };
    std::vector<Approval> approvals;
    struct Keyed {
        std::size_t approval;
        bool done, signature;
    };
    std::optional<Keyed> keyed;

    std::string key() const {
        std::string out = std::to_string(tries) + (disabled ? "d" : "");
        for (const int each : {now, last_step, open ? open->until : 0, open ? open->tries : 0})
            out += " " + std::to_string(each);
        for (const int each : unfinished) out += " " + std::to_string(each);
        for (const auto& each : approvals) out += (each.used ? " u" : " ") + std::to_string(each.until) + each.document;
        if (keyed)
            out += " " + std::to_string(keyed->approval) + (keyed->done ? "d" : "") + (keyed->signature ? "s" : "");
        return out;
    }

    void start() {
        open.reset();
        if (keyed) keyed->done = true;
    }
    Outcome crash() {
        start();
        return {Errc::service_away, true, {}};
    }
    // On the record, unless that is what fails.
    Outcome refuse(Errc code, Fault fault = Fault::none) {
        if (fault == Fault::crash_at_first_commit) return crash();
        if (fault == Fault::first_commit_fails) return {Errc::token_away, false, {}};
        if (fault == Fault::disabled_meanwhile) disabled = true;
        return {code, false, {Event::refused}};
    }

    Outcome open_challenge() {
        if (disabled) return refuse(Errc::credential_disabled);
        if (app) return refuse(Errc::parameter_invalid);
        if (std::ranges::count_if(unfinished, [&](int at) { return at + 600 > now; }) >= 3)
            return refuse(Errc::too_many_requests);
        unfinished.push_back(now);
        open = {now + 300, 3};
        return {.events = {Event::challenge_opened}, .messages = 1};
    }

    bool spend_code(Code code, char document) {
        if (app) {
            const int step = now / 30 - (code == Code::late ? 1 : 0);
            if (code == Code::wrong || code == Code::replayed || step <= last_step) return false;
            last_step = step;
            return true;
        }
        if (!open || now >= open->until) {
            open.reset();
            return false;
        }
        const bool right = code == Code::right && document == 'a';
        if (right || --open->tries == 0) open.reset();
        return right;
    }

    Outcome authorise(bool pin, Code code, char document, Fault fault) {
        if (disabled) return refuse(Errc::credential_disabled, fault);
        const auto before = *this;
        const bool locked = tries == 0, right_code = spend_code(code, document);
        const bool right = right_code && !locked;
        if (right) --tries;
        if (fault == Fault::crash_at_first_commit) return *this = before, crash();
        if (fault == Fault::first_commit_fails) return *this = before, Outcome{Errc::token_away, false, {}};
        if (fault == Fault::disabled_meanwhile) disabled = true;
        Outcome out{.events = {Event::factors_spent}, .pins = right, .nothings = !right};
        const auto spent = *this;
        if (fault == Fault::mac_fails) {
            if (right) ++tries;
            out.refusal = Errc::token_away;
            out.events.push_back(Event::refused);
            return out;
        }
        if (right_code && locked) {
            out.refusal = Errc::credential_locked;
            out.events.push_back(Event::refused);
        } else if (right && pin) {
            if (!app) unfinished.pop_back();
            if (disabled) {
                out.refusal = Errc::credential_disabled;
                out.events.push_back(Event::refused);
            } else {
                tries = 3;  // after full success alone [AUTHN-08]
                approvals.push_back({now + 120, document});
                out.events.push_back(Event::authorised);
            }
        } else {
            out.refusal = Errc::factors_wrong;
            out.events.push_back(Event::authorisation_failed);
            if (right && tries == 0) out.events.push_back(Event::credential_blocked);
        }
        if (fault == Fault::crash_at_second_commit) {
            *this = spent;
            start();
            return {Errc::service_away, true, {Event::factors_spent}, out.pins, out.nothings};
        }
        return out;
    }

    Outcome sign(char document, bool with_key, Token token, bool same_portal, Fault fault) {
        if (with_key && keyed) {
            if (keyed->approval + 1 != approvals.size()) return refuse(Errc::parameter_invalid, fault);
            if (!keyed->done) return refuse(Errc::service_away, fault);
            if (!keyed->signature) return refuse(Errc::internal, fault);
            return {};
        }
        if (disabled) return refuse(Errc::credential_disabled, fault);
        if (approvals.empty() || token == Token::of_boris || !same_portal)
            return refuse(Errc::parameter_invalid, fault);
        auto& approval = approvals.back();
        if (now >= approval.until) return refuse(Errc::sad_expired, fault);
        if (approval.used || approval.document != document) return refuse(Errc::hash_not_authorised, fault);
        if (fault == Fault::crash_at_first_commit) return crash();
        approval.used = true;
        if (with_key) keyed = {approvals.size() - 1, false, false};
        Outcome out{.events = {Event::sign_intent}, .made = fault != Fault::token_away};
        const auto end = [&](std::optional<Errc> refusal, Event event, bool signature = false) {
            if (with_key) keyed = {approvals.size() - 1, true, signature};
            out.refusal = refusal;
            out.events.push_back(event);
            return out;
        };
        switch (fault) {
            case Fault::token_away:
                approval.used = false;
                end(Errc::token_away, Event::sign_failed);
                if (with_key) keyed.reset();
                return out;
            case Fault::module_fails: return end(Errc::token_away, Event::sign_unknown);
            case Fault::module_lies: disabled = true; return end(Errc::internal, Event::signature_bad);
            case Fault::crash_in_module:
            case Fault::crash_at_second_commit:
                start();
                out.refusal = Errc::service_away;
                out.crashed = true;
                return out;
            case Fault::second_commit_fails: return end(Errc::token_away, Event::signed_hashes, true);
            default: return end({}, Event::signed_hashes, true);
        }
    }
};

// ── Both of them in one state, and the messages that move both ──────────────────────────────────────────────────────

struct Play {
    Sam sam;
    Model model;
    std::string used_code;  // the last that was accepted
    Bytes sad, sad_of_boris;

    explicit Play(const std::string& profile, Bug bug = Bug::none) : sam(profile), model(sam.app) {
        sam.bug = bug;
        const auto token = issue_sad(sam.durable.boris, portal, {hash_of('a')}, noon + 300s, sam.random());
        sad_of_boris.assign(token.reveal().begin(), token.reveal().end());
        sam.staged = sam.durable;
        sad = Bytes(32);
    }

    // Runs one message and says what was seen of it.
    template <class Ask>
    Outcome seen(Ask ask) {
        sam.log.clear();
        sam.crashed = false;
        const auto pins = sam.pins_evaluated, nothings = sam.nothing_evaluated, messages = sam.messages;
        sam.made.clear();
        const std::optional<Errc> refusal = ask();
        return {refusal,
                sam.crashed,
                sam.events(),
                sam.pins_evaluated - pins,
                sam.nothing_evaluated - nothings,
                static_cast<unsigned>(sam.made.size()),
                sam.messages - messages};
    }
    std::string code(Code code) const {
        switch (code) {
            case Code::right: return sam.current_code();
            case Code::late: return totp(unix_seconds(sam.now) / 30 - 1);
            case Code::replayed: return used_code.empty() ? sam.wrong_code() : used_code;
            default: return sam.wrong_code();
        }
    }

    // What the future depends on, with names for random values: which token is the newest known, whether the last message
    // answers the open challenge. States that are equal so have equal futures.
    std::string key() const {
        auto cell = sam.durable.anna;
        bool newest_known = false;
        for (auto& token : *cell.mutable_sads()) {
            newest_known = std::ranges::equal(view_of(token.digest()), sha256(sad).bytes());
            token.clear_digest();
        }
        if (cell.has_challenge()) {
            auto& challenge = *cell.mutable_challenge();
            const bool here = challenge.process() == sam.process->process();
            const bool ours = std::ranges::equal(
                sam.process->mac(view_of(challenge.nonce()), SecretBytes{sam.last_code}),
                view_of(challenge.verifier()));
            challenge.set_process(here ? "here" : "gone");
            challenge.set_verifier(ours ? "ours" : "");
            challenge.clear_nonce();
        }
        return model.key() + cell.SerializeAsString() + sam.durable.device.SerializeAsString() +
               std::to_string(unix_seconds(sam.now)) + (newest_known ? "k" : "") +
               (sam.app             ? used_code
                : used_code.empty() ? ""
                                    : "u");
    }
};

struct Letter {
    std::string name;
    std::function<Outcome(Play&)> message;
    std::function<Outcome(Model&)> expected;
};

Letter authorise(std::string name, bool pin, Code code, char document = 'a', Fault fault = Fault::none) {
    return {std::move(name),
            [=](Play& play) {
                return play.seen([&]() -> std::optional<Errc> {
                    const auto given = play.code(code);
                    const auto sad = play.sam.authorise(
                        {.pin = pin ? right_pin : wrong_pin, .code = given, .hashes = {hash_of(document)}}, fault);
                    if (!sad) return sad.error().code;
                    play.sad = sad.value();
                    play.used_code = given;
                    return std::nullopt;
                });
            },
            [=](Model& model) { return model.authorise(pin, code, document, fault); }};
}
Letter sign(std::string name, Fault fault = Fault::none, char document = 'a', const std::string& key = "",
            Token token = Token::newest, const ClientId& client = portal) {
    return {std::move(name),
            [=](Play& play) {
                return play.seen([&]() -> std::optional<Errc> {
                    const auto signatures = play.sam.sign({.sad = token == Token::newest ? play.sad : play.sad_of_boris,
                                                           .hashes = {hash_of(document)},
                                                           .key = key,
                                                           .client = client},
                                                          fault);
                    if (!signatures) return signatures.error().code;
                    if (signatures.value() != SignatureList{Sam::signature(id<1, CkaId>(), hash_of(document))})
                        return Errc::body_malformed;  // which no message is answered
                    return std::nullopt;
                });
            },
            [=](Model& model) { return model.sign(document, !key.empty(), token, client == portal, fault); }};
}
Letter moment(std::string name, std::function<void(Sam&)> sam, std::function<void(Model&)> model) {
    return {std::move(name),
            [=](Play& play) {
                play.sam.log.clear();
                sam(play.sam);
                return Outcome{};
            },
            [=](Model& each) {
                model(each);
                return Outcome{};
            }};
}
Letter set_disabled(std::string name, bool disabled) {
    return moment(
        std::move(name),
        [=](Sam& sam) {
            sam.durable.anna.set_state(disabled ? cell::Credential::DISABLED : cell::Credential::ACTIVE);
            sam.staged = sam.durable;
        },
        [=](Model& model) { model.disabled = disabled; });
}
Letter passes(std::string name, int seconds) {
    return moment(
        std::move(name), [=](Sam& sam) { sam.now += std::chrono::seconds{seconds}; },
        [=](Model& model) { model.now += seconds; });
}

std::vector<Letter> alphabet(bool app) {
    std::vector<Letter> out{
        {"open challenge",
         [](Play& play) {
             return play.seen([&]() -> std::optional<Errc> {
                 const auto opened = play.sam.open_challenge();
                 if (!opened) return opened.error().code;
                 return std::nullopt;
             });
         },
         [](Model& model) { return model.open_challenge(); }},
        authorise("authorise", true, Code::right),
        authorise("authorise, wrong PIN", false, Code::right),
        authorise("authorise, wrong code", true, Code::wrong),
        authorise("authorise, both wrong", false, Code::wrong),
        authorise("authorise, replayed code", true, Code::replayed),
        authorise("authorise other document", true, Code::right, 'b'),
        authorise("authorise, crash before it is spent", true, Code::right, 'a', Fault::crash_at_first_commit),
        authorise("authorise, not committed", true, Code::right, 'a', Fault::first_commit_fails),
        authorise("authorise, crash after it is spent", true, Code::right, 'a', Fault::crash_at_second_commit),
        authorise("authorise wrong PIN, crash after it is spent", false, Code::right, 'a',
                  Fault::crash_at_second_commit),
        authorise("authorise, module away", true, Code::right, 'a', Fault::mac_fails),
        authorise("authorise, disabled meanwhile", true, Code::right, 'a', Fault::disabled_meanwhile),
        sign("sign"),
        sign("sign with key", Fault::none, 'a', "key"),
        sign("sign other document", Fault::none, 'b'),
        sign("sign with another's token", Fault::none, 'a', "", Token::of_boris),
        sign("sign from another portal", Fault::none, 'a', "", Token::newest, other_portal),
        sign("sign, crash before the intent", Fault::crash_at_first_commit),
        sign("sign, token away", Fault::token_away),
        sign("sign with key, token away", Fault::token_away, 'a', "key"),
        sign("sign, module fails", Fault::module_fails),
        sign("sign, module lies", Fault::module_lies),
        sign("sign with key, crash in the module", Fault::crash_in_module, 'a', "key"),
        sign("sign, crash before the result", Fault::crash_at_second_commit),
        sign("sign, result recorded late", Fault::second_commit_fails),
        set_disabled("disable", true),
        set_disabled("enable", false),
        passes("two minutes pass", 130),
        moment(
            "restart", [](Sam& sam) { sam.restart(); }, [](Model& model) { model.start(); }),
    };
    if (app) {
        out.push_back(passes("a step passes", 30));
        out.push_back(authorise("authorise, late code", true, Code::late));
    }
    return out;
}

std::string text_of(const Outcome& outcome) {
    std::string out = outcome.refusal ? std::string{name_of(*outcome.refusal)} : "ok";
    if (outcome.crashed) out += ", crashed";
    for (const auto event : outcome.events) out += ", " + std::string{name_of(event)};
    return out + ", PINs " + std::to_string(outcome.pins) + "+" + std::to_string(outcome.nothings) + ", made " +
           std::to_string(outcome.made) + ", messages " + std::to_string(outcome.messages);
}

// Walks all sequences; the first difference ends it.
class Walk {
public:
    Walk(const std::string& profile, unsigned length, Bug bug = Bug::none, bool merge = true)
        : letters_(alphabet(Play{profile}.sam.app)), merge_(merge) {
        found_ = walk(Play{profile, bug}, length, "");
    }
    const std::optional<std::string>& difference() const { return found_; }
    std::size_t messages() const { return messages_; }
    std::size_t states() const { return done_.size(); }
    std::size_t letters() const { return letters_.size(); }

private:
    std::optional<std::string> walk(const Play& from, unsigned left, const std::string& path) {
        if (left == 0) return std::nullopt;
        auto& done = done_.emplace(sha256(view_of(from.key())), 0).first->second;
        if (merge_ && done >= left) return std::nullopt;
        done = left;
        for (const auto& letter : letters_) {
            auto play = from;
            const auto seen = letter.message(play);
            const auto expected = letter.expected(play.model);
            ++messages_;
            const auto here = path + "\n  " + letter.name;
            if (seen != expected) return here + "\n  gave     " + text_of(seen) + "\n  expected " + text_of(expected);
            if (auto found = walk(play, left - 1, here)) return found;
        }
        return std::nullopt;
    }
    std::vector<Letter> letters_;
    bool merge_;
    std::unordered_map<Sha256Digest, unsigned, HashOfFixedBytes> done_;
    std::size_t messages_ = 0;
    std::optional<std::string> found_;
};

#ifndef QSCD_MODEL_LENGTH
#define QSCD_MODEL_LENGTH 6
#endif

struct AllSequences : ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, AllSequences, ::testing::Values("totp", "sms"),
                         [](const auto& test) { return std::string{test.param}; });
TEST_P(AllSequences, SAM_07_OfSixMessagesDoWhatTheModelSays) {
    const Walk walk{GetParam(), QSCD_MODEL_LENGTH};
    EXPECT_FALSE(walk.difference()) << *walk.difference();
    RecordProperty("letters", static_cast<int>(walk.letters()));
    RecordProperty("states", static_cast<int>(walk.states()));
    RecordProperty("messages", static_cast<int>(walk.messages()));
    std::printf("%zu letters, %zu states, %zu messages\n", walk.letters(), walk.states(), walk.messages());
}

TEST_P(AllSequences, SAM_07_OfThreeDoSoEachByItself) {
    const Walk walk{GetParam(), 3, Bug::none, false};
    EXPECT_FALSE(walk.difference()) << *walk.difference();
}

// The walk can fail: each bug, planted in a flow or in its driver, is found.
struct Planted {
    const char* name;
    Bug bug;
    const char* profile;
};
const Planted planted[] = {
    {"CodeIsNotSpent", Bug::code_is_not_spent, "totp"},
    {"ChallengeTryIsNotSpent", Bug::code_is_not_spent, "sms"},
    {"PinTryIsNotSpent", Bug::pin_try_is_not_spent, "totp"},
    {"WrongCodeCostsAPinTry", Bug::wrong_code_costs_a_pin_try, "totp"},
    {"PinIsEvaluatedAfterAWrongCode", Bug::pin_is_evaluated_after_a_wrong_code, "totp"},
    {"PinIsRemembered", Bug::pin_is_remembered, "totp"},
    {"WrongPinIsRight", Bug::wrong_pin_is_right, "sms"},
    {"TriesComeBackAtStart", Bug::tries_come_back_at_start, "totp"},
    {"ChallengeSurvivesAStart", Bug::challenge_survives_a_start, "sms"},
    {"OccurrenceIsNotUsedUp", Bug::occurrence_is_not_used_up, "totp"},
    {"OccurrenceComesBackAfterACrash", Bug::occurrence_comes_back_after_a_crash, "totp"},
    {"SadLivesForEver", Bug::sad_lives_for_ever, "totp"},
    {"DisabledSigns", Bug::disabled_signs, "totp"},
    {"BadSignatureIsReleased", Bug::bad_signature_is_released, "totp"},
    {"AnsweredBeforeTheCommit", Bug::answered_before_the_commit, "totp"},
    {"ModuleIsAskedBeforeTheCommit", Bug::module_is_asked_before_the_commit, "totp"},
    {"ResultIsNotRecorded", Bug::result_is_not_recorded, "totp"},
};
struct PlantedBug : ::testing::TestWithParam<Planted> {};
INSTANTIATE_TEST_SUITE_P(, PlantedBug, ::testing::ValuesIn(planted), [](const auto& test) { return test.param.name; });
TEST_P(PlantedBug, SAM_07_IsFoundByTheWalk) {
    const Walk walk{GetParam().profile, 6, GetParam().bug};
    EXPECT_TRUE(walk.difference());
}

}  // namespace
}  // namespace qscd::sam::bench
