#include "hsm/generation.hpp"

#include <algorithm>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "base/openssl.hpp"
#include "hsm/attribute_rules.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

constexpr std::array private_key_rules{
    AttributeRule{CKA_TOKEN, "CKA_TOKEN", yes, true, false},
    AttributeRule{CKA_PRIVATE, "CKA_PRIVATE", yes, true, false},
    AttributeRule{CKA_SENSITIVE, "CKA_SENSITIVE", yes, true, false},
    AttributeRule{CKA_EXTRACTABLE, "CKA_EXTRACTABLE", no, true, false},
    AttributeRule{CKA_MODIFIABLE, "CKA_MODIFIABLE", no, true, false},
    AttributeRule{CKA_COPYABLE, "CKA_COPYABLE", no, true, true},
    AttributeRule{CKA_SIGN, "CKA_SIGN", yes, true, false},
    AttributeRule{CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", no, true, true},
    AttributeRule{CKA_DECRYPT, "CKA_DECRYPT", no, true, false},
    AttributeRule{CKA_UNWRAP, "CKA_UNWRAP", no, true, false},
    AttributeRule{CKA_DERIVE, "CKA_DERIVE", no, true, false},
    AttributeRule{CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", yes, false, false},
    AttributeRule{CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", yes, false, false},
    AttributeRule{CKA_LOCAL, "CKA_LOCAL", yes, false, false},
};
// A secret key may do the same one thing, and has three more usages to be denied; it knows no recovery.
constexpr auto secret_key_rules = [] {
    constexpr std::array more{AttributeRule{CKA_VERIFY, "CKA_VERIFY", no, true, false},
                              AttributeRule{CKA_ENCRYPT, "CKA_ENCRYPT", no, true, false},
                              AttributeRule{CKA_WRAP, "CKA_WRAP", no, true, false}};
    std::array<AttributeRule, private_key_rules.size() - 1 + more.size()> rules{};
    auto at = std::ranges::copy_if(private_key_rules, rules.begin(), [](const AttributeRule& rule) {
                  return rule.type != CKA_SIGN_RECOVER;
              }).out;
    std::ranges::copy(more, at);
    return rules;
}();

// What differs from a key that lives in the token.
struct Deviation {
    Lifetime lifetime;
    CK_ATTRIBUTE_TYPE type;
    CK_BBOOL value;
};
constexpr std::array deviations{
    Deviation{Lifetime::session, CKA_TOKEN, no},
    Deviation{Lifetime::until_wrapped, CKA_TOKEN, no},
    Deviation{Lifetime::until_wrapped, CKA_EXTRACTABLE, yes},
    Deviation{Lifetime::until_wrapped, CKA_NEVER_EXTRACTABLE, no},
};

template <std::size_t N>
std::array<AttributeRule, N> rules_for(Lifetime lifetime, std::array<AttributeRule, N> rules) {
    for (const auto& each : deviations)
        if (each.lifetime == lifetime) std::ranges::find(rules, each.type, &AttributeRule::type)->value = each.value;
    return rules;
}

EvpPkey from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
    const std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>> parameters{OSSL_PARAM_BLD_to_param(builder)};
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
        return nullptr;
    return EvpPkey{key};
}

using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;

Result<Bytes> elliptic_public_key(Session& session, CK_OBJECT_HANDLE object, const KeyKindRow& row) {
    QSCD_TRY(auto point, session.read(object, CKA_EC_POINT));
    const std::size_t raw = 1 + 2 * row.bits / 8;
    if (point.size() > raw && point[0] == 0x04)
        point.erase(point.begin(), point.end() - static_cast<std::ptrdiff_t>(raw));
    const ParameterBuilder builder{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, row.group.data(), row.group.size());
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
    const auto key = from_parameters("EC", builder.get());
    if (!key) return Error{Errc::internal, "the token gave a point that is not on the curve"};
    return der_of(*key, i2d_PUBKEY);
}

Result<Bytes> rsa_public_key(Session& session, CK_OBJECT_HANDLE object) {
    QSCD_TRY(auto modulus, session.read(object, CKA_MODULUS));
    QSCD_TRY(auto exponent, session.read(object, CKA_PUBLIC_EXPONENT));
    const BigNum n{BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr)};
    const BigNum e{BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr)};
    const ParameterBuilder builder{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    const auto key = from_parameters("RSA", builder.get());
    if (!key) return Error{Errc::internal, "the token gave a modulus that is none"};
    return der_of(*key, i2d_PUBKEY);
}

bool destroy(Session& session, CK_OBJECT_HANDLE object) {
    return session.handle() != CK_INVALID_HANDLE && session.api().C_DestroyObject(session.handle(), object) == CKR_OK;
}

Bytes curve_parameters(const KeyKindRow& row) {
    const std::unique_ptr<ASN1_OBJECT, FreeWith<ASN1_OBJECT_free>> oid{
        OBJ_txt2obj(std::string{row.curve_oid}.c_str(), 1)};
    return der_of(*oid, i2d_ASN1_OBJECT);
}

}  // namespace

Result<GeneratedKey> generate_key_pair(Session& session, KeyKind kind, const CkaId& id, const std::string& label,
                                       Lifetime lifetime) {
    const auto& row = row_of(kind);
    const CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY;
    const CK_ULONG bits = row.bits;
    const std::array<std::uint8_t, 3> exponent{0x01, 0x00, 0x01};
    const Bytes curve = row.elliptic ? curve_parameters(row) : Bytes{};
    const std::array elliptic_mechanisms{CK_MECHANISM_TYPE{CKM_ECDSA}};
    const std::array rsa_mechanisms{CK_MECHANISM_TYPE{CKM_RSA_PKCS}, CK_MECHANISM_TYPE{CKM_RSA_PKCS_PSS}};

    // The public half lives in the session only: in the token it would double the number of objects. Where a module makes
    // no session objects it is in the token until it has been read. It is never used, so no use is asked for.
    CK_BBOOL public_half_in_token = no;
    std::vector<CK_ATTRIBUTE> public_template{attribute(CKA_TOKEN, public_half_in_token)};
    if (row.elliptic) {
        public_template.push_back(attribute_bytes(CKA_EC_PARAMS, curve));
    } else {
        public_template.push_back(attribute(CKA_MODULUS_BITS, bits));
        public_template.push_back(attribute_bytes(CKA_PUBLIC_EXPONENT, exponent));
    }

    CK_MECHANISM mechanism{
        row.elliptic ? CK_MECHANISM_TYPE{CKM_EC_KEY_PAIR_GEN} : CK_MECHANISM_TYPE{CKM_RSA_PKCS_KEY_PAIR_GEN}, nullptr,
        0};
    CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE, private_handle = CK_INVALID_HANDLE;
    const auto rules = rules_for(lifetime, private_key_rules);
    CK_RV rv = CKR_OK;
    bool with_optional = true;
    for (;;) {
        auto private_template = template_of(rules, with_optional);
        private_template.push_back(attribute_bytes(CKA_ID, id.bytes()));
        private_template.push_back(attribute_bytes(CKA_LABEL, view_of(label)));
        if (with_optional) {
            const auto& allowed = elliptic_mechanisms;
            private_template.push_back(
                row.elliptic
                    ? CK_ATTRIBUTE{CKA_ALLOWED_MECHANISMS, const_cast<CK_MECHANISM_TYPE*>(allowed.data()),
                                   sizeof allowed}
                    : CK_ATTRIBUTE{CKA_ALLOWED_MECHANISMS, const_cast<CK_MECHANISM_TYPE*>(rsa_mechanisms.data()),
                                   sizeof rsa_mechanisms});
        }
        rv = session.api().C_GenerateKeyPair(session.handle(), &mechanism, public_template.data(),
                                             public_template.size(), private_template.data(), private_template.size(),
                                             &public_handle, &private_handle);
        if (rv == CKR_ATTRIBUTE_TYPE_INVALID && with_optional) with_optional = false;
        else if (rv == CKR_ATTRIBUTE_VALUE_INVALID && lifetime == Lifetime::token && public_half_in_token == no)
            public_half_in_token = yes;
        else break;
    }
    if (rv != CKR_OK) {
        if (lifetime != Lifetime::token) session.drop();  // a module may have made it all the same
        return error_of(rv, "C_GenerateKeyPair");
    }

    auto public_key = row.elliptic ? elliptic_public_key(session, public_handle, row)
                                   : rsa_public_key(session, public_handle);
    auto evidence = read_back(session, private_handle, rules, with_optional);
    const bool public_half_gone = destroy(session, public_handle);
    if (!public_key || !evidence || !public_half_gone) {
        // What lives in the session goes with it; what lives in the token and stays is an orphan, swept at the next start.
        if (const bool gone = destroy(session, private_handle); !gone || !public_half_gone) session.drop();
        if (!public_key) return public_key.error();
        return evidence ? Error{Errc::token_away, "the public half stays in the session"} : evidence.error();
    }
    // Some modules do not know it.
    CK_MECHANISM_TYPE how = 0;
    if (const auto said = session.read_up_to(private_handle, CKA_KEY_GEN_MECHANISM, sizeof how);
        said && said.value().size() == sizeof how) {
        std::memcpy(&how, said.value().data(), sizeof how);
        evidence.value().emplace_back("CKA_KEY_GEN_MECHANISM", std::to_string(how));
    }
    auto key = std::make_shared<KeyObject>(id, private_class);
    session.remember(*key, private_handle);
    return GeneratedKey{std::move(key), std::move(public_key.value()), std::move(evidence.value())};
}

Result<std::shared_ptr<KeyObject>> generate_secret_key(Session& session, const CkaId& id, const std::string& label,
                                                       Lifetime lifetime) {
    const CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
    const CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    const CK_ULONG size = 32;
    const CK_MECHANISM_TYPE hmac = CKM_SHA256_HMAC;
    CK_MECHANISM mechanism{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    const auto rules = rules_for(lifetime, secret_key_rules);
    CK_RV rv = CKR_OK;
    bool with_optional = true;
    for (;; with_optional = false) {
        auto wanted = template_of(rules, with_optional);
        wanted.push_back(attribute(CKA_CLASS, secret_class));
        wanted.push_back(attribute(CKA_KEY_TYPE, type));
        wanted.push_back(attribute(CKA_VALUE_LEN, size));
        wanted.push_back(attribute_bytes(CKA_ID, id.bytes()));
        wanted.push_back(attribute_bytes(CKA_LABEL, view_of(label)));
        if (with_optional)
            wanted.push_back({CKA_ALLOWED_MECHANISMS, const_cast<CK_MECHANISM_TYPE*>(&hmac), sizeof hmac});
        rv = session.api().C_GenerateKey(session.handle(), &mechanism, wanted.data(), wanted.size(), &handle);
        if (rv != CKR_ATTRIBUTE_TYPE_INVALID || !with_optional) break;
    }
    if (rv != CKR_OK) return error_of(rv, "C_GenerateKey");
    if (const auto evidence = read_back(session, handle, rules, with_optional); !evidence) {
        if (!destroy(session, handle)) session.drop();
        return evidence.error();
    }
    auto key = std::make_shared<KeyObject>(id, secret_class);
    session.remember(*key, handle);
    return key;
}

}  // namespace qscd::hsm
