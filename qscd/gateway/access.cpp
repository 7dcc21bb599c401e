#include "qscd/gateway/access.hpp"

#include "base/crash_point.hpp"
#include "base/random.hpp"
#include "qscd/gateway/gateway_migrations.hpp"

namespace qscd::gateway {
namespace {

using store::blob, store::integer, store::of, store::text;

constexpr std::size_t token_size = 32, longest_name = 255, longest_uri = 2048;
constexpr std::chrono::minutes between_sweeps{1};
constexpr const char* service_scope = "service";

Error invalid(const char* name) { return {Errc::parameter_invalid, "", {"string", name}}; }
Error strange() { return {Errc::store_away, "the store holds a row that is none"}; }

}  // namespace

Access::Access(std::unique_ptr<store::Database> database, const Clock& clock)
    : database_(std::move(database)), clock_(clock), nobodys_digest_(random_fixed<Sha256Digest>()) {}

Result<std::unique_ptr<Access>> Access::open(const store::Location& where, const Clock& clock) {
    QSCD_TRY(auto database, store::Database::open(where));
    QSCD_TRY(database->migrate(gateway_migrations));
    std::unique_ptr<Access> out{new Access{std::move(database), clock}};
    const std::lock_guard one{out->lock_};
    QSCD_TRY(out->read());
    return out;
}

Result<void> Access::read() {
    QSCD_TRY(const auto clients, database_->query("SELECT id, name, secret_digest, redirect_uri FROM client"));
    for (const auto& row : clients) {
        const auto id = ClientId::from(text(row[0]));
        const auto digest = Sha256Digest::from(blob(row[2]));
        if (!id || !digest) return strange();
        clients_.emplace(id.value().text(), Client{id.value(), text(row[1]), *digest, text(row[3]), {}});
    }
    QSCD_TRY(const auto signers, database_->query("SELECT client, signer FROM client_signer"));
    for (const auto& row : signers) {
        const auto client = clients_.find(text(row[0]));
        const auto signer = SignerId::from(blob(row[1]));
        if (client == clients_.end() || !signer) return strange();
        client->second.signers.insert(*signer);
    }
    QSCD_TRY(const auto tokens, database_->query("SELECT digest, client, expires FROM access_token"));
    for (const auto& row : tokens) {
        const auto digest = Sha256Digest::from(blob(row[0]));
        const auto id = ClientId::from(text(row[1]));
        if (!digest || !id) return strange();
        tokens_.emplace(*digest, Token{id.value(), from_unix(integer(row[2]))});
    }
    return success();
}

Result<void> Access::write(const Client& client, bool new_secret) {
    const auto& id = client.id.text();
    QSCD_TRY(auto transaction, database_->begin());
    QSCD_TRY(database_->execute(
        "INSERT INTO client (id, name, secret_digest, redirect_uri) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE "
        "SET "
        "name = excluded.name, secret_digest = excluded.secret_digest, redirect_uri = excluded.redirect_uri",
        {id, client.name, of(client.secret_digest.bytes()), client.redirect_uri}));
    QSCD_TRY(database_->execute("DELETE FROM client_signer WHERE client = $1", {id}));
    for (const auto& signer : client.signers) {
        QSCD_TRY(
            database_->execute("INSERT INTO client_signer (client, signer) VALUES ($1, $2)", {id, of(signer.bytes())}));
    }
    if (new_secret) {
        QSCD_TRY(database_->execute("DELETE FROM access_token WHERE client = $1", {id}));
    }
    return transaction.commit();
}

Result<void> Access::put(const Client& client) {
    if (client.name.size() > longest_name) return invalid("name");
    if (client.redirect_uri.size() > longest_uri) return invalid("redirect_uri");
    const std::lock_guard one{lock_};
    const auto known = clients_.find(client.id.text());
    const bool new_secret = known != clients_.end() && known->second.secret_digest != client.secret_digest;
    crash_point("gatewayd.client.before-commit");
    QSCD_TRY(write(client, new_secret));
    crash_point("gatewayd.client.after-commit");
    clients_.insert_or_assign(client.id.text(), client);
    if (new_secret) std::erase_if(tokens_, [&](const auto& each) { return each.second.client == client.id; });
    return success();
}

bool Access::knows(const ClientId& client) const {
    const std::lock_guard one{lock_};
    return clients_.contains(client.text());
}

bool Access::secret_is_right(const ClientId& client, const SecretBytes& secret) const {
    const auto digest = sha256(secret.reveal());
    const std::lock_guard one{lock_};
    const auto known = clients_.find(client.text());
    const auto& right = known != clients_.end() ? known->second.secret_digest : nobodys_digest_;
    return equal_in_constant_time(digest.bytes(), right.bytes()) && known != clients_.end();
}

bool Access::may_act_for(const ClientId& client, const SignerId& signer) const {
    const std::lock_guard one{lock_};
    const auto known = clients_.find(client.text());
    return known != clients_.end() && known->second.signers.contains(signer);
}

Result<void> Access::sweep(TimePoint now) {
    if (now < swept_ + between_sweeps) return success();
    const auto forgotten = now - expired_memory;
    QSCD_TRY(database_->execute("DELETE FROM access_token WHERE expires < $1", {unix_seconds(forgotten)}));
    std::erase_if(tokens_, [&](const auto& each) { return each.second.expires < forgotten; });
    swept_ = now;
    return success();
}

Result<std::string> Access::issue_token(const ClientId& client, std::chrono::seconds life) {
    const SecretBytes token{ByteView{random_bytes(token_size)}};
    const auto digest = sha256(token.reveal());
    const auto now = clock_.now();
    const std::lock_guard one{lock_};
    if (!clients_.contains(client.text())) return invalid("client_id");
    QSCD_TRY(sweep(now));
    const auto live = std::ranges::count_if(
        tokens_, [&](const auto& each) { return each.second.expires > now && each.second.client == client; });
    if (static_cast<std::size_t>(live) >= live_tokens_limit)
        return Error{Errc::too_many_requests, "live tokens of one client"};
    crash_point("gatewayd.token.before-commit");
    QSCD_TRY(
        database_->execute("INSERT INTO access_token (digest, client, scope, expires) VALUES ($1, $2, $3, $4)",
                           {of(digest.bytes()), client.text(), std::string{service_scope}, unix_seconds(now + life)}));
    crash_point("gatewayd.token.after-commit");
    tokens_.emplace(digest, Token{client, now + life});
    return to_base64url(token.reveal());
}

Result<ClientId> Access::token_holder(std::string_view token) const {
    const auto bytes = from_base64url(token);
    if (!bytes || bytes->size() != token_size) return Error{Errc::bearer_invalid};
    const auto digest = sha256(*bytes);
    const std::lock_guard one{lock_};
    const auto found = tokens_.find(digest);
    if (found == tokens_.end()) return Error{Errc::bearer_invalid};
    if (clock_.now() >= found->second.expires) return Error{Errc::bearer_expired};
    return found->second.client;
}

Result<void> Access::healthy() {
    const std::lock_guard one{lock_};
    QSCD_TRY(database_->query("SELECT number FROM migration LIMIT 1"));
    return success();
}

}  // namespace qscd::gateway
