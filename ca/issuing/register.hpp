// The certificate register: what was approved, stored before anything is signed, and what was signed. A serial, an
// enrolment, a credential and a public key stand in it once for ever. [CA-15] [CA-16] [QSCD-09]
// Thread rules: safe from every thread; one step at a time.
#pragma once

#include <filesystem>
#include <mutex>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "base/store/database.hpp"
#include "policy/certificate_type.hpp"

namespace qscd::ca {

// What is stored before the key is used. The papers are the record of who approved it [CA-17].
struct Reservation {
    std::string issuer;  // an authority's name
    Bytes serial;
    EnrolmentId enrolment;
    CredentialId credential;
    Sha256Digest key_digest;  // of the SubjectPublicKeyInfo
    policy::CertificateType type;
    Sha256Digest grant, proof;       // the papers' digests
    Bytes grant_paper, proof_paper;  // the papers themselves, encoded
    Bytes tbs;
    TimePoint not_after;
};

enum class RegisterState { reserved, issued, active };
std::string_view name_of(RegisterState state);

struct RegisterEntry {
    std::uint64_t number;  // 1, 2, …: the order of reservation
    std::string issuer;
    Bytes serial;
    EnrolmentId enrolment;
    CredentialId credential;
    policy::CertificateType type;
    Sha256Digest grant, proof;
    Bytes tbs;
    RegisterState state;
    TimePoint not_after;
    Bytes certificate;  // empty while reserved
};

// Errors: Errc::store_away for whatever the store says; the others are named.
class Register {
public:
    static Result<std::unique_ptr<Register>> open(const store::Location& where);

    Result<std::optional<RegisterEntry>> find(const EnrolmentId& enrolment);
    Result<bool> has_serial(std::string_view issuer, ByteView serial);

    // Durable on return. Errc::paper_refused when the enrolment, the credential, the key or the serial is there
    // already.
    Result<void> reserve(const Reservation& reservation, TimePoint now);
    // Reserved becomes issued. Errc::internal when there is no such reservation.
    Result<void> store(const EnrolmentId& enrolment, ByteView certificate, TimePoint now);
    // Issued becomes active; active stays active. Errc::paper_refused when there is no such certificate.
    Result<void> activate(const EnrolmentId& enrolment, const CredentialId& credential, const Sha256Digest& certificate,
                          TimePoint at);

    // Those with a number above `after`, at most `count`, in order.
    Result<std::vector<RegisterEntry>> list(std::uint64_t after, std::size_t count);

    // Durable before it is given out: strictly larger than every one before, even when the list is then not signed.
    Result<std::uint64_t> next_crl_number(std::string_view issuer);

    Result<void> healthy();

private:
    explicit Register(std::unique_ptr<store::Database> database) : database_(std::move(database)) {}
    Result<std::vector<RegisterEntry>> entries(std::string_view condition, const std::vector<store::Value>& parameters);
    std::mutex lock_;
    std::unique_ptr<store::Database> database_;
};

}  // namespace qscd::ca
