#include "ca/issuing/register.hpp"

#include "base/crash_point.hpp"
#include "ca/issuing/register_migrations.hpp"

namespace qscd::ca {
namespace {

using store::Value;

constexpr std::array state_names{std::string_view{"reserved"}, std::string_view{"issued"}, std::string_view{"active"}};

Result<RegisterEntry> entry_of(const store::Row& row) {
    const auto enrolment = EnrolmentId::from(store::blob(row[3]));
    const auto credential = CredentialId::from(store::blob(row[4]));
    const auto grant = Sha256Digest::from(store::blob(row[6]));
    const auto proof = Sha256Digest::from(store::blob(row[7]));
    const auto state = std::ranges::find(state_names, store::text(row[9]));
    const auto type = store::integer(row[5]);
    if (!enrolment || !credential || !grant || !proof || state == state_names.end() || type < 1 ||
        type > static_cast<std::int64_t>(policy::type_rows.size()))
        return Error{Errc::store_away, "the register holds a row that is none"};
    return RegisterEntry{
        .number = static_cast<std::uint64_t>(store::integer(row[0])),
        .issuer = store::text(row[1]),
        .serial = store::blob(row[2]),
        .enrolment = *enrolment,
        .credential = *credential,
        .type = static_cast<policy::CertificateType>(type),
        .grant = *grant,
        .proof = *proof,
        .tbs = store::blob(row[8]),
        .state = static_cast<RegisterState>(state - state_names.begin()),
        .not_after = from_unix(store::integer(row[10])),
        .certificate = std::holds_alternative<std::monostate>(row[11]) ? Bytes{} : store::blob(row[11]),
    };
}

}  // namespace

std::string_view name_of(RegisterState state) { return state_names[static_cast<std::size_t>(state)]; }

Result<std::unique_ptr<Register>> Register::open(const store::Location& where) {
    QSCD_TRY(auto database, store::Database::open(where));
    QSCD_TRY(database->migrate(register_migrations));
    return std::unique_ptr<Register>{new Register{std::move(database)}};
}

Result<std::vector<RegisterEntry>> Register::entries(std::string_view condition, const std::vector<Value>& parameters) {
    QSCD_TRY(auto rows, database_->query("SELECT number, issuer, serial, enrolment, credential, type, grant_digest, "
                                         "proof_digest, tbs, state, not_after, certificate FROM certificate WHERE " +
                                             std::string{condition},
                                         parameters));
    std::vector<RegisterEntry> out;
    for (const auto& row : rows) {
        QSCD_TRY(auto entry, entry_of(row));
        out.push_back(std::move(entry));
    }
    return out;
}

Result<std::optional<RegisterEntry>> Register::find(const EnrolmentId& enrolment) {
    const std::lock_guard one{lock_};
    QSCD_TRY(auto found, entries("enrolment = $1", {store::of(enrolment.bytes())}));
    return found.empty() ? std::optional<RegisterEntry>{} : std::optional{std::move(found.front())};
}

Result<bool> Register::has_serial(std::string_view issuer, ByteView serial) {
    const std::lock_guard one{lock_};
    QSCD_TRY(const auto rows, database_->query("SELECT number FROM certificate WHERE issuer = $1 AND serial = $2",
                                               {std::string{issuer}, store::of(serial)}));
    return !rows.empty();
}

Result<void> Register::reserve(const Reservation& r, TimePoint now) {
    const std::lock_guard one{lock_};
    crash_point("cad.issue.before-reserve");
    QSCD_TRY(
        const auto rows,
        database_->execute("INSERT INTO certificate (issuer, serial, enrolment, credential, key_digest, type, "
                           "grant_digest, proof_digest, grant_paper, proof_paper, tbs, state, not_after, reserved_at) "
                           "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'reserved', $12, $13) "
                           "ON CONFLICT DO NOTHING",
                           {r.issuer, r.serial, store::of(r.enrolment.bytes()), store::of(r.credential.bytes()),
                            store::of(r.key_digest.bytes()), static_cast<std::int64_t>(r.type),
                            store::of(r.grant.bytes()), store::of(r.proof.bytes()), r.grant_paper, r.proof_paper, r.tbs,
                            unix_seconds(r.not_after), unix_seconds(now)}));
    if (rows != 1)
        return Error{Errc::paper_refused,
                     "this enrolment, credential or public key has a certificate already [QSCD-09]"};
    crash_point("cad.issue.reserved");
    return success();
}

Result<void> Register::store(const EnrolmentId& enrolment, ByteView certificate, TimePoint now) {
    const std::lock_guard one{lock_};
    QSCD_TRY(const auto rows,
             database_->execute("UPDATE certificate SET certificate = $1, state = 'issued', issued_at = $2 "
                                "WHERE enrolment = $3 AND state = 'reserved'",
                                {store::of(certificate), unix_seconds(now), store::of(enrolment.bytes())}));
    if (rows != 1) return Error{Errc::internal, "there is no reservation for this certificate"};
    crash_point("cad.issue.registered");
    return success();
}

Result<void> Register::activate(const EnrolmentId& enrolment, const CredentialId& credential,
                                const Sha256Digest& certificate, TimePoint at) {
    const std::lock_guard one{lock_};
    QSCD_TRY(const auto found, entries("enrolment = $1", {store::of(enrolment.bytes())}));
    if (found.empty() || found.front().credential != credential || found.front().certificate.empty() ||
        sha256(found.front().certificate) != certificate)
        return Error{Errc::paper_refused, "the receipt is for no certificate of ours"};
    if (found.front().state == RegisterState::active) return success();
    crash_point("cad.receipt.before-commit");
    QSCD_TRY(database_->execute("UPDATE certificate SET state = 'active', active_at = $1 WHERE enrolment = $2",
                                {unix_seconds(at), store::of(enrolment.bytes())}));
    crash_point("cad.receipt.after-commit");
    return success();
}

Result<std::vector<RegisterEntry>> Register::list(std::uint64_t after, std::size_t count) {
    const std::lock_guard one{lock_};
    return entries("number > $1 ORDER BY number LIMIT $2",
                   {static_cast<std::int64_t>(after), static_cast<std::int64_t>(count)});
}

Result<std::uint64_t> Register::next_crl_number(std::string_view issuer) {
    const std::lock_guard one{lock_};
    QSCD_TRY(auto transaction, database_->begin());
    QSCD_TRY(database_->execute("INSERT INTO crl (issuer, number) VALUES ($1, 0) ON CONFLICT DO NOTHING",
                                {std::string{issuer}}));
    QSCD_TRY(database_->execute("UPDATE crl SET number = number + 1 WHERE issuer = $1", {std::string{issuer}}));
    QSCD_TRY(const auto rows, database_->query("SELECT number FROM crl WHERE issuer = $1", {std::string{issuer}}));
    if (rows.size() != 1) return Error{Errc::store_away, "no CRL number"};
    crash_point("cad.crl.before-commit");
    QSCD_TRY(transaction.commit());
    crash_point("cad.crl.after-commit");
    return static_cast<std::uint64_t>(store::integer(rows.front().front()));
}

Result<void> Register::healthy() {
    const std::lock_guard one{lock_};
    QSCD_TRY(database_->query("SELECT number FROM certificate LIMIT 1"));
    return success();
}

}  // namespace qscd::ca
