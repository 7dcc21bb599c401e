// One life of samd: the real ledger and the real flows, driven by rounds instead of a thread. What waits together shares
// one commit; whoever must wait for it goes on after it. Thread rules: one thread.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "qscd/sam/activation/authorisation_flow.hpp"
#include "qscd/sam/activation/challenge_flow.hpp"
#include "qscd/sam/activation/signing_flow.hpp"
#include "qscd/sam/state/ledger.hpp"
#include "tests/simulation/books.hpp"

namespace qscd::sam::simulation {

// What outlives every owner.
struct Surroundings {
    VirtualDisk& disk;
    VirtualToken& token;
    Books& books;
    Dice& dice;
    Fate& fate;
    const Clock& clock;
    const policy::Policy& policy;
    Plant plant;
};

template <class T>
using Answerer = std::function<void(const Result<T>&)>;

class Owner {
public:
    Owner(unsigned number, Surroundings& around);

    // Takes the state over and commits the start, as samd's service does.
    Result<void> start(const std::optional<Unseal>& unseal);
    void stop();  // cleanly

    unsigned number() const { return number_; }
    bool serves() const { return ledger_ != nullptr && !lost_; }
    const std::optional<Error>& lost() const { return lost_; }
    Ledger& ledger() { return *ledger_; }

    // Asked by clients; answered in a later round, or never.
    void ask(std::shared_ptr<const ChallengeRequest> request, Answerer<std::chrono::seconds> answer);
    void ask(std::shared_ptr<const AuthoriseRequest> request, Answerer<AuthorisedSad> answer);
    void ask(std::shared_ptr<const SignRequest> request, Answerer<SignatureList> answer);
    void post(std::function<void(Ledger&)> step);
    void after_commit(std::function<void(const Result<void>&)> action) { after_.push_back(std::move(action)); }

    // What waits, one commit, and what waited for it. Returns how many steps there were.
    std::size_t round();
    void silence();  // a closing record alone

    // Of the world: the module signs when it likes, and a message takes its time.
    struct ModuleJob {
        const SignRequest* request;
        TimePoint begun;
        Activation activation;
        CkaId key;
        std::function<void(ModuleAnswer)> done;
    };
    std::function<void(std::shared_ptr<ModuleJob>)> to_module;
    std::function<void(std::string phone, std::string text, std::function<void(bool)> done)> to_phone;

private:
    template <class FlowType>
    struct Driven {
        FlowType flow;
        Answerer<typename FlowType::AnswerType> answer;
        Attempt attempt;
        std::shared_ptr<void> request;
    };
    using Opening = Driven<ChallengeFlow>;
    using Authorising = Driven<AuthorisationFlow>;
    using Signing = Driven<SigningFlow>;

    GivenForFactors given();
    Cells cells_for(const CredentialId& credential, Reads reads);
    template <class DrivenType>
    auto step(DrivenType& driven, Stimulus stimulus);
    void drive(const std::shared_ptr<Opening>& opening, Stimulus stimulus);
    void drive(const std::shared_ptr<Authorising>& authorising, Stimulus stimulus);
    void drive(const std::shared_ptr<Signing>& signing, Stimulus stimulus);
    template <class DrivenType>
    void go_on_after_commit(const std::shared_ptr<DrivenType>& driven);
    Result<void> end_intents();

    const unsigned number_;
    Surroundings& around_;
    DiskSession store_;
    TokenSession custody_;
    Random random_ = fill_random;
    ProcessKey process_key_{random_};
    Limits limits_;
    std::unique_ptr<Ledger> ledger_;
    std::optional<Error> lost_;
    std::deque<std::function<void(Ledger&)>> waiting_;
    std::vector<std::function<void(const Result<void>&)>> after_;
    std::map<CredentialId, std::deque<std::shared_ptr<Authorising>>> strands_;
    std::vector<std::shared_ptr<Signing>> unrecorded_;
    std::set<CredentialId> filled_up_;  // with Plant::tries_back_at_restart
    const Attempt* asking_ = nullptr;   // whose PIN is in the module

    friend class World;
};

}  // namespace qscd::sam::simulation
