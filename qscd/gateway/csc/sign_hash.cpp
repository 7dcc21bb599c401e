#include <boost/json/array.hpp>

#include "base/crash_point.hpp"
#include "qscd/gateway/csc/hashes.hpp"
#include "qscd/gateway/csc/methods.hpp"
#include "qscd/gateway/csc/sign_algorithm.hpp"

namespace qscd::gateway {
namespace {

constexpr std::size_t longest_sad = 1024, longest_key = 128, longest_word = 16;
constexpr std::string_view key_header = "idempotency-key";

Result<SecretBytes> sad_in(const json::Object& body) {
    QSCD_TRY(const auto text, body.secret("SAD", longest_sad));
    auto bytes = from_base64url(text_of(text.reveal()));
    if (!bytes || bytes->empty()) return invalid_parameter("SAD");
    SecretBytes sad{ByteView{*bytes}};
    wipe(*bytes);
    return sad;
}

// Parameters that contradict the digest they came with are the parameters' fault, not the digest's.
Result<void> check_digests(const std::vector<Bytes>& hashes, const SigningWay& way) {
    auto checked = check_lengths(hashes, way.hash);
    if (checked || way.scheme != Scheme::rsa_pss) return checked;
    for (const auto& row : hash_rows)
        if (check_lengths(hashes, row.algorithm)) return invalid_parameter("signAlgoParams");
    return checked;
}

Result<void> check_mode(const json::Object& body) {
    const auto mode = body.optional_string("operationMode", longest_word);
    if (!mode || (mode.value() && *mode.value() != "S")) return invalid_parameter("operationMode");
    return success();
}

// Empty when the request names none.
Result<std::string> idempotency_key_in(const net::Request& request) {
    const auto count = std::ranges::count(request.headers, key_header, [](const auto& header) { return header.first; });
    if (count == 0) return std::string{};
    const auto key = *request.header(key_header);
    const bool visible = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7f; });
    if (count > 1 || key.empty() || key.size() > longest_key || !visible) return invalid_parameter("Idempotency-Key");
    return std::string{key};
}

}  // namespace

Result<net::Response> signatures_sign_hash(Service& service, const Call& call) {
    QSCD_TRY(const auto sad, sad_in(call.body));
    QSCD_TRY(const auto credential, own_credential(service, call));
    QSCD_TRY(const auto hashes, hashes_in(call.body, "hash"));  // so the v2 row spells it
    call.trace.hashes = hashes.size();
    QSCD_TRY(const auto way, signing_way_in(call.body, credential.key_kind));
    QSCD_TRY(check_digests(hashes, way));
    QSCD_TRY(check_mode(call.body));
    QSCD_TRY(auto key, idempotency_key_in(call.request));

    pb::SignHash message;
    message.set_client(call.client->text());
    message.set_credential(string_of(credential.id.bytes()));
    message.set_sad(sad.reveal().data(), sad.size());
    message.set_hash_algorithm(static_cast<unsigned>(way.hash));
    for (const auto& hash : hashes) message.add_hashes(string_of(hash));
    message.set_scheme(static_cast<unsigned>(way.scheme));
    message.set_idempotency_key(std::move(key));
    crash_point("gatewayd.sign.before-samd");
    auto signed_hashes = service.sam.sign(message);
    crash_point("gatewayd.sign.after-samd");
    wipe(*message.mutable_sad());
    QSCD_TRY(const auto reply, std::move(signed_hashes));
    if (static_cast<std::size_t>(reply.signatures_size()) != hashes.size())
        return Error{Errc::internal, "samd answered with another number of signatures"};
    boost::json::array signatures;
    for (const auto& signature : reply.signatures()) signatures.emplace_back(to_base64(view_of(signature)));
    return json_response({{"signatures", std::move(signatures)}});
}

}  // namespace qscd::gateway
