#include "base/store/provision.hpp"

#include <array>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/digest.hpp"
#include "base/random.hpp"

namespace qscd::store {
namespace {

constexpr int iterations = 4096, connections_of_a_daemon = 8;
constexpr std::size_t salt_size = 16, key_size = 32;
using Key = std::array<std::uint8_t, key_size>;

Result<Key> hmac(ByteView key, std::string_view text) {
    Key out{};
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), view_of(text).data(), text.size(), out.data(),
             nullptr) == nullptr)
        return Error{Errc::internal, "HMAC"};
    return out;
}

// SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey [RFC 5802, 3].
Result<std::string> verifier_of(const SecretBytes& password) {
    const auto salt = random_bytes(salt_size);
    const auto text = text_of(password.reveal());
    Key salted{};
    if (PKCS5_PBKDF2_HMAC(text.data(), static_cast<int>(text.size()), salt.data(), static_cast<int>(salt.size()),
                          iterations, EVP_sha256(), key_size, salted.data()) != 1)
        return Error{Errc::internal, "PBKDF2"};
    QSCD_TRY(const auto client_key, hmac(salted, "Client Key"));
    QSCD_TRY(const auto server_key, hmac(salted, "Server Key"));
    return "SCRAM-SHA-256$" + std::to_string(iterations) + ":" + to_base64(salt) + "$" +
           to_base64(sha256(client_key).bytes()) + ":" + to_base64(server_key);
}

Error refused(std::string_view what) { return {Errc::configuration, std::string{what}}; }

Result<void> has_the_rights(Database& administrator) {
    QSCD_TRY(const auto rows,
             administrator.query("SELECT (rolsuper OR (rolcreaterole AND pg_has_role(datdba, 'USAGE')))::text, "
                                 "rolname, datname FROM pg_roles, pg_database "
                                 "WHERE rolname = current_user AND datname = current_database()"));
    if (rows.size() != 1 || text(rows[0][0]) != "true")
        return refused("the administrator's role is neither superuser nor, with CREATEROLE, the owner of the database");
    return success();
}

Result<void> is_free(Database& administrator, const std::string& name) {
    if (!is_plain_name(name)) return refused("no name for a role: a small letter, then small letters, digits and _");
    QSCD_TRY(const auto roles, administrator.query("SELECT rolname FROM pg_roles WHERE rolname = $1", {name}));
    if (!roles.empty()) return refused("there is a role " + name + " already");
    QSCD_TRY(const auto schemas, administrator.query("SELECT nspname FROM pg_namespace WHERE nspname = $1", {name}));
    if (!schemas.empty()) return refused("there is a schema " + name + " already");
    return success();
}

}  // namespace

Result<void> can_provision(Database& administrator, const std::vector<std::string>& names) {
    QSCD_TRY(has_the_rights(administrator));
    for (const auto& name : names) {
        QSCD_TRY(is_free(administrator, name));
    }
    return success();
}

Result<void> provision(Database& administrator, const std::vector<Room>& rooms) {
    std::vector<std::string> names;
    names.reserve(rooms.size());
    for (const auto& room : rooms) names.push_back(room.name);
    QSCD_TRY(can_provision(administrator, names));
    QSCD_TRY(const auto databases, administrator.query("SELECT quote_ident(current_database())"));
    const auto& database = text(databases.at(0).at(0));
    QSCD_TRY(auto transaction, administrator.begin());
    QSCD_TRY(administrator.execute("REVOKE ALL ON DATABASE " + database + " FROM PUBLIC"));
    for (const auto& room : rooms) {
        QSCD_TRY(const auto verifier, verifier_of(room.password));
        // To give a schema away its maker must be a member of the role, for this moment.
        for (const auto& statement :
             {"CREATE ROLE " + room.name +
                  " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS CONNECTION LIMIT " +
                  std::to_string(connections_of_a_daemon) + " PASSWORD '" + verifier + "'",
              "GRANT CONNECT ON DATABASE " + database + " TO " + room.name, "GRANT " + room.name + " TO CURRENT_USER",
              "CREATE SCHEMA " + room.name + " AUTHORIZATION " + room.name,
              "REVOKE ALL ON SCHEMA " + room.name + " FROM PUBLIC", "REVOKE " + room.name + " FROM CURRENT_USER"}) {
            QSCD_TRY(administrator.execute(statement));
        }
    }
    return transaction.commit();
}

}  // namespace qscd::store
