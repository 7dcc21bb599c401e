// One person's enrolment, driven step by step through whatever crashes: a step without an answer is simply asked again.
// Thread rules: one thread at a time.
#pragma once

#include "protocol/ca.pb.h"
#include "protocol/ra.pb.h"
#include "protocol/sam.pb.h"
#include "tests/crash/world.hpp"

namespace qscd::crash {

class EnrolmentRun {
public:
    EnrolmentRun(World& world, Person person, std::string profile);

    enum class Went { on, waits, over };  // waits: somebody is away, ask again later
    Went go_on();

    // Asks everything again that was answered: another answer is a finding.
    void confirm();

    bool finished() const { return step_ == last; }
    bool failed() const { return failed_; }  // or was given up: its Grant has expired meanwhile
    Person& person() { return person_; }
    const std::string& credential() const { return credential_; }    // hex
    const std::string& certificate() const { return certificate_; }  // DER

private:
    enum Step : unsigned {
        account,
        request,
        acceptance,
        grant,
        reservation,
        factors,
        key,
        certificate_step,
        activation,
        receipt,
        last
    };
    Result<void> take(Step step);
    Result<void> make_account();
    Result<void> make_request();
    Result<void> accept();
    Result<void> get_grant();
    Result<void> reserve();
    Result<void> set_factors();
    Result<void> make_key();
    Result<void> certify();
    Result<void> activate();
    Result<void> hand_in_receipt();
    template <class Use>
    void remember(Use use);
    void same(const std::string& now, std::string& known, const char* what);

    World& world_;
    Person person_;
    std::string profile_, enrolment_, grant_body_, acceptance_digest_, grant_, proof_, certificate_, receipt_,
        credential_;
    bool needs_officer_ = false, failed_ = false;
    Step step_ = account;
    std::size_t entry_ = 0;  // in the history, once there is an enrolment
    unsigned refusals_ = 0;
    TimePoint asked_at_{};
};

}  // namespace qscd::crash
