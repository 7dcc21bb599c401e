// What the registration authority keeps: accounts, requests, acceptances, Grants. Durable on return.
// Errors: Errc::store_away for whatever the store says. Thread rules: one thread at a time; its owner locks.
#pragma once

#include <filesystem>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "base/store/database.hpp"

namespace qscd::ca {

struct Account {
    SignerId signer;
    std::string username, email, phone;
    DeviceId phone_device, app_device;
};
struct EnrolmentRequest {
    EnrolmentId enrolment;
    SignerId signer;
    Sha256Digest content;  // of what was asked: the same asked again is the same request
    std::string profile, proofing;
    Bytes grant_body;
    TimePoint created_at, expires_at;
};
struct Acceptance {
    Sha256Digest terms;
    std::string language;
    TimePoint at;
    Sha256Digest digest;
};

class RegistrationStore {
public:
    static Result<std::unique_ptr<RegistrationStore>> open(const store::Location& where);

    Result<std::optional<Account>> account(std::string_view username);
    // False when any part of it is somebody's already [AUTHN-25] [AUTHN-26].
    Result<bool> add(const Account& account, const std::string& password_hash, TimePoint now);

    Result<std::optional<EnrolmentRequest>> request(const EnrolmentId& enrolment);
    Result<std::optional<EnrolmentRequest>> live_request(const Sha256Digest& content, TimePoint now);
    Result<void> add(const EnrolmentRequest& request);

    Result<std::optional<Acceptance>> acceptance(const EnrolmentId& enrolment);
    Result<void> add(const EnrolmentId& enrolment, const Acceptance& acceptance);

    Result<std::optional<Bytes>> grant(const EnrolmentId& enrolment);  // the paper, encoded
    Result<void> add_grant(const EnrolmentId& enrolment, ByteView paper, TimePoint now);

    Result<void> healthy();

private:
    explicit RegistrationStore(std::unique_ptr<store::Database> database) : database_(std::move(database)) {}
    Result<std::optional<EnrolmentRequest>> one_request(std::string_view condition,
                                                        const std::vector<store::Value>& parameters);
    std::unique_ptr<store::Database> database_;
};

}  // namespace qscd::ca
