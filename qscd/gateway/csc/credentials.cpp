#include <boost/json/array.hpp>

#include "qscd/gateway/csc/credential_object.hpp"
#include "qscd/gateway/csc/methods.hpp"

namespace qscd::gateway {
namespace {

namespace bj = boost::json;

constexpr std::size_t longest_text = 255, longest_tag = 64;

// Every wrong form of a userID is one answer, as is one the client may not act for.
Result<std::string> user_in(const json::Object& body) {
    auto user = body.string("userID", longest_text);
    if (!user || user.value().empty()) return invalid_parameter("userID");
    return user;
}

Result<std::string> credential_text(const Call& call) {
    QSCD_TRY(auto text, call.body.string("credentialID", longest_text));
    if (const auto id = CredentialDirectory::parse(text)) call.trace.credential = id->hex();
    return text;
}

struct ListOptions {
    bool details, only_valid;
    Wanted wanted;
};
Result<ListOptions> options_in(const json::Object& body) {
    QSCD_TRY(const auto details, body.optional_boolean("credentialInfo"));
    QSCD_TRY(const auto wanted, wanted_in(body));
    QSCD_TRY(const auto only_valid, body.optional_boolean("onlyValid"));
    QSCD_TRY(body.optional_string("lang", longest_tag));
    return ListOptions{details.value_or(false), only_valid.value_or(false), wanted};
}

// Names alone: nothing is asked that was known before.
Result<net::Response> names(Service& service, const SignerId& signer) {
    QSCD_TRY(const auto found, service.directory.of_signer(signer));
    bj::array ids;
    for (const auto& each : found) ids.emplace_back(each.id.hex());
    return json_response({{"credentialIDs", std::move(ids)}});
}

}  // namespace

Result<CredentialFacts> own_credential(Service& service, const Call& call) {
    QSCD_TRY(const auto text, credential_text(call));
    return service.directory.own(*call.client, text);
}

Result<net::Response> credentials_list(Service& service, const Call& call) {
    QSCD_TRY(const auto user, user_in(call.body));
    QSCD_TRY(const auto options, options_in(call.body));
    QSCD_TRY(const auto signer, service.directory.signer_for(*call.client, user));
    if (!options.details && !options.only_valid) return names(service, signer);

    QSCD_TRY(const auto found, service.directory.of_signer_described(signer));
    bj::array ids, infos;
    for (const auto& each : found) {
        if (options.only_valid) {
            QSCD_TRY(const bool usable, is_usable(service, each));
            if (!usable) continue;
        }
        ids.emplace_back(each.facts.id.hex());
        if (!options.details) continue;
        QSCD_TRY(auto object, credential_object(service, each, options.wanted));
        object.emplace("credentialID", each.facts.id.hex());
        infos.emplace_back(std::move(object));
    }
    bj::object out{{"credentialIDs", std::move(ids)}};
    if (options.details) out.emplace("credentialInfos", std::move(infos));
    if (options.only_valid) out.emplace("onlyValid", true);
    return json_response(out);
}

Result<net::Response> credentials_info(Service& service, const Call& call) {
    QSCD_TRY(const auto text, credential_text(call));
    QSCD_TRY(const auto credential, service.directory.own_described(*call.client, text));
    QSCD_TRY(const auto wanted, wanted_in(call.body));
    QSCD_TRY(call.body.optional_string("lang", longest_tag));
    QSCD_TRY(auto out, credential_object(service, credential, wanted));
    out.emplace("lang", service.deployment.language);
    return json_response(out);
}

}  // namespace qscd::gateway
