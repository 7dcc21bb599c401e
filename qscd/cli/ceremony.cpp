#include "qscd/cli/ceremony.hpp"

#include <boost/json/array.hpp>

#include "base/file.hpp"
#include "ca/issuing/ca_certificates.hpp"
#include "hsm/contents.hpp"
#include "qscd/cli/setup.hpp"

namespace qscd::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct KeysRow {
    std::string_view name;
    const char* token;
    Result<void> (*make)(const Setup& setup, hsm::Token& token, const policy::Policy& rules);
};
constexpr std::array keys_rows{
    KeysRow{"sam", policy::sam_token,
            [](const Setup& setup, hsm::Token& token, const policy::Policy& rules) -> Result<void> {
                QSCD_TRY(setup.make_sam_keys(token, rules));
                return success();
            }},
    KeysRow{"rule", policy::ra_token,
            [](const Setup& setup, hsm::Token& token, const policy::Policy&) { return setup.make_rule_key(token); }},
    KeysRow{
        "issuing", policy::ca_token,
        [](const Setup& setup, hsm::Token& token, const policy::Policy&) { return setup.make_issuing_keys(token); }},
    KeysRow{"root", policy::root_token,
            [](const Setup& setup, hsm::Token& token, const policy::Policy&) { return setup.make_root_key(token); }},
};

json::object json_of(const hsm::TokenInfo& token) {
    return {{"label", token.label},
            {"serial", token.serial},
            {"manufacturer", token.manufacturer},
            {"model", token.model},
            {"firmware", token.firmware}};
}

json::array json_of(const std::vector<hsm::HeldObject>& objects) {
    json::array out;
    for (const auto& each : objects) {
        json::object attributes;
        for (const auto& [name, value] : each.attributes) attributes[name] = value == "true";
        json::object object{{"kind", each.kind}, {"label", each.label}};
        if (!each.id.empty()) object["id"] = each.id;
        if (!each.mechanism.empty()) object["key_gen_mechanism"] = each.mechanism;
        if (!each.application.empty()) object["application"] = each.application;
        if (!each.value.empty()) object["sha256"] = each.value;
        object["attributes"] = std::move(attributes);
        out.push_back(std::move(object));
    }
    return out;
}

Result<Sha256Digest> digest_of_file(const fs::path& file) {
    QSCD_TRY(const auto text, read_file(file, 256 << 20));
    return sha256(view_of(text));
}

std::string one_line(const X509_NAME& name) {
    const BioPtr bio{BIO_new(BIO_s_mem())};
    X509_NAME_print_ex(bio.get(), &name, 0, XN_FLAG_RFC2253);
    char* text = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

// The files in pki/ that stand for the token's keys: public keys and certificates by their digests.
Result<json::array> files_beside(const Setup& setup, std::string_view token) {
    json::array out;
    for (const auto& file : Setup::files_of(token)) {
        const auto path = setup.folder() / "pki" / file;
        if (!fs::exists(path)) continue;
        QSCD_TRY(const auto text, read_file(path));
        json::object row{{"file", file}};
        if (file.ends_with(".pub.pem")) {
            QSCD_TRY(const auto key, public_key_from_pem(text));
            row["public_key_sha256"] = sha256(der_of(*key, i2d_PUBKEY)).hex();
        } else if (file.ends_with(".pem")) {
            QSCD_TRY(const auto certificate, certificate_from_pem(text));
            row["certificate_sha256"] = sha256(der_of(*certificate, i2d_X509)).hex();
            row["subject"] = one_line(*X509_get_subject_name(certificate.get()));
            row["issuer"] = one_line(*X509_get_issuer_name(certificate.get()));
            row["public_key_sha256"] = sha256(der_of(*X509_get0_pubkey(certificate.get()), i2d_PUBKEY)).hex();
        } else {
            row["sha256"] = sha256(view_of(text)).hex();
        }
        out.push_back(std::move(row));
    }
    return out;
}

struct Opened {
    Setup setup;
    policy::Policy rules;
};
Result<Opened> open(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(auto setup, Setup::begin(options.deployment));
    QSCD_TRY(auto rules, setup.resume(settings.library));
    return Opened{std::move(setup), std::move(rules)};
}

Result<std::optional<SecretBytes>> pin_given(const CeremonySettings& settings, std::string_view token) {
    if (settings.pin_descriptor < 0 && token != policy::root_token) return std::optional<SecretBytes>{};
    QSCD_TRY(auto pin, secret(settings.pin_descriptor, "user PIN of " + std::string{token}));
    return std::optional{std::move(pin)};
}

Result<std::unique_ptr<hsm::Token>> open_token(const Setup& setup, const CeremonySettings& settings,
                                               const std::string& label) {
    QSCD_TRY(auto pin, pin_given(settings, label));
    return setup.open_token(label, std::move(pin));
}

// What the token and pki/ say now: read back, not remembered.
Result<json::object> seen(const Setup& setup, hsm::Token& token) {
    QSCD_TRY(const auto info, token.module().find(token.label()));
    QSCD_TRY(const auto objects, hsm::contents(token));
    QSCD_TRY(auto files, files_beside(setup, token.label()));
    json::object out{{"token", json_of(info)}, {"objects", json_of(objects)}, {"files", std::move(files)}};
    if (token.label() != policy::sam_token) return out;
    QSCD_TRY(const auto genesis, genesis::read(token));
    if (genesis)
        out["genesis"] = json::object{{"sha256", genesis->digest.hex()},
                                      {"policy_version", genesis->policy_version.hex()},
                                      {"trial", genesis->trial},
                                      {"attestation_key_sha256", sha256(genesis->attestation_key).hex()}};
    return out;
}

Result<void> show(const Options& options, const Setup& setup, hsm::Token& token) {
    QSCD_TRY(auto object, seen(setup, token));
    const auto count = object["objects"].as_array().size();
    answer(options, "token " + token.label() + " holds " + std::to_string(count) + " objects", object);
    return success();
}

}  // namespace

Result<void> ceremony_folder(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(auto setup, Setup::begin(options.deployment));
    QSCD_TRY(const auto rules, setup.lay_out(settings.policy, settings.modules, settings.module, settings.library));
    QSCD_TRY(const auto library, digest_of_file(setup.library()));
    QSCD_TRY(const auto program, digest_of_file("/proc/self/exe"));
    answer(options, "the folders are in " + setup.folder().string(),
           {{"policy_version", rules.version().hex()},
            {"trial", rules.has_trial()},
            {"module", setup.module_entry()},
            {"library", setup.library().string()},
            {"library_sha256", library.hex()},
            {"qscd_sha256", program.hex()}});
    return success();
}

Result<void> ceremony_tokens(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(const auto opened, open(options, settings));
    const auto& setup = opened.setup;
    QSCD_TRY(const auto so_pin, secret(settings.so_pin_descriptor, "SO PIN"));
    const PinSource pins = [&](const std::string& label) -> Result<Pins> {
        SecretBytes so{so_pin.reveal()};
        if (label != policy::root_token) {
            QSCD_TRY(auto user, setup.draw_pin(label + ".pin"));
            return Pins{std::move(so), std::move(user)};
        }
        QSCD_TRY(auto user, secret(settings.pin_descriptor, "user PIN of " + label));
        return Pins{std::move(so), std::move(user)};
    };
    QSCD_TRY(const auto made, setup.make_tokens(settings.what, pins));
    json::array tokens;
    for (const auto& token : made) tokens.push_back(json_of(token));
    answer(options, std::to_string(made.size()) + " tokens of " + settings.what + " are initialised",
           {{"tokens", std::move(tokens)}});
    return success();
}

Result<void> ceremony_keys(const Options& options, const CeremonySettings& settings) {
    const auto row = std::ranges::find(keys_rows, settings.what, &KeysRow::name);
    if (row == keys_rows.end())
        return Error{Errc::configuration, "no such keys: " + settings.what + "; sam, rule, issuing or root"};
    QSCD_TRY(const auto opened, open(options, settings));
    QSCD_TRY(const auto token, open_token(opened.setup, settings, row->token));
    QSCD_TRY(row->make(opened.setup, *token, opened.rules));
    return show(options, opened.setup, *token);
}

Result<void> ceremony_certificates(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(const auto opened, open(options, settings));
    QSCD_TRY(const auto token, open_token(opened.setup, settings, policy::root_token));
    QSCD_TRY(opened.setup.make_certificates(*token, opened.rules, {settings.country, settings.organisation}));
    return show(options, opened.setup, *token);
}

Result<void> ceremony_show(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(const auto opened, open(options, settings));
    QSCD_TRY(const auto token, open_token(opened.setup, settings, settings.what));
    return show(options, opened.setup, *token);
}

Result<void> ceremony_clear(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(const auto opened, open(options, settings));
    QSCD_TRY(const auto token, open_token(opened.setup, settings, settings.what));
    QSCD_TRY(const auto destroyed, hsm::clear(*token));
    QSCD_TRY(opened.setup.remove_files_of(settings.what));
    answer(options, "token " + settings.what + " is empty",
           {{"token", settings.what}, {"destroyed", json_of(destroyed)}});
    return success();
}

Result<void> ceremony_remove_tokens(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(const auto setup, Setup::begin(options.deployment));
    QSCD_TRY(const auto* placement, placement_of(settings.what));
    QSCD_TRY(setup.need_no_keys(*placement));
    QSCD_TRY(setup.remove_tokens(settings.what));
    answer(options, "the tokens of " + settings.what + " are gone", {{"removed", settings.what}});
    return success();
}

Result<void> ceremony_attest(const Options& options, const CeremonySettings& settings) {
    QSCD_TRY(const auto opened, open(options, settings));
    QSCD_TRY(const auto record, read_file(settings.record));
    QSCD_TRY(const auto token, opened.setup.open_token(policy::sam_token));
    QSCD_TRY(const auto signature, genesis::attest_record(*token, view_of(record)));
    QSCD_TRY(write_file(settings.signature, text_of(signature)));
    answer(options, "signed by the attestation key", {{"sha256", sha256(view_of(record)).hex()}});
    return success();
}

}  // namespace qscd::cli
