#include "ca/registration/registration_store.hpp"

#include "ca/registration/contact.hpp"
#include "ca/registration/registration_migrations.hpp"

namespace qscd::ca {
namespace {

using store::blob, store::integer, store::text, store::of;

// A row that was written by these functions has these lengths; another one is no row of ours.
Error strange() { return {Errc::store_away, "the store holds a row that is none"}; }

}  // namespace

Result<std::unique_ptr<RegistrationStore>> RegistrationStore::open(const store::Location& where) {
    QSCD_TRY(auto database, store::Database::open(where));
    QSCD_TRY(database->migrate(registration_migrations));
    return std::unique_ptr<RegistrationStore>{new RegistrationStore{std::move(database)}};
}

Result<std::optional<Account>> RegistrationStore::account(std::string_view username) {
    QSCD_TRY(const auto rows, database_->query("SELECT signer, username, email, phone, phone_device, app_device "
                                               "FROM account WHERE username = $1",
                                               {std::string{username}}));
    if (rows.empty()) return std::optional<Account>{};
    const auto& row = rows.front();
    const auto signer = SignerId::from(blob(row[0]));
    const auto phone_device = DeviceId::from(blob(row[4])), app_device = DeviceId::from(blob(row[5]));
    if (!signer || !phone_device || !app_device) return strange();
    return std::optional{Account{*signer, text(row[1]), text(row[2]), text(row[3]), *phone_device, *app_device}};
}

Result<bool> RegistrationStore::add(const Account& account, const std::string& password_hash, TimePoint now) {
    QSCD_TRY(const auto rows,
             database_->execute(
                 "INSERT INTO account (signer, username, email, email_key, phone, password, phone_device, "
                 "app_device, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
                 "ON CONFLICT DO NOTHING",
                 {of(account.signer.bytes()), account.username, account.email, email_key(account.email), account.phone,
                  password_hash, of(account.phone_device.bytes()), of(account.app_device.bytes()), unix_seconds(now)}));
    return rows == 1;
}

Result<std::optional<EnrolmentRequest>> RegistrationStore::one_request(std::string_view condition,
                                                                       const std::vector<store::Value>& parameters) {
    QSCD_TRY(const auto rows, database_->query("SELECT enrolment, signer, content, profile, proofing, grant_body, "
                                               "created_at, expires_at FROM request WHERE " +
                                                   std::string{condition},
                                               parameters));
    if (rows.empty()) return std::optional<EnrolmentRequest>{};
    const auto& row = rows.front();
    const auto enrolment = EnrolmentId::from(blob(row[0]));
    const auto signer = SignerId::from(blob(row[1]));
    const auto content = Sha256Digest::from(blob(row[2]));
    if (!enrolment || !signer || !content) return strange();
    return std::optional{EnrolmentRequest{*enrolment, *signer, *content, text(row[3]), text(row[4]), blob(row[5]),
                                          from_unix(integer(row[6])), from_unix(integer(row[7]))}};
}

Result<std::optional<EnrolmentRequest>> RegistrationStore::request(const EnrolmentId& enrolment) {
    return one_request("enrolment = $1", {of(enrolment.bytes())});
}

Result<std::optional<EnrolmentRequest>> RegistrationStore::live_request(const Sha256Digest& content, TimePoint now) {
    return one_request("content = $1 AND expires_at > $2 ORDER BY expires_at DESC LIMIT 1",
                       {of(content.bytes()), unix_seconds(now)});
}

Result<void> RegistrationStore::add(const EnrolmentRequest& request) {
    QSCD_TRY(database_->execute(
        "INSERT INTO request (enrolment, signer, content, profile, proofing, grant_body, "
        "created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        {of(request.enrolment.bytes()), of(request.signer.bytes()), of(request.content.bytes()), request.profile,
         request.proofing, request.grant_body, unix_seconds(request.created_at), unix_seconds(request.expires_at)}));
    return success();
}

Result<std::optional<Acceptance>> RegistrationStore::acceptance(const EnrolmentId& enrolment) {
    QSCD_TRY(const auto rows, database_->query("SELECT terms_digest, language, accepted_at, digest FROM acceptance "
                                               "WHERE enrolment = $1",
                                               {of(enrolment.bytes())}));
    if (rows.empty()) return std::optional<Acceptance>{};
    const auto& row = rows.front();
    const auto terms = Sha256Digest::from(blob(row[0])), digest = Sha256Digest::from(blob(row[3]));
    if (!terms || !digest) return strange();
    return std::optional{Acceptance{*terms, text(row[1]), from_unix(integer(row[2])), *digest}};
}

Result<void> RegistrationStore::add(const EnrolmentId& enrolment, const Acceptance& acceptance) {
    QSCD_TRY(
        database_->execute("INSERT INTO acceptance (enrolment, terms_digest, language, accepted_at, digest) "
                           "VALUES ($1, $2, $3, $4, $5)",
                           {of(enrolment.bytes()), of(acceptance.terms.bytes()), acceptance.language,
                            unix_seconds(acceptance.at), of(acceptance.digest.bytes())}));
    return success();
}

Result<std::optional<Bytes>> RegistrationStore::grant(const EnrolmentId& enrolment) {
    QSCD_TRY(const auto rows,
             database_->query("SELECT paper FROM grant_paper WHERE enrolment = $1", {of(enrolment.bytes())}));
    return rows.empty() ? std::optional<Bytes>{} : std::optional{blob(rows.front().front())};
}

Result<void> RegistrationStore::add_grant(const EnrolmentId& enrolment, ByteView paper, TimePoint now) {
    QSCD_TRY(database_->execute("INSERT INTO grant_paper (enrolment, paper, approved_at) VALUES ($1, $2, $3)",
                                {of(enrolment.bytes()), of(paper), unix_seconds(now)}));
    return success();
}

Result<void> RegistrationStore::healthy() {
    QSCD_TRY(database_->query("SELECT signer FROM account LIMIT 1"));
    return success();
}

}  // namespace qscd::ca
