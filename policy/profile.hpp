// What the operator chose for one kind of credential, in types that cannot be wrong: a Profile exists only when every
// bound was checked. No setting is a policy OID of the type, a QcStatement or a key usage, so an inconsistent profile
// cannot be written down. Thread rules: values; immutable.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_kind.hpp"
#include "policy/certificate_type.hpp"
#include "policy/factor.hpp"
#include "policy/lifetime.hpp"
#include "policy/toml_reader.hpp"

namespace qscd::policy {

// `policy = "qualified"` (the default): sealed factors, signed transactions, bound tokens. "trial" also allows plain
// explicit mode, and `info`, health and log say so.
enum class Regime : std::uint8_t { qualified = 1, trial };
// How activation data may reach the SAM: in clear through the portal (CSC's explicit mode), or sealed on the page.
enum class Mode : std::uint8_t { explicit_mode = 1, page };
// Where a signer's key lives. `wrapped` comes later; until then a profile that asks for it does not load.
enum class Placement : std::uint8_t { resident = 1 };

std::string_view name_of(Regime regime);        // "qualified", "trial"
std::string_view name_of(Mode mode);            // "explicit", "page"
std::string_view name_of(Placement placement);  // "resident"

struct PdsLocation {
    std::string lang, url;  // ISO 639-1, lower case; https
};
struct PinRules {
    unsigned min_digits, max_digits;  // 4 to 8 [AUTHN-02] [AUTHN-03]
    unsigned tries;                   // wrong PINs in a row until the credential blocks, 1 to 10 [AUTHN-07]
};
struct TotpRules {
    std::chrono::seconds period;  // 30 or 60 [AUTHN-16]
    unsigned digits;              // 6 or 8
    unsigned tolerance_steps;     // accepted on either side of the current step, 0 to 2 [RFC 6238, 5.2]
};
struct SmsRules {
    unsigned digits;            // 6 to 8 [AUTHN-11]
    std::chrono::seconds life;  // 30 to 300
    unsigned tries;             // 1 to 3
};

class Profile {
public:
    // Reads a [profile.NAME] table and all below it; unknown keys are left to the table's nothing_else().
    static Result<Profile> read(std::string_view name, TomlTable& table);

    const std::string& name() const { return chosen_.name; }  // 1 to 64 of [a-z0-9-]
    Regime regime() const { return chosen_.regime; }

    // The certificate. The first four follow from the type.
    CertificateType type() const { return chosen_.type; }
    std::string_view policy_oid() const { return row_of(chosen_.type).policy_oid; }
    Qc qc() const { return row_of(chosen_.type).qc; }
    KeyUsage key_usage() const { return row_of(chosen_.type).key_usage; }
    const std::optional<std::string>& own_policy() const { return chosen_.own_policy; }  // an OID, beside policy_oid()
    const std::vector<PdsLocation>& pds() const { return chosen_.pds; }  // not empty exactly where qc() has Qc::pds
    Lifetime lifetime() const { return chosen_.lifetime; }
    TimePoint not_after(TimePoint not_before) const { return chosen_.lifetime.not_after(not_before); }
    const std::vector<std::string>& proofing() const { return chosen_.proofing; }  // names of accepted methods

    // The key.
    const std::vector<KeyKind>& key_kinds() const { return chosen_.keys; }  // not empty
    bool allows(KeyKind kind) const;
    Placement placement() const { return chosen_.placement; }

    // The factors: a PIN and exactly one held factor of those listed.
    const PinRules& pin() const { return chosen_.pin; }
    const std::optional<TotpRules>& totp() const { return chosen_.totp; }  // set exactly where TOTP is allowed
    const std::optional<SmsRules>& sms() const { return chosen_.sms; }     // set exactly where SMS is allowed
    // In the order of the file; not empty.
    const std::vector<FactorExpression>& expressions() const { return chosen_.expressions; }
    bool allows(const FactorExpression& expression) const;
    unsigned otp_failures_a_day() const { return chosen_.otp_failures_a_day; }  // 1 to 30

    // The signature.
    const std::vector<Mode>& modes() const { return chosen_.modes; }  // not empty
    bool allows(Mode mode) const;
    unsigned multisign() const { return chosen_.multisign; }            // hashes in one transaction, 1 to 100
    std::chrono::seconds sad_life() const { return chosen_.sad_life; }  // of a SAD token, 10 to 300 [SAM-06]

private:
    struct Chosen {
        std::string name;
        Regime regime;
        CertificateType type;
        std::optional<std::string> own_policy;
        std::vector<PdsLocation> pds;
        Lifetime lifetime;
        std::vector<std::string> proofing;
        std::vector<KeyKind> keys;
        Placement placement;
        PinRules pin;
        std::optional<TotpRules> totp;
        std::optional<SmsRules> sms;
        std::vector<FactorExpression> expressions;
        unsigned otp_failures_a_day;
        std::vector<Mode> modes;
        unsigned multisign;
        std::chrono::seconds sad_life;
    };
    explicit Profile(Chosen chosen) : chosen_(std::move(chosen)) {}
    Chosen chosen_;
};

}  // namespace qscd::policy
