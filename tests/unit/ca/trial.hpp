// A small trial PKI with software keys, and the good papers of one person's enrolment; each test changes one thing.
#pragma once

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "ca/issuing/ca_certificates.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/issuing.hpp"
#include "hsm/provider/provider.hpp"
#include "tests/instruments/cluster/place.hpp"

namespace qscd::ca {

// A folder of this test's own, gone afterwards.
class Folder {
public:
    Folder();
    ~Folder();
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

TimePoint at(int year, unsigned month, unsigned day, int hour = 12);

EvpPkey software_key(KeyKind kind);
Bytes spki_of(const EVP_PKEY& key);

// Root, LCP and qualified authority, with their keys. Made at 2026-01-01.
struct TrialPki {
    explicit TrialPki(const std::string& word = "TEST");
    std::shared_ptr<EVP_PKEY> root_key, lcp_key, qualified_key;
    Hierarchy hierarchy;
    std::shared_ptr<EVP_PKEY> key_of(const Authority& authority) const {
        return authority.qualified ? qualified_key : lcp_key;
    }
};

// Profiles: "qscd" (QCP-n-qscd), "qcp-n" (own policy, two disclosure statements), "lcp" (P-256 and RSA-3072),
// "qscd-sms".
policy::Policy trial_policy(std::string_view public_base = "http://pki.qscd-test.example");
policy::ModuleRegistry registry_of(std::string_view qscd_table);  // one module, "softhsm2"
inline constexpr std::string_view trial_entry = "[qscd]\ntrial = true\n";

inline const protocol::Subject anna{"AT", "Ánna", "Österreicher", "PNOAT-1234567890", "Ánna Österreicher"};

// The signers of papers.
struct Desk {
    EvpPkey officer = generate_p256(), rule = generate_p256(), attestation = generate_p256(),
            stranger = generate_p256();
    protocol::TrustedKeys trusted() const;
};
pb::Paper sign_paper(const protocol::Unsigned& paper, EVP_PKEY& key);

// Everything that asks for one certificate. Change a field, then sign().
struct Enrolment {
    Enrolment(std::string profile, KeyKind kind, TimePoint now, const Sha256Digest& policy_version);
    protocol::Grant grant;
    protocol::KeyProof proof;
    bool proof_names_its_grant = true;
    struct Papers {
        pb::Paper grant, proof;
    };
    Papers sign(const Desk& desk) const { return sign(*desk.officer, *desk.attestation); }
    Papers sign(EVP_PKEY& approver, EVP_PKEY& attestation) const;
};

// A CA on one register.
struct TrialCa {
    Folder folder;
    TrialPki pki;
    Desk desk;
    FixedClock clock{at(2026, 11, 20)};
    std::unique_ptr<Register> certificates = Register::open(instruments::place_of(folder / "cad.sqlite")).value();
    std::function<Bytes()> serials = random_serial;
    AuthorityKeys keys = [this](const Authority& authority) -> Result<std::shared_ptr<EVP_PKEY>> {
        return pki.key_of(authority);
    };
    std::string modules{trial_entry};
    policy::Policy policy = trial_policy();

    explicit TrialCa(const std::string& word = "TEST") : pki(word) {}
    std::unique_ptr<Issuing> issuing();
    Enrolment enrolment(std::string profile = "qscd", KeyKind kind = KeyKind::p256) const {
        return {std::move(profile), kind, clock.now(), policy.version()};
    }
    Result<IssuedCertificate> issue(const Enrolment& enrolment) { return issue(enrolment.sign(desk)); }
    Result<IssuedCertificate> issue(const Enrolment::Papers& papers) {
        return issuing()->issue(papers.grant, papers.proof);
    }
};

}  // namespace qscd::ca
