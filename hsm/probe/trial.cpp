#include "hsm/probe/trial.hpp"

#include <algorithm>
#include <cstdio>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/random.hpp"

namespace qscd::hsm::probing {
namespace {

constexpr std::array<std::uint8_t, 10> p256_curve{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::size_t p256_point = 65;
constexpr std::size_t largest_signature = 1024;

EvpPkey p256_at(ByteView point) {
    std::string group{row_of(KeyKind::p256).group};
    Bytes copy{point.begin(), point.end()};
    std::array parameters{OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size()),
                          OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy.data(), copy.size()),
                          OSSL_PARAM_construct_end()};
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)};
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.data()) != 1)
        return nullptr;
    return EvpPkey{key};
}

}  // namespace

std::string in_hex(CK_RV rv) {
    std::array<char, 32> out{};
    (void)std::snprintf(out.data(), out.size(), "0x%lx", static_cast<unsigned long>(rv));
    return out.data();
}

Answer untried(std::string why) { return {false, std::move(why), false}; }
Answer refused(CK_RV rv) { return {rv != CKR_OK && meaning_of(rv) == Meaning::bug, in_hex(rv)}; }
Answer failed(const Error& error) { return {false, describe(error)}; }

Trial::~Trial() {
    for (const auto object : kept) api().C_DestroyObject(session.handle(), object);
}

bool Trial::offers(CK_MECHANISM_TYPE mechanism) const { return std::ranges::count(mechanisms, mechanism) != 0; }

void Trial::destroy(CK_OBJECT_HANDLE object) {
    std::erase(kept, object);
    api().C_DestroyObject(session.handle(), object);
}

SecondSession::SecondSession(const Trial& trial) : api(trial.api()) {
    rv = api.C_OpenSession(trial.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle);
}
SecondSession::~SecondSession() {
    if (rv == CKR_OK) api.C_CloseSession(handle);
}

DtbsR some_hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("probe")).bytes()).value(); }

Result<TrialKey> make_key(Trial& trial, KeyKind kind, Lifetime lifetime) {
    QSCD_TRY(auto made, generate_key_pair(trial.session, kind, random_fixed<CkaId>(), label, lifetime));
    QSCD_TRY(const auto handle, trial.session.locate(*made.key));
    trial.keep(handle);
    QSCD_TRY(auto public_key, public_key_from_der(made.public_key));
    return TrialKey{kind, handle, std::move(public_key)};
}

Result<TrialKey> make_plain_pair(Trial& trial, std::span<const CK_ATTRIBUTE> wanted, Bytes& point) {
    std::array public_half{attribute(CKA_TOKEN, no), attribute(CKA_VERIFY, yes),
                           attribute_bytes(CKA_EC_PARAMS, p256_curve)};
    std::vector<CK_ATTRIBUTE> private_half{attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes),
                                           attribute_bytes(CKA_LABEL, view_of(label))};
    private_half.insert(private_half.end(), wanted.begin(), wanted.end());
    CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
    CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE, private_handle = CK_INVALID_HANDLE;
    if (const CK_RV rv = trial.api().C_GenerateKeyPair(trial.session.handle(), &mechanism, public_half.data(),
                                                       public_half.size(), private_half.data(), private_half.size(),
                                                       &public_handle, &private_handle);
        rv != CKR_OK)
        return error_of(rv, "C_GenerateKeyPair");
    trial.keep(public_handle);
    trial.keep(private_handle);
    QSCD_TRY(point, trial.session.read(public_handle, CKA_EC_POINT));
    const auto raw = point.size() > p256_point ? ByteView{point}.last(p256_point) : ByteView{point};
    auto public_key = p256_at(raw);
    if (!public_key) return Error{Errc::internal, "CKA_EC_POINT is no point of the curve: " + openssl_reason()};
    return TrialKey{KeyKind::p256, private_handle, std::move(public_key)};
}

Result<TrialKey> make_lenient_key(Trial& trial, CK_BBOOL extractable) {
    const std::array wanted{attribute(CKA_SENSITIVE, yes), attribute(CKA_EXTRACTABLE, extractable),
                            attribute(CKA_MODIFIABLE, no), attribute(CKA_SIGN, yes),
                            attribute(CKA_DECRYPT, no),    attribute(CKA_UNWRAP, no),
                            attribute(CKA_DERIVE, no),     attribute(CKA_COPYABLE, no)};
    Bytes unused;
    auto made = make_plain_pair(trial, wanted, unused);
    if (made) return made;
    return make_plain_pair(trial, std::span{wanted}.first(wanted.size() - 1),
                           unused);  // CKA_COPYABLE is not known to all
}

Result<Bytes> sign_in(const Trial& trial, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, SigningInput& input) {
    if (const CK_RV rv = trial.api().C_SignInit(session, &input.mechanism, key); rv != CKR_OK)
        return error_of(rv, "C_SignInit");
    Bytes out(largest_signature);
    CK_ULONG size = out.size();
    if (const CK_RV rv = trial.api().C_Sign(session, input.data.data(), input.data.size(), out.data(), &size);
        rv != CKR_OK)
        return error_of(rv, "C_Sign");
    out.resize(size);
    return out;
}

bool verifies(EVP_PKEY& key, Scheme scheme, const DtbsR& hash, ByteView signature) {
    const Bytes wanted = scheme == Scheme::ecdsa ? ecdsa_der_of(signature) : Bytes{signature.begin(), signature.end()};
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(&key, nullptr)};
    bool good = EVP_PKEY_verify_init(context.get()) == 1;
    if (scheme != Scheme::ecdsa)
        good = good && EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(context.get(),
                                            scheme == Scheme::rsa_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1;
    if (scheme == Scheme::rsa_pss)
        good = good && EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good &&
           EVP_PKEY_verify(context.get(), wanted.data(), wanted.size(), hash.bytes().data(), hash.bytes().size()) == 1;
    if (!good) (void)openssl_reason();
    return good;
}

Answer signs(const Trial& trial, const TrialKey* key, Scheme scheme, CK_SESSION_HANDLE session) {
    if (key == nullptr) return untried("no such key");
    SigningInput input{scheme, some_hash()};
    const auto signature = sign_in(trial, session == CK_INVALID_HANDLE ? trial.session.handle() : session, key->handle,
                                   input);
    if (!signature) return failed(signature.error());
    const bool good = verifies(*key->public_key, scheme, some_hash(), signature.value());
    return {good, good ? "" : "the signature does not verify"};
}

Result<void> run(Trial& trial, std::span<const Check> checks, std::vector<Finding>& findings) {
    for (const auto& check : checks) {
        QSCD_TRY(trial.session.ready());
        auto answer = check.run(trial);
        findings.push_back(
            {check.name, check.means, check.needed_by, answer.tried, answer.found, std::move(answer.detail)});
    }
    return success();
}

}  // namespace qscd::hsm::probing
