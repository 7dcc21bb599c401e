#include "qscd/cli/sign.hpp"

#include "ades/cades.hpp"
#include "base/file.hpp"
#include "base/openssl.hpp"

namespace qscd::cli {
namespace {

constexpr std::size_t longest = 4096;

// What the portal file knows and the command line did not say.
Result<void> complete(SignSettings& settings, std::optional<SecretBytes>& client_secret) {
    if (settings.portal.empty()) return success();
    QSCD_TRY(auto text, read_file(settings.portal));
    QSCD_TRY(auto object, json::Object::parse(text));
    wipe(text);
    const auto take = [&](std::string_view name, auto& into) -> Result<void> {
        if (!into.empty()) return success();
        QSCD_TRY(auto value, object.optional_string(name, longest));
        if (value) into = *value;
        return success();
    };
    QSCD_TRY(take("base_url_v2", settings.url));
    QSCD_TRY(take("client_id", settings.client_id));
    QSCD_TRY(take("tls_ca", settings.tls_ca));
    QSCD_TRY(take("trust_root", settings.trust_root));
    QSCD_TRY(client_secret, object.optional_secret("client_secret", longest));
    return success();
}

Result<std::string> describe_verified(const ades::Verified& verified) {
    return std::string{verified.level} + " by " + verified.signer + ", claimed time " + iso8601(verified.signing_time);
}

Result<ades::Trust> trust_in(const std::filesystem::path& root) {
    QSCD_TRY(auto pem, read_file(root));
    QSCD_TRY(auto anchor, certificate_from_pem(pem));
    return ades::Trust{{der_of(*anchor, i2d_X509)}, {}, process_clock().now()};
}

Result<HashAlgorithm> hash_named(std::string_view name) {
    for (const auto& row : hash_rows)
        if (row.name == name) return row.algorithm;
    return Error{Errc::configuration, std::string{name} + " is not a hash we use; write SHA-256, SHA-384 or SHA-512"};
}

// A code is asked for only once the server has sent it.
Result<std::vector<Portal::Answer>> factors(Portal& portal, const Credential& credential, const DtbsR& hash,
                                            const SignSettings& settings) {
    std::vector<Portal::Answer> answers;
    for (const auto& factor : credential.factors) {
        if (factor.type == "ChallengeResponse") {
            QSCD_TRY(portal.challenge(credential, factor.id, hash));
        } else if (factor.type != "Password") {
            return Error{Errc::not_supported, "factor " + factor.id + " of type " + factor.type};
        }
        QSCD_TRY(auto value,
                 secret(factor.id == "PIN" ? settings.pin_descriptor : settings.code_descriptor, factor.label));
        answers.push_back({factor.id, std::move(value)});
    }
    return answers;
}

}  // namespace

Result<void> sign(const Options& options, SignSettings settings) {
    std::optional<SecretBytes> client_secret;
    QSCD_TRY(complete(settings, client_secret));
    if (settings.output.empty()) settings.output = settings.file.string() + ".p7s";
    if (std::filesystem::exists(settings.output))
        return Error{Errc::configuration, settings.output.string() + " exists; give another --out"};
    QSCD_TRY(auto algorithm, hash_named(settings.hash));
    QSCD_TRY(auto content, ades::digest_file(settings.file, algorithm));

    QSCD_TRY(auto portal, Portal::open({settings.url, settings.tls_ca, settings.client_id}));
    if (settings.token_descriptor >= 0) {
        QSCD_TRY(auto token, secret(settings.token_descriptor, "Access token"));
        portal.use_token(std::move(token));
    } else {
        if (settings.client_secret_descriptor >= 0 || !client_secret) {
            QSCD_TRY(client_secret, secret(settings.client_secret_descriptor, "Client secret"));
        }
        QSCD_TRY(portal.log_in(*client_secret));
    }
    auto id = settings.credential;
    if (id.empty()) {
        QSCD_TRY(auto ids, portal.credentials_of(settings.user));
        if (ids.empty())
            return Error{Errc::parameter_invalid, settings.user + " has no credential", {"string", "userID"}};
        id = ids.front();
    }
    QSCD_TRY(auto credential, portal.credential(id));
    if (!credential.enabled) return Error{Errc::credential_disabled, "credential " + id};
    if (credential.chain.empty()) return Error{Errc::internal, "the server sent no certificate"};
    QSCD_TRY(auto method, algorithm_for(credential, algorithm));

    const auto now = process_clock().now();
    QSCD_TRY(auto attributes, ades::make_signed_attributes(content, credential.chain.front(), now, algorithm));
    say(options, "signing " + settings.file.string() + " (" + settings.hash + " " + to_hex(content).substr(0, 16) +
                     "…) with credential " + id);
    QSCD_TRY(auto answers, factors(portal, credential, attributes.to_be_signed(), settings));
    QSCD_TRY(auto sad, portal.authorise(credential, attributes.to_be_signed(), answers));
    say(options, "authorised; asking for the signature");
    QSCD_TRY(auto value, portal.sign(credential, sad, attributes.to_be_signed(), method.oid));
    QSCD_TRY(auto cms, ades::assemble(attributes, value, method.scheme, credential.chain));
    std::string verdict = "not verified up to a root: no --trust-root was given";
    if (!settings.trust_root.empty()) {
        QSCD_TRY(auto trust, trust_in(settings.trust_root));
        QSCD_TRY(auto verified, ades::verify(cms, ades::content_in_file(settings.file), trust));
        QSCD_TRY(verdict, describe_verified(verified));
    }
    QSCD_TRY(write_file(settings.output, text_of(cms)));
    answer(options, "wrote " + settings.output.string() + ": " + verdict,
           {{"file", settings.file.string()},
            {"signature", settings.output.string()},
            {"credentialID", id},
            {"verified", !settings.trust_root.empty()},
            {"report", verdict}});
    return success();
}

Result<void> verify(const Options& options, const VerifySettings& settings) {
    const auto path = settings.signature.empty() ? std::filesystem::path{settings.file.string() + ".p7s"}
                                                 : settings.signature;
    QSCD_TRY(auto cms, read_file(path));
    QSCD_TRY(auto trust, trust_in(settings.trust_root));
    QSCD_TRY(auto verified, ades::verify(view_of(cms), ades::content_in_file(settings.file), trust));
    QSCD_TRY(auto report, describe_verified(verified));
    answer(options, "good signature: " + report + "\nrevocation was not looked at",
           {{"good", true},
            {"level", verified.level},
            {"signer", verified.signer},
            {"signing_time", iso8601(verified.signing_time)},
            {"revocation", "not checked"}});
    return success();
}

}  // namespace qscd::cli
