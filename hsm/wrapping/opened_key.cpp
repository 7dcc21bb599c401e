#include "hsm/wrapping/opened_key.hpp"

#include "base/diagnostics.hpp"
#include "base/openssl.hpp"
#include "hsm/generation.hpp"
#include "hsm/signature_check.hpp"
#include "hsm/wrapping/key_encryption_key.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY;
constexpr std::size_t largest_blob = 8 * 1024;  // bytes: RSA-4096 is 2.4 kB
const std::string passing_label = "qscd-wrapped";

// What `call` answers with the key's handle, once more after renewal when session, login or handle were out of date. An
// error is why there was no handle to call with.
template <class Call>
Result<CK_RV> with_handle(Session& session, KeyObject& key, Call call) {
    for (bool renewed = false;; renewed = true) {
        QSCD_TRY(session.ready());
        QSCD_TRY(const auto handle, session.locate(key));
        const CK_RV rv = call(handle);
        if (meaning_of(rv) != Meaning::stale || renewed) {
            if (meaning_of(rv) != Meaning::fine && meaning_of(rv) != Meaning::bug) session.drop();
            return rv;
        }
        session.forget(key);
        QSCD_TRY(session.renew(rv));
    }
}

Result<BindingMac> mac_of(Session& session, KeyObject& binding, const WrappedContents& key, const KeyOwner& owner) {
    SigningInput input{bound_bytes(key, owner)};
    QSCD_TRY(const auto rv,
             with_handle(session, binding, [&](CK_OBJECT_HANDLE handle) { return session.begin(handle, input); }));
    if (rv != CKR_OK) return error_of(rv, "C_SignInit of the binding");
    QSCD_TRY(auto bytes, session.finish(input));
    const auto mac = BindingMac::from(bytes);
    if (!mac) return Error{Errc::internal, "a MAC of another length"};
    return *mac;
}

Error alarmed(const WrappedKey& key, std::string reason) {
    note(Level::alarm, "wrapped-key-refused", {{"key", key.id.hex()}, {"kek", key.kek.hex()}, {"reason", reason}});
    return {Errc::internal, "wrapped key " + key.id.hex() + ": " + std::move(reason)};
}

// As long as the token answers, CKR_GENERAL_ERROR is the blob's and no token that is away.
Error not_opened(Session& session, const WrappedKey& key, CK_RV rv) {
    auto error = error_of(rv, "C_UnwrapKey");
    const auto meaning = meaning_at_unwrap(rv);
    if (meaning == Meaning::stale || meaning == Meaning::away) return error;
    if (meaning_of(rv) == Meaning::away && !session.token_is_there()) return error;
    return alarmed(key, "the module does not open it: " + error.detail);
}

// Read in one call: a module that forgets the template must not have the key for longer than that.
Result<void> is_as_asked(Session& session, CK_OBJECT_HANDLE opened) {
    std::array<CK_BBOOL, opened_key_rules.size()> values{};
    std::array<CK_ATTRIBUTE, opened_key_rules.size()> wanted{};
    for (std::size_t i = 0; i < wanted.size(); ++i)
        wanted[i] = {opened_key_rules[i].type, &values[i], sizeof values[i]};
    const CK_RV rv = session.api().C_GetAttributeValue(session.handle(), opened, wanted.data(), wanted.size());
    if (rv != CKR_OK) return error_of(rv, "C_GetAttributeValue of an opened key");
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (wanted[i].ulValueLen != sizeof values[i] || values[i] != opened_key_rules[i].value)
            return Error{Errc::internal, "the token says otherwise of " + std::string{opened_key_rules[i].name}};
    return success();
}

}  // namespace

bool PassingObject::destroy() {
    auto* session = std::exchange(session_, nullptr);
    if (session == nullptr || session->handle() != home_) return true;
    const CK_RV rv = session->api().C_DestroyObject(home_, handle_);
    if (rv == CKR_OK) return true;
    session->drop();
    note(Level::warning, "session-closed-with-its-key", {{"reason", error_of(rv, "C_DestroyObject").detail}});
    return false;
}

Result<WrappedKey> make_wrapped_key(Session& session, const WrappingKeys& keys, CK_MECHANISM_TYPE mechanism,
                                    KeyKind kind, const CkaId& id, const KeyOwner& owner) {
    QSCD_TRY(session.locate(keys.kek));  // searched for now, so that nothing stands between making and wrapping
    QSCD_TRY(auto made, generate_key_pair(session, kind, id, passing_label, Lifetime::until_wrapped));
    QSCD_TRY(const auto handle, session.locate(*made.key));
    PassingObject key{session, handle};
    Bytes blob(largest_blob);
    CK_ULONG size = blob.size();
    CK_MECHANISM wrap{mechanism, nullptr, 0};
    QSCD_TRY(const auto kek, session.locate(keys.kek));
    const CK_RV rv = session.api().C_WrapKey(session.handle(), &wrap, kek, handle, blob.data(), &size);
    if (!key.destroy()) return Error{Errc::token_away, "a key that is wrapped could not be destroyed"};
    if (rv != CKR_OK) {
        session.forget(keys.kek);
        return error_of(rv, "C_WrapKey");
    }
    blob.resize(size);
    WrappedContents out{
        keys.kek.id(), id, kind, mechanism, std::move(made.public_key), std::move(blob), std::move(made.attributes)};
    QSCD_TRY(const auto mac, mac_of(session, keys.binding, out, owner));
    return WrappedKey{std::move(out), mac};
}

Result<void> verify_binding(Session& session, KeyObject& binding, const WrappedKey& key, const KeyOwner& owner) {
    QSCD_TRY(const auto mac, mac_of(session, binding, key, owner));
    if (!equal_in_constant_time(mac.bytes(), key.mac.bytes())) return alarmed(key, "altered, or not this owner's");
    return success();
}

Result<PassingObject> open_wrapped_key(Session& session, const WrappingKeys& keys, const WrappedKey& key,
                                       const KeyOwner& owner) {
    QSCD_TRY(verify_binding(session, keys.binding, key, owner));
    const CK_KEY_TYPE type = row_of(key.kind).elliptic ? CKK_EC : CKK_RSA;
    auto wanted = template_of(opened_key_rules, true);
    wanted.push_back(attribute(CKA_CLASS, private_class));
    wanted.push_back(attribute(CKA_KEY_TYPE, type));
    wanted.push_back(attribute_bytes(CKA_ID, key.id.bytes()));
    CK_MECHANISM mechanism{key.mechanism, nullptr, 0};
    CK_OBJECT_HANDLE opened = CK_INVALID_HANDLE;
    QSCD_TRY(const auto rv, with_handle(session, keys.kek, [&](CK_OBJECT_HANDLE kek) {
                 const CK_RV answer = session.api().C_UnwrapKey(session.handle(), &mechanism, kek,
                                                                const_cast<std::uint8_t*>(key.blob.data()),
                                                                key.blob.size(), wanted.data(), wanted.size(), &opened);
                 if (answer != CKR_OK) session.drop();  // a module may have opened it all the same
                 return answer;
             }));
    if (rv != CKR_OK) return not_opened(session, key, rv);
    PassingObject out{session, opened};
    if (const auto fine = is_as_asked(session, opened); !fine) {
        if (fine.error().code == Errc::token_away) return fine.error();
        return alarmed(key, fine.error().detail);
    }
    return out;
}

std::vector<Token::Outcome> sign_opened(Session& session, const WrappingKeys& keys, const WrappedKey& key,
                                        const KeyOwner& owner, Scheme scheme, std::span<const DtbsR> hashes) {
    std::vector<Token::Outcome> outcomes;
    const auto stop = [&](Error error, bool entered) {
        outcomes.push_back({std::move(error), entered});
        return std::move(outcomes);
    };
    const auto certified = public_key_from_der(key.public_key);
    if (!certified) return stop(certified.error(), false);
    if (!fits(scheme, key.kind)) return stop({Errc::internal, "a scheme that is not the key's"}, false);
    std::optional<PassingObject> opened;
    for (const auto& hash : hashes) {
        SigningInput input{scheme, hash};
        for (bool renewed = false;; renewed = true) {
            if (!opened) {
                auto now = open_wrapped_key(session, keys, key, owner);
                if (!now) return stop(now.error(), false);
                opened.emplace(std::move(now.value()));
            }
            const CK_RV rv = session.begin(opened->handle(), input);
            if (rv == CKR_OK) break;
            opened.reset();
            if (meaning_of(rv) != Meaning::stale || renewed) {
                if (meaning_of(rv) != Meaning::bug) session.drop();
                return stop(error_of(rv, "C_SignInit"), false);
            }
            if (const auto ready = session.renew(rv); !ready) return stop(ready.error(), false);
        }
        auto signature = session.finish(input);
        if (!signature) return stop(signature.error(), true);
        if (scheme == Scheme::ecdsa) signature = ecdsa_der_of(signature.value());
        if (outcomes.empty() && !verifies(*certified.value(), scheme, hash, signature.value()))
            return stop(alarmed(key, "the opened key is not that of its public key"), true);
        outcomes.push_back({std::move(signature), true});
    }
    return outcomes;
}

}  // namespace qscd::hsm
