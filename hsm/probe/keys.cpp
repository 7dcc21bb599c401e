// The probe's keys: made, read, used.
#include <openssl/core_names.h>
#include <thread>

#include "base/random.hpp"
#include "hsm/probe/trial.hpp"

namespace qscd::hsm::probing {
namespace {

constexpr CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
constexpr const char* no_keys = "no session keys, and nothing is written to the token at start";

Answer makes_session_keys(Trial& trial) {
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_RV rv = CKR_OK;
    if (trial.offers(CKM_AES_KEY_GEN)) {
        const CK_ULONG size = 32;
        CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
        std::array wanted{attribute(CKA_TOKEN, no), attribute(CKA_VALUE_LEN, size)};
        rv = trial.api().C_GenerateKey(trial.session.handle(), &mechanism, wanted.data(), wanted.size(), &key);
        if (rv == CKR_OK) trial.destroy(key);
    } else {
        const std::array wanted{attribute(CKA_SIGN, yes)};
        Bytes point;
        const auto made = make_plain_pair(trial, wanted, point);
        if (!made) {
            if (trial.depth == Depth::full) trial.lifetime = Lifetime::token;
            return failed(made.error());
        }
    }
    if (rv == CKR_OK) trial.lifetime = Lifetime::session;
    else if (trial.depth == Depth::full) trial.lifetime = Lifetime::token;
    return {rv == CKR_OK, rv == CKR_OK ? "" : in_hex(rv)};
}

Answer makes(Trial& trial, KeyKind kind, std::optional<TrialKey>& place) {
    const auto mechanism = row_of(kind).elliptic ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN;
    if (!trial.offers(mechanism)) return untried("the mechanism is not there");
    if (!trial.lifetime) return untried(no_keys);
    auto made = make_key(trial, kind, *trial.lifetime);
    if (!made) return failed(made.error());
    place = std::move(made).value();
    return {true};
}
Answer makes_p256(Trial& trial) {
    auto answer = makes(trial, KeyKind::p256, trial.p256);
    if (answer.tried && !answer.found && trial.lifetime == Lifetime::session)
        if (auto other = make_lenient_key(trial, no)) trial.lenient = std::move(other).value();
    return answer;
}
Answer makes_p384(Trial& trial) { return makes(trial, KeyKind::p384, trial.p384); }
Answer makes_rsa(Trial& trial) {
    if (trial.depth == Depth::start && trial.offers(CKM_EC_KEY_PAIR_GEN)) return untried("it takes long");
    return makes(trial, KeyKind::rsa3072, trial.rsa);
}

Answer gives_points(Trial& trial) {
    if (!trial.offers(CKM_EC_KEY_PAIR_GEN)) return untried("the mechanism is not there");
    if (trial.lifetime != Lifetime::session) return untried("no session keys");
    const std::array wanted{attribute(CKA_SENSITIVE, yes), attribute(CKA_EXTRACTABLE, no), attribute(CKA_SIGN, yes)};
    Bytes point;
    auto made = make_plain_pair(trial, wanted, point);
    if (!made) return failed(made.error());
    trial.plain = std::move(made).value();
    const bool wrapped = point.size() == 67 && point[0] == 0x04 && point[1] == 65;
    const bool raw = point.size() == 65 && point[0] == 0x04;
    return {wrapped || raw, wrapped ? "in a DER OCTET STRING" : raw ? "raw" : to_hex(point)};
}

Answer makes_hmac_keys(Trial& trial) {
    if (!trial.offers(CKM_GENERIC_SECRET_KEY_GEN)) return untried("the mechanism is not there");
    if (!trial.lifetime) return untried(no_keys);
    const auto made = generate_secret_key(trial.session, random_fixed<CkaId>(), label, *trial.lifetime);
    if (!made) return failed(made.error());
    const auto handle = trial.session.locate(*made.value());
    if (!handle) return failed(handle.error());
    trial.secret = handle.value();
    trial.keep(trial.secret);
    return {true};
}

const TrialKey* there(const std::optional<TrialKey>& key) { return key ? &*key : nullptr; }
Answer signs_with_p256(Trial& trial) {
    return signs(trial, trial.p256 ? &*trial.p256 : there(trial.lenient), Scheme::ecdsa);
}
Answer signs_with_p384(Trial& trial) { return signs(trial, there(trial.p384), Scheme::ecdsa); }
Answer signs_pkcs1(Trial& trial) { return signs(trial, there(trial.rsa), Scheme::rsa_pkcs1); }
Answer signs_pss(Trial& trial) { return signs(trial, there(trial.rsa), Scheme::rsa_pss); }

Answer macs(Trial& trial) {
    if (trial.secret == CK_INVALID_HANDLE) return untried("no such key");
    std::array<Bytes, 3> macs;
    constexpr std::array<std::string_view, 3> texts{"one", "one", "two"};
    for (std::size_t i = 0; i < texts.size(); ++i) {
        SigningInput input{view_of(texts[i])};
        auto mac = sign_in(trial, trial.session.handle(), trial.secret, input);
        if (!mac) return failed(mac.error());
        macs[i] = std::move(mac.value());
    }
    return {macs[0].size() == Sha256Digest::size && macs[0] == macs[1] && macs[0] != macs[2]};
}

// Begun in both before either ends, then from two threads at once.
Answer signs_in_two_sessions(Trial& trial) {
    const auto* key = trial.subject();
    if (key == nullptr) return untried("no such key");
    const SecondSession second{trial};
    if (second.rv != CKR_OK) return {false, "C_OpenSession answered " + in_hex(second.rv)};
    const std::array sessions{trial.session.handle(), second.handle};
    std::array<std::unique_ptr<SigningInput>, 2> inputs;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        inputs[i] = std::make_unique<SigningInput>(key->scheme(), some_hash());
        if (const CK_RV rv = trial.api().C_SignInit(sessions[i], &inputs[i]->mechanism, key->handle); rv != CKR_OK) {
            if (i == 1) (void)trial.session.finish(*inputs[0]);
            return {false, "C_SignInit answered " + in_hex(rv) + " while another session signs"};
        }
    }
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        Bytes out(1024);
        CK_ULONG size = out.size();
        const CK_RV rv = trial.api().C_Sign(sessions[i], inputs[i]->data.data(), inputs[i]->data.size(), out.data(),
                                            &size);
        if (rv != CKR_OK) return {false, "C_Sign answered " + in_hex(rv)};
        if (!verifies(*key->public_key, key->scheme(), some_hash(), ByteView{out}.first(size)))
            return {false, "a signature does not verify"};
    }
    constexpr int signatures = 4;
    const auto some = [&](CK_SESSION_HANDLE session) {
        for (int i = 0; i < signatures; ++i)
            if (!signs(trial, key, key->scheme(), session).found) return false;
        return true;
    };
    bool other = false;
    std::thread beside{[&] { other = some(second.handle); }};
    const bool here = some(sessions[0]);
    beside.join();
    return {here && other, here && other ? "" : "two threads at once spoil each other's signatures"};
}

Bytes agreed(EVP_PKEY& ours, EVP_PKEY& theirs) {
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(&ours, nullptr)};
    std::size_t size = 0;
    if (EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), &theirs) != 1 ||
        EVP_PKEY_derive(context.get(), nullptr, &size) != 1)
        return {};
    Bytes out(size);
    if (EVP_PKEY_derive(context.get(), out.data(), &size) != 1) return {};
    return out;
}

// [pkcs11 2.40, mechanisms, 2.3.9]: the point raw, or in a DER OCTET STRING: modules differ.
Answer agrees_on_secrets(Trial& trial) {
    if (!trial.offers(CKM_ECDH1_DERIVE)) return untried("the mechanism is not there");
    if (trial.lifetime != Lifetime::session) return untried("no session keys");
    const std::array wanted{attribute(CKA_SENSITIVE, yes), attribute(CKA_EXTRACTABLE, no), attribute(CKA_DERIVE, yes)};
    Bytes unused;
    const auto made = make_plain_pair(trial, wanted, unused);
    if (!made) return failed(made.error());
    const auto peer = generate_p256();
    Bytes point(65);
    std::size_t size = 0;
    if (EVP_PKEY_get_octet_string_param(peer.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(), &size) != 1)
        return {false, openssl_reason()};
    Bytes in_der{0x04, 65};
    in_der.insert(in_der.end(), point.begin(), point.end());
    CK_RV rv = CKR_OK;
    for (auto* form : {&point, &in_der}) {
        CK_ECDH1_DERIVE_PARAMS agreement{CKD_NULL, 0, nullptr, form->size(), form->data()};
        CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &agreement, sizeof agreement};
        const CK_ULONG length = 32;
        std::array secret{attribute(CKA_CLASS, secret_class), attribute(CKA_KEY_TYPE, generic),
                          attribute(CKA_TOKEN, no),           attribute(CKA_SENSITIVE, no),
                          attribute(CKA_EXTRACTABLE, yes),    attribute(CKA_VALUE_LEN, length)};
        CK_OBJECT_HANDLE derived = CK_INVALID_HANDLE;
        rv = trial.api().C_DeriveKey(trial.session.handle(), &mechanism, made.value().handle, secret.data(),
                                     secret.size(), &derived);
        if (rv != CKR_OK) continue;
        trial.keep(derived);
        auto value = trial.session.read_up_to(derived, CKA_VALUE, 64);
        if (!value) return failed(value.error());
        auto expected = agreed(*peer, *made.value().public_key);
        const bool same = !expected.empty() && value.value() == expected;
        wipe(value.value());
        wipe(expected);
        return {same, !same ? "another secret than OpenSSL's" : form == &point ? "the point raw" : "the point in DER"};
    }
    return {false, in_hex(rv)};
}

Answer copies_into_the_session(Trial& trial) {
    if (!trial.plain) return untried("no such key");
    std::array wanted{attribute(CKA_TOKEN, no)};
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    const CK_RV rv = trial.api().C_CopyObject(trial.session.handle(), trial.plain->handle, wanted.data(), wanted.size(),
                                              &copy);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    trial.keep(copy);
    SigningInput input{Scheme::ecdsa, some_hash()};
    const auto signature = sign_in(trial, trial.session.handle(), copy, input);
    if (!signature) return failed(signature.error());
    return {verifies(*trial.plain->public_key, Scheme::ecdsa, some_hash(), signature.value())};
}

constexpr unsigned elliptic_here = services | mask({Use::elliptic_signers});
constexpr std::array checks{
    Check{"session-keys", "keys that end with their session", wrapped_keys, makes_session_keys},
    Check{"p256-made", "a P-256 key with our attributes, read back as asked", elliptic_here, makes_p256},
    Check{"p384-made", "a P-384 key with our attributes, read back as asked",
          mask({Use::service, Use::elliptic_signers}), makes_p384},
    Check{"rsa-made", "an RSA-3072 key with our attributes, read back as asked", mask({Use::rsa_signers}), makes_rsa},
    Check{"ec-point", "CKA_EC_POINT is read, in a DER OCTET STRING or raw", nobody, gives_points},
    Check{"hmac-key-made", "an HMAC key with our attributes, read back as asked", sam, makes_hmac_keys},
    Check{"p256-signs", "its signature verifies with its public key", elliptic_here, signs_with_p256},
    Check{"p384-signs", "its signature verifies with its public key", mask({Use::service, Use::elliptic_signers}),
          signs_with_p384},
    Check{"rsa-pkcs1-signs", "one RSA key signs by PKCS#1 v1.5 ...", mask({Use::rsa_signers}), signs_pkcs1},
    Check{"rsa-pss-signs", "... and by PSS", mask({Use::rsa_signers}), signs_pss},
    Check{"hmac-signs", "the same MAC for the same message, another for another", sam, macs},
    Check{"parallel-sessions", "two sessions sign at once", everybody, signs_in_two_sessions},
    Check{"ecdh-derives", "ECDH with the null KDF gives the readable secret that OpenSSL gets", nobody,
          agrees_on_secrets},
    Check{"session-copy", "a copyable key is copied into a session, and the copy signs", nobody,
          copies_into_the_session},
};

}  // namespace

Result<void> try_keys(Trial& trial, std::vector<Finding>& findings) { return run(trial, checks, findings); }

}  // namespace qscd::hsm::probing
