#include "qscd/cli/portal.hpp"

#include <boost/json/serialize.hpp>

#include "base/random.hpp"

namespace qscd::cli {
namespace {

constexpr std::size_t most = 1000, longest = 100'000;

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' || c == '~') out += c;
        else out += "%" + to_hex(view_of(std::string_view{&c, 1}));
    }
    return out;
}

// What the server said, in its own words; the code tells scripts what kind of refusal it was.
Error error_of(unsigned status, const std::string& body) {
    const auto object = json::Object::parse(body);
    std::string error = "HTTP " + std::to_string(status), description;
    if (object) {
        if (const auto text = object.value().optional_string("error", longest); text && text.value())
            error = *text.value();
        if (const auto text = object.value().optional_string("error_description", longest); text && text.value())
            description = *text.value();
    }
    const auto code = status == 503 || status == 429           ? Errc::service_away
                      : error == "invalid_authentication_data" ? Errc::factors_wrong
                      : description == "Credential locked"     ? Errc::credential_locked
                      : error == "access_denied"               ? Errc::access_denied
                                                               : Errc::internal;
    return {code, "the server says " + error + ": " + description};
}

struct AlgorithmRow {
    std::string_view oid;
    Scheme scheme;
    HashAlgorithm hash;
};
constexpr std::array algorithm_rows{
    AlgorithmRow{"1.2.840.10045.4.3.2", Scheme::ecdsa, HashAlgorithm::sha256},
    AlgorithmRow{"1.2.840.10045.4.3.3", Scheme::ecdsa, HashAlgorithm::sha384},
    AlgorithmRow{"1.2.840.10045.4.3.4", Scheme::ecdsa, HashAlgorithm::sha512},
    AlgorithmRow{"1.2.840.113549.1.1.11", Scheme::rsa_pkcs1, HashAlgorithm::sha256},
    AlgorithmRow{"1.2.840.113549.1.1.12", Scheme::rsa_pkcs1, HashAlgorithm::sha384},
    AlgorithmRow{"1.2.840.113549.1.1.13", Scheme::rsa_pkcs1, HashAlgorithm::sha512},
};

}  // namespace

Result<Algorithm> algorithm_for(const Credential& credential, HashAlgorithm hash) {
    for (const auto& row : algorithm_rows)
        if (row.hash == hash && std::ranges::count(credential.algorithms, row.oid) != 0)
            return Algorithm{row.oid, row.scheme};
    return Error{Errc::not_supported, "the credential offers no algorithm for " + std::string{row_of(hash).name}};
}

Result<Portal> Portal::open(const PortalSettings& settings) {
    QSCD_TRY(auto endpoint, net::Endpoint::from_url(settings.base_url));
    endpoint.ca_pem = settings.tls_ca;
    return Portal{net::Client{std::move(endpoint)}, {}, settings};
}

Result<std::optional<json::Object>> Portal::post(std::string_view method, std::string body, net::Headers headers) {
    auto sent = client_.request("POST", "/" + std::string{method}, headers, body);
    wipe(body);
    QSCD_TRY(auto response, std::move(sent));
    if (response.status == 204) return std::optional<json::Object>{};
    if (response.status != 200) return error_of(response.status, response.body);
    QSCD_TRY(auto object, json::Object::parse(response.body));
    wipe(response.body);
    return std::optional<json::Object>{std::move(object)};
}

Result<std::optional<json::Object>> Portal::call(std::string_view method, std::string body, net::Headers extra) {
    extra.emplace_back("Content-Type", "application/json");
    extra.emplace_back("Authorization", "Bearer " + std::string{text_of(bearer_.reveal())});
    return post(method, std::move(body), std::move(extra));
}

Result<void> Portal::log_in(const SecretBytes& client_secret) {
    QSCD_TRY(auto reply, post("oauth2/token",
                              "grant_type=client_credentials&client_id=" + percent_encoded(settings_.client_id) +
                                  "&client_secret=" + percent_encoded(text_of(client_secret.reveal())),
                              {{"Content-Type", "application/x-www-form-urlencoded"}}));
    QSCD_TRY(auto token, reply->secret("access_token", longest));
    bearer_ = std::move(token);
    return success();
}

Result<std::vector<std::string>> Portal::credentials_of(const std::string& user) {
    QSCD_TRY(auto reply, call("credentials/list",
                              boost::json::serialize(boost::json::object{{"userID", user}, {"onlyValid", true}})));
    return reply->strings("credentialIDs", most, longest);
}

Result<Credential> Portal::credential(const std::string& id) {
    QSCD_TRY(auto reply,
             call("credentials/info", boost::json::serialize(boost::json::object{
                                          {"credentialID", id}, {"certificates", "chain"}, {"authInfo", true}})));
    QSCD_TRY(auto key, reply->object("key"));
    QSCD_TRY(auto status, key.string("status", longest));
    QSCD_TRY(auto algorithms, key.strings("algo", most, longest));
    QSCD_TRY(auto certificate, reply->object("cert"));
    QSCD_TRY(auto chain, certificate.strings("certificates", most, longest));
    QSCD_TRY(auto auth, reply->object("auth"));
    QSCD_TRY(auto mode, auth.string("mode", longest));
    if (mode != "explicit")
        return Error{Errc::not_supported,
                     "credential " + id + " is used on the signer's page only (mode " + mode + ")"};
    QSCD_TRY(auto objects, auth.objects("objects", most));
    Credential out{id, status == "enabled", std::move(algorithms), {}, {}};
    for (const auto& text : chain) {
        const auto der = from_base64(text);
        if (!der) return Error{Errc::internal, "the server sent a certificate that is not base64"};
        out.chain.push_back(*der);
    }
    for (const auto& object : objects) {
        QSCD_TRY(auto name, object.string("id", longest));
        QSCD_TRY(auto type, object.string("type", longest));
        QSCD_TRY(auto label, object.optional_string("label", longest));
        out.factors.push_back({name, type, label.value_or(name)});
    }
    return out;
}

Result<void> Portal::challenge(const Credential& credential, const std::string& factor, const DtbsR& hash) {
    QSCD_TRY(call("credentials/getChallenge",
                  boost::json::serialize(boost::json::object{{"credentialID", credential.id},
                                                             {"authObjectID", factor},
                                                             {"numSignatures", 1},
                                                             {"hashes", boost::json::array{to_base64(hash.bytes())}},
                                                             {"hashAlgorithmOID", row_of(hash.algorithm()).oid}})));
    return success();
}

Result<SecretBytes> Portal::authorise(const Credential& credential, const DtbsR& hash,
                                      const std::vector<Answer>& answers) {
    boost::json::array data;
    for (const auto& each : answers) data.push_back({{"id", each.id}, {"value", text_of(each.value.reveal())}});
    QSCD_TRY(auto reply, call("credentials/authorize", boost::json::serialize(boost::json::object{
                                                           {"credentialID", credential.id},
                                                           {"numSignatures", 1},
                                                           {"hashes", boost::json::array{to_base64(hash.bytes())}},
                                                           {"hashAlgorithmOID", row_of(hash.algorithm()).oid},
                                                           {"authData", std::move(data)}})));
    return reply->secret("SAD", longest);
}

Result<Bytes> Portal::sign(const Credential& credential, const SecretBytes& sad, const DtbsR& hash,
                           std::string_view algorithm) {
    QSCD_TRY(auto reply,
             call("signatures/signHash",
                  boost::json::serialize(boost::json::object{{"credentialID", credential.id},
                                                             {"SAD", text_of(sad.reveal())},
                                                             {"hashes", boost::json::array{to_base64(hash.bytes())}},
                                                             {"hashAlgorithmOID", row_of(hash.algorithm()).oid},
                                                             {"signAlgo", algorithm}}),
                  {{"Idempotency-Key", to_hex(random_bytes(16))}}));
    QSCD_TRY(auto signatures, reply->strings("signatures", most, longest));
    const auto value = signatures.size() == 1 ? from_base64(signatures[0]) : std::nullopt;
    if (!value) return Error{Errc::internal, "the server did not answer one signature in base64"};
    return *value;
}

}  // namespace qscd::cli
