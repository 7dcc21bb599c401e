#include "base/crash_point.hpp"
#include "qscd/gateway/csc/hashes.hpp"
#include "qscd/gateway/csc/methods.hpp"
#include "qscd/gateway/csc/sign_algorithm.hpp"

namespace qscd::gateway {
namespace {

constexpr std::size_t most_factors = 8, longest_factor_id = 32, longest_factor_value = 64, longest_description = 500;

struct Documents {
    HashAlgorithm algorithm;
    std::vector<Bytes> hashes;
};
// hashes and hashAlgorithmOID; `signatures` is numSignatures where it was given.
Result<Documents> documents_in(const Call& call, std::optional<std::int64_t> signatures, unsigned most) {
    QSCD_TRY(auto hashes, hashes_in(call.body, "hashes"));
    call.trace.hashes = hashes.size();
    QSCD_TRY(const auto algorithm, hash_algorithm_in(call.body));
    QSCD_TRY(check_lengths(hashes, algorithm));
    const auto count = static_cast<std::int64_t>(hashes.size());
    if (signatures && *signatures != count) return Error{Errc::signature_count_invalid};
    QSCD_TRY(check_count(count, most));
    return Documents{algorithm, std::move(hashes)};
}

template <class Message>
void put(const Documents& documents, Message& message) {
    message.set_hash_algorithm(static_cast<unsigned>(documents.algorithm));
    for (const auto& hash : documents.hashes) message.add_hashes(string_of(hash));
}

// Factor values leave no copy behind, whichever way the call ends.
class Authorisation {
public:
    Authorisation() = default;
    Authorisation(const Authorisation&) = delete;
    Authorisation& operator=(const Authorisation&) = delete;
    ~Authorisation() {
        for (auto& factor : *message_.mutable_factors()) wipe(*factor.mutable_value());
    }
    pb::Authorise& message() { return message_; }

private:
    pb::Authorise message_;
};

// The form alone; what an id or a value is worth, the SAM says.
Result<void> read_factors(const json::Object& body, pb::Authorise& message) {
    QSCD_TRY(const auto objects, body.objects("authData", most_factors));
    for (const auto& object : objects) {
        auto id = object.string("id", longest_factor_id);
        auto value = object.optional_secret("value", longest_factor_value);
        if (!id || !value) return invalid_parameter("authData", "array");
        auto& factor = *message.add_factors();
        factor.set_id(std::move(id).value());
        if (!value.value()) continue;
        const auto bytes = value.value()->reveal();
        factor.mutable_value()->reserve(bytes.size());
        factor.mutable_value()->assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    return success();
}

}  // namespace

Result<net::Response> credentials_get_challenge(Service& service, const Call& call) {
    QSCD_TRY(const auto credential, own_credential(service, call));
    QSCD_TRY(const auto object, call.body.string("authObjectID", longest_factor_id));
    const auto& profile = *credential.profile;
    if (!profile.sms() || object != policy::row_of(policy::Factor::sms).name) return invalid_parameter("authObjectID");
    pb::OpenChallenge message;
    message.set_factor(object);
    message.set_client(call.client->text());
    message.set_credential(string_of(credential.id.bytes()));
    QSCD_TRY(const auto signatures, call.body.optional_integer("numSignatures"));
    if (signatures) {
        QSCD_TRY(check_count(*signatures, profile.multisign()));
    }
    if (call.body.has("hashes")) {
        QSCD_TRY(const auto documents, documents_in(call, signatures, profile.multisign()));
        put(documents, message);
    }
    crash_point("gatewayd.challenge.before-samd");
    QSCD_TRY(service.sam.open_challenge(message));
    crash_point("gatewayd.challenge.after-samd");
    return net::Response{204};
}

Result<net::Response> credentials_authorize(Service& service, const Call& call) {
    QSCD_TRY(const auto credential, own_credential(service, call));
    QSCD_TRY(const auto signatures, call.body.integer("numSignatures"));
    QSCD_TRY(check_count(signatures, credential.profile->multisign()));
    QSCD_TRY(const auto documents, documents_in(call, signatures, credential.profile->multisign()));
    Authorisation authorisation;
    auto& message = authorisation.message();
    message.set_client(call.client->text());
    message.set_credential(string_of(credential.id.bytes()));
    put(documents, message);
    QSCD_TRY(read_factors(call.body, message));
    QSCD_TRY(call.body.optional_string("description", longest_description));
    crash_point("gatewayd.authorise.before-samd");
    QSCD_TRY(auto authorised, service.sam.authorise(message));
    crash_point("gatewayd.authorise.after-samd");
    auto out = json_response(
        {{"SAD", to_base64url(view_of(authorised.sad()))}, {"expiresIn", authorised.expires_in()}});
    wipe(*authorised.mutable_sad());
    return out;
}

}  // namespace qscd::gateway
