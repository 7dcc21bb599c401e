// What samd answers: decodes each request, checks every field, converts to our own types, forgets the wire form.
// [threat model 9] Thread rules: handle() from the channel's threads.
#pragma once

#include "protocol/channel.hpp"
#include "qscd/sam/authorisation.hpp"
#include "qscd/sam/clock_guard.hpp"
#include "qscd/sam/destruction.hpp"
#include "qscd/sam/enrolment.hpp"
#include "qscd/sam/roll_call.hpp"
#include "qscd/sam/signing_service.hpp"

namespace qscd::sam {

class Service {
public:
    explicit Service(const Sam& sam)
        : sam_(sam), authorisation_(sam), signing_(sam), enrolment_(sam), destruction_(sam), roll_call_(sam) {}
    void begin() { roll_call_.begin(); }  // once Sam::core is set
    void handle(const std::string& role, ByteView request, const protocol::Responder& responder);
    bool drain(std::chrono::seconds patience) { return signing_.drain(patience); }
    // Takes the state over, records what the last owner left unfinished, and commits: after that samd may serve.
    // Errc::configuration when the policy is for trial and the genesis is not; else as Ledger::open and commit.
    Result<std::unique_ptr<Ledger>> take_over(StateStore& store, Custody& custody, const Opening& opening = {});

private:
    const Sam& sam_;
    Authorisation authorisation_;
    SigningService signing_;
    Enrolment enrolment_;
    Destruction destruction_;
    RollCall roll_call_;
    ClockGuard clock_;
    bool has_process_key_ = false;
};

}  // namespace qscd::sam
