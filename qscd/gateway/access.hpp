// Who may call: portals, the signers they may act for, and the access tokens they hold. Of secrets and tokens only
// SHA-256 digests are kept; both are random, so that is enough. Memory answers, the store remembers. Thread rules: safe
// from every thread.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "base/secret.hpp"
#include "base/store/database.hpp"

namespace qscd::gateway {

struct Client {
    ClientId id;
    std::string name;            // at most 255 bytes
    Sha256Digest secret_digest;  // of the client_secret
    std::string redirect_uri;    // at most 2048 bytes
    std::set<SignerId> signers;  // it may act for these and no others
};

inline constexpr std::size_t live_tokens_limit = 10'000;  // of one client
// An expired token is told from an unknown one for so long.
inline constexpr std::chrono::hours expired_memory{24};

class Access {
public:
    static Result<std::unique_ptr<Access>> open(const store::Location& where, const Clock& clock);

    // Replaces the client of that id with its list of signers. A new secret ends the tokens got with the old one.
    Result<void> put(const Client& client);

    bool knows(const ClientId& client) const;
    // The same work for every secret, and for a client that does not exist.
    bool secret_is_right(const ClientId& client, const SecretBytes& secret) const;
    bool may_act_for(const ClientId& client, const SignerId& signer) const;

    // 32 random bytes in base64url; works for `life`. Errc::parameter_invalid (client_id) for an unknown client,
    // Errc::too_many_requests above live_tokens_limit.
    Result<std::string> issue_token(const ClientId& client, std::chrono::seconds life);
    // Whose token it is. Errc::bearer_invalid, Errc::bearer_expired.
    Result<ClientId> token_holder(std::string_view token) const;

    Result<void> healthy();

private:
    struct Token {
        ClientId client;
        TimePoint expires;
    };
    Access(std::unique_ptr<store::Database> database, const Clock& clock);
    Result<void> read();
    Result<void> sweep(TimePoint now);
    Result<void> write(const Client& client, bool new_secret);

    mutable std::mutex lock_;
    std::unique_ptr<store::Database> database_;
    const Clock& clock_;
    std::unordered_map<std::string, Client> clients_;
    std::unordered_map<Sha256Digest, Token, HashOfFixedBytes> tokens_;
    Sha256Digest nobodys_digest_;  // what an unknown client's secret is compared with
    TimePoint swept_{};
};

}  // namespace qscd::gateway
