// The one thread that owns cells and tries. A step reads, checks and changes without interruption; all steps waiting at
// one moment share one commit; what must wait for the sync goes into after_commit. Nobody is answered before it.
// [design 6, commit rules] [SAM-24]. Thread rules: post() from anywhere; the rest inside a step.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "qscd/sam/state/ledger.hpp"

namespace qscd::sam {

// Why the state is taken over once more than at the start of the process.
struct Opening {
    std::optional<Unseal> unseal = {};
    std::optional<NewKeys> keys = {};  // a rotation: this process goes on with what it has under way
};

class Core {
public:
    using Step = std::function<void(Ledger&)>;
    using Refusal = std::function<void(const Error&)>;
    // Takes the state over and commits the start.
    using OpenLedger = std::function<Result<std::unique_ptr<Ledger>>(const Opening&)>;

    // `fatal` runs when the store's state is not known any more (Errc::store_away) or another owner has it (Errc::fenced):
    // the process must end. After the first its next start reads what is true; after the second it does not come back by
    // itself.
    Core(OpenLedger open, Refusal fatal);
    ~Core() { stop(); }
    // Runs the steps that wait, then ends the thread and closes the ledger. What is posted afterwards is refused: callbacks
    // of a token or a key maker may come late, so the Core outlives them.
    void stop();

    // A sealed state goes on by the word of people, which is recorded; answers what came of it, on the core's thread.
    // Errc::out_of_order when it is not sealed.
    void unseal(Unseal unseal, std::function<void(const Result<void>&)> reply);

    // New infrastructure keys between two batches, with a new epoch; cells are sealed anew in the background, and the old
    // keys destroyed when nothing hangs on them [QSCD-19]. Who waits meanwhile is served afterwards.
    void rotate_keys(std::string reason, std::function<void(const Result<void>&)> reply);

    // `refused` runs instead of `step` while the ledger cannot be opened, and after the end.
    // The step and what it leaves for after_commit() work on the request that the caller works on.
    void post(Step step, Refusal refused);
    // Runs on the core's thread once the batch with this step's changes is durable; or with the reason why it is not.
    void after_commit(std::function<void(Ledger&, const Result<void>&)> action);

    // What keeps the ledger closed, for health.
    Result<void> condition() const;

private:
    using AfterCommit = std::function<void(Ledger&, const Result<void>&)>;
    struct Waiting {
        Step step;
        Refusal refused;
        std::optional<RequestId> request;
    };
    struct Owed {
        AfterCommit action;
        std::optional<RequestId> request;
    };
    void loop();
    void serve();
    void run(std::deque<Waiting> steps);
    void settle();
    void pay(const Result<void>& committed);
    Result<void> opened();
    Result<void> reopen(const Opening& opening);
    void hear_words();
    Result<void> rotate(const std::string& reason);
    void check_records();
    void reseal();
    void lose(const Error& error);

    OpenLedger open_;
    Refusal fatal_;
    std::unique_ptr<Ledger> ledger_;
    std::chrono::steady_clock::time_point next_attempt_{}, last_head_{}, next_check_{}, next_reseal_{};
    std::vector<Owed> after_;

    mutable std::mutex lock_;
    std::condition_variable arrived_;
    std::deque<Waiting> inbox_;
    struct Word {  // of people
        bool rotate;
        std::string reason;
        std::function<void(const Result<void>&)> reply;
        std::optional<RequestId> request;
    };
    std::deque<Word> words_;
    void take(Word word);
    Result<void> condition_ = Error{Errc::token_away, "not opened yet"};
    bool damaged_ = false;  // a record was changed in the store: nobody lets that go on
    bool stopping_ = false, ended_ = false, lost_ = false;
    std::thread thread_;
};

}  // namespace qscd::sam
