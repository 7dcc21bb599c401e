// A gateway without sockets: the real handlers over a store of its own, with samd and rad played by stand-ins whose
// answers a test sets. Anna has credentials under three profiles; the portal "acme" acts for her, "other" for Boris.
#pragma once

#include <filesystem>
#include <functional>
#include <map>

#include "base/json/object.hpp"
#include "qscd/gateway/administration.hpp"
#include "qscd/gateway/front_door.hpp"

namespace qscd::gateway {

using namespace std::chrono_literals;

inline const TimePoint noon = from_unix(1'795'176'000);  // 2026-11-20T12:00:00Z

class FakeSam : public Sam {
public:
    std::map<CredentialId, pb::CredentialDescription> credentials;
    std::function<Result<void>()> at_describe, at_open, at_authorise, at_sign, at_list, at_health;
    std::vector<pb::OpenChallenge> opened;
    std::vector<pb::Authorise> authorised;
    std::vector<pb::SignHash> signed_hashes;
    pb::SamHealthReport report;
    int describes = 0, healths = 0;

    FakeSam();
    Result<pb::CredentialDescription> describe(const CredentialId& credential) override;
    Result<std::vector<CredentialId>> list(const SignerId& signer) override;
    Result<void> open_challenge(const pb::OpenChallenge& request) override;
    Result<pb::Authorised> authorise(pb::Authorise& request) override;
    Result<pb::Signatures> sign(pb::SignHash& request) override;
    Result<pb::SamHealthReport> health() override;
};

class FakeRegistration : public Registration {
public:
    std::map<std::string, SignerId> signers;
    std::function<Result<void>()> at_find;
    pb::RaHealthReport report;
    int finds = 0;

    FakeRegistration();
    Result<SignerId> find_signer(const std::string& username) override;
    Result<pb::RaHealthReport> health() override;
};

// A root, an issuing CA below it, and certificates of signers below that.
struct Pki {
    EvpPkey root_key, issuing_key;
    X509Cert root, issuing;
    Pki();
    X509Cert signer(std::string_view common_name, TimePoint from, TimePoint to) const;
};
const Pki& pki();

inline SignerId signer_numbered(std::uint8_t n) { return SignerId{std::array<std::uint8_t, 16>{n}}; }
inline CredentialId credential_numbered(std::uint8_t n) { return CredentialId{std::array<std::uint8_t, 16>{n}}; }

inline const SignerId anna = signer_numbered(1), boris = signer_numbered(2);
inline const CredentialId annas_app = credential_numbered(0xa1);   // P-256, PIN AND TOTP, LCP
inline const CredentialId annas_sms = credential_numbered(0xa2);   // RSA-3072, PIN AND SMS, QCP-n
inline const CredentialId annas_page = credential_numbered(0xa3);  // P-384, page only, QCP-n-qscd
inline const CredentialId annas_new = credential_numbered(0xa4);   // still being enrolled
inline const CredentialId boriss = credential_numbered(0xb1);
inline const CredentialId nobodys = credential_numbered(0xff);

inline constexpr const char* acme_secret = "correct horse/battery+staple%";

struct World {
    World();
    ~World();

    net::Response send(net::Request request);
    // POST with acme's bearer and a JSON body.
    net::Response post(std::string_view method, std::string_view body, net::Headers more = {});
    net::Response post_form(std::string_view body, net::Headers more = {},
                            std::string_view path = "/csc/v2/oauth2/token");
    std::string token_of(const char* client, std::chrono::seconds life = 3600s);

    FixedClock clock{noon};
    FakeSam sam;
    FakeRegistration registration;
    std::filesystem::path folder;
    policy::Policy policy;
    policy::Deployment deployment;
    CaCertificates authorities;
    std::unique_ptr<Access> access;
    CredentialDirectory directory;
    Health health;
    Administration administration;
    Service service;
    FrontDoor door;
    std::string bearer;  // acme's
};

policy::Policy policy_with(std::string_view regime);

std::string base64_hash(char fill = 'a', std::size_t size = 32);
json::Object object_in(const net::Response& response);
std::string error_in(const net::Response& response);        // `error`, or nothing
std::string description_in(const net::Response& response);  // `error_description`, or nothing
std::optional<std::string> header_of(const net::Response& response, std::string_view name);

}  // namespace qscd::gateway
