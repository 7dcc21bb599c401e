#include "tests/modules/foreign_keys.hpp"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "base/openssl.hpp"
#include "hsm/meaning.hpp"

namespace qscd::modules {
namespace {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

template <class T>
CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, const T& value) {
    return {type, const_cast<T*>(&value), sizeof value};
}
CK_ATTRIBUTE attribute_bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
    return {type, const_cast<std::uint8_t*>(value.data()), value.size()};
}

struct Visit {
    Visit(hsm::Module& module, CK_SLOT_ID slot) : api(module.api()) {
        rv = api.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() { api.C_CloseSession(session); }
    Bytes read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
        Bytes value(1024);
        auto wanted = attribute_bytes(type, value);
        if (api.C_GetAttributeValue(session, object, &wanted, 1) != CKR_OK) return {};
        value.resize(wanted.ulValueLen);
        return value;
    }
    const CK_FUNCTION_LIST& api;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_RV rv = CKR_OK;
};

using Parameters = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;

Result<Bytes> encoded(const char* type, OSSL_PARAM_BLD& parts) {
    const std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>> parameters{OSSL_PARAM_BLD_to_param(&parts)};
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY* key = nullptr;
    if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
        return Error{Errc::internal, "no public key"};
    return der_of(*EvpPkey{key}, i2d_PUBKEY);
}

Result<Bytes> public_key(const Visit& visit, CK_OBJECT_HANDLE object, const KeyKindRow& row) {
    const Parameters parts{OSSL_PARAM_BLD_new()};
    if (row.elliptic) {
        auto point = visit.read(object, CKA_EC_POINT);
        const std::size_t size = 1 + 2 * row.bits / 8;
        if (point.size() < size) return Error{Errc::internal, "no point"};
        point.erase(point.begin(), point.end() - static_cast<std::ptrdiff_t>(size));  // the DER around it
        OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, row.group.data(), row.group.size());
        OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
        return encoded("EC", *parts);
    }
    const auto modulus = visit.read(object, CKA_MODULUS), exponent = visit.read(object, CKA_PUBLIC_EXPONENT);
    const BigNum n{BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr)};
    const BigNum e{BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr)};
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    return encoded("RSA", *parts);
}

}  // namespace

Result<Bytes> make_foreign_pair(hsm::Module& module, const std::string& token, KeyKind kind, const CkaId& id,
                                const std::string& label) {
    QSCD_TRY(const auto info, module.find(token));
    const auto inside = module.enter();
    const Visit visit{module, info.slot};
    if (visit.rv != CKR_OK) return hsm::error_of(visit.rv, "C_OpenSession");
    const auto& row = row_of(kind);
    const std::array<std::uint8_t, 3> exponent{1, 0, 1};
    const CK_ULONG bits = row.bits;
    Bytes curve;
    CK_BBOOL kept = no;  // yes where the module makes no session objects: the public half stays there
    std::vector<CK_ATTRIBUTE> public_half{attribute(CKA_TOKEN, kept)};
    if (row.elliptic) {
        const std::unique_ptr<ASN1_OBJECT, FreeWith<ASN1_OBJECT_free>> oid{
            OBJ_txt2obj(std::string{row.curve_oid}.c_str(), 1)};
        curve = der_of(*oid, i2d_ASN1_OBJECT);
        public_half.push_back(attribute_bytes(CKA_EC_PARAMS, curve));
    } else {
        public_half.push_back(attribute(CKA_MODULUS_BITS, bits));
        public_half.push_back(attribute_bytes(CKA_PUBLIC_EXPONENT, exponent));
    }
    std::vector<CK_ATTRIBUTE> private_half{
        attribute(CKA_TOKEN, yes), attribute(CKA_PRIVATE, yes),         attribute(CKA_SENSITIVE, yes),
        attribute(CKA_SIGN, yes),  attribute_bytes(CKA_ID, id.bytes()), attribute_bytes(CKA_LABEL, view_of(label))};
    CK_MECHANISM mechanism{
        row.elliptic ? CK_MECHANISM_TYPE{CKM_EC_KEY_PAIR_GEN} : CK_MECHANISM_TYPE{CKM_RSA_PKCS_KEY_PAIR_GEN}, nullptr,
        0};
    CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE, private_handle = CK_INVALID_HANDLE;
    const auto generate = [&] {
        return visit.api.C_GenerateKeyPair(visit.session, &mechanism, public_half.data(), public_half.size(),
                                           private_half.data(), private_half.size(), &public_handle, &private_handle);
    };
    CK_RV rv = generate();
    if (rv == CKR_ATTRIBUTE_VALUE_INVALID) {
        kept = yes;
        rv = generate();
    }
    if (rv != CKR_OK) return hsm::error_of(rv, "C_GenerateKeyPair");
    return public_key(visit, public_handle, row);
}

Result<void> make_foreign_hmac_key(hsm::Module& module, const std::string& token, const CkaId& id,
                                   const std::string& label) {
    QSCD_TRY(const auto info, module.find(token));
    const auto inside = module.enter();
    const Visit visit{module, info.slot};
    if (visit.rv != CKR_OK) return hsm::error_of(visit.rv, "C_OpenSession");
    const CK_ULONG size = 32;
    const CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    std::array wanted{attribute(CKA_TOKEN, yes),
                      attribute(CKA_PRIVATE, yes),
                      attribute(CKA_SIGN, yes),
                      attribute(CKA_KEY_TYPE, type),
                      attribute(CKA_VALUE_LEN, size),
                      attribute_bytes(CKA_ID, id.bytes()),
                      attribute_bytes(CKA_LABEL, view_of(label))};
    CK_MECHANISM mechanism{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    const CK_RV rv = visit.api.C_GenerateKey(visit.session, &mechanism, wanted.data(), wanted.size(), &key);
    if (rv != CKR_OK) return hsm::error_of(rv, "C_GenerateKey");
    return success();
}

}  // namespace qscd::modules
