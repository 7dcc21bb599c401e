// From a token's object to OpenSSL's key: the public half, the checks, the PIN's file.
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "hsm/provider/store.hpp"

namespace qscd::hsm::provider {
namespace {

using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>>;

EvpPkey from_parameters(const Surroundings& surroundings, const char* type, OSSL_PARAM_BLD* builder) {
    const Parameters parameters{OSSL_PARAM_BLD_to_param(builder)};
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(surroundings.library, type, default_provider)};
    EVP_PKEY* key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
        return nullptr;
    return EvpPkey{key};
}

EvpPkey from_spki(const Surroundings& surroundings, ByteView der) {
    const auto* at = der.data();
    return EvpPkey{d2i_PUBKEY_ex(nullptr, &at, static_cast<long>(der.size()), surroundings.library, default_provider)};
}

EvpPkey from_certificate(const Surroundings& surroundings, ByteView der) {
    const X509Cert certificate{X509_new_ex(surroundings.library, default_provider)};
    auto* read = certificate.get();
    const auto* at = der.data();
    if (!certificate || d2i_X509(&read, &at, static_cast<long>(der.size())) == nullptr) return nullptr;
    return from_spki(surroundings, der_of(*X509_get_X509_PUBKEY(certificate.get()), i2d_X509_PUBKEY));
}

// The point as the standard has it, in an OCTET STRING, or bare as some modules answer it [pkcs11 2.40, 2.3.3].
EvpPkey from_point(const Surroundings& surroundings, Bytes point, const KeyKindRow& row) {
    const std::size_t bare = 1 + 2 * row.bits / 8;
    if (point.size() > bare) point.erase(point.begin(), point.end() - static_cast<std::ptrdiff_t>(bare));
    const ParameterBuilder builder{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, row.group.data(), row.group.size());
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
    return from_parameters(surroundings, "EC", builder.get());
}

EvpPkey from_modulus(const Surroundings& surroundings, const Bytes& modulus, const Bytes& exponent) {
    const BigNum n{BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr)};
    const BigNum e{BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr)};
    const ParameterBuilder builder{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    return from_parameters(surroundings, "RSA", builder.get());
}

const KeyKindRow* row_of_curve(const Bytes& parameters) {
    const auto* at = parameters.data();
    const std::unique_ptr<ASN1_OBJECT, FreeWith<ASN1_OBJECT_free>> curve{
        d2i_ASN1_OBJECT(nullptr, &at, static_cast<long>(parameters.size()))};
    std::array<char, 80> oid{};
    if (!curve || OBJ_obj2txt(oid.data(), oid.size(), curve.get(), 1) <= 0) return nullptr;
    for (const auto& row : key_kind_rows)
        if (row.elliptic && row.curve_oid == oid.data()) return &row;
    return nullptr;
}

template <class Number>
std::optional<Number> number_in(const Bytes& value) {
    Number out{};
    if (value.size() != sizeof out) return std::nullopt;
    std::memcpy(&out, value.data(), sizeof out);
    return out;
}

// A public half: none when this object does not tell it.
Result<EvpPkey> told_by(const Surroundings& surroundings, OpenToken& token, TokenObject& object, CK_KEY_TYPE type) {
    QSCD_TRY(const auto spki, token.read(object, CKA_PUBLIC_KEY_INFO));
    if (!spki.empty()) return from_spki(surroundings, spki);
    if (type == CKK_RSA) {
        QSCD_TRY(const auto modulus, token.read(object, CKA_MODULUS));
        QSCD_TRY(const auto exponent, token.read(object, CKA_PUBLIC_EXPONENT));
        return modulus.empty() || exponent.empty() ? EvpPkey{} : from_modulus(surroundings, modulus, exponent);
    }
    QSCD_TRY(const auto parameters, token.read(object, CKA_EC_PARAMS));
    const auto* row = row_of_curve(parameters);
    if (row == nullptr) return Error{Errc::not_supported, "an EC key on a curve that is not P-256 or P-384"};
    QSCD_TRY(const auto point, token.read(object, CKA_EC_POINT));
    return point.empty() ? EvpPkey{} : from_point(surroundings, point, *row);
}

Result<EvpPkey> from_file(const Surroundings& surroundings, const std::string& path) {
    const BioPtr file{BIO_new_file(path.c_str(), "r")};
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (!file || PEM_read_bio(file.get(), &name, &header, &data, &size) != 1)
        return Error{Errc::configuration, "no PEM file with a public key or a certificate: " + path};
    const std::string_view kind{name};
    const ByteView der{data, static_cast<std::size_t>(size)};
    EvpPkey out = kind == PEM_STRING_PUBLIC ? from_spki(surroundings, der)
                  : kind == PEM_STRING_X509 ? from_certificate(surroundings, der)
                                            : nullptr;
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    if (!out) return Error{Errc::configuration, "neither a public key nor a certificate: " + path};
    return out;
}

// Modules put the public half in different places, and our own keys leave it out of the token.
Result<EvpPkey> public_half(const Surroundings& surroundings, OpenToken& token, TokenObject& object, CK_KEY_TYPE type,
                            const KeyUri& uri) {
    if (uri.public_key()) return from_file(surroundings, *uri.public_key());
    QSCD_TRY(auto own, told_by(surroundings, token, object, type));
    if (own) return own;
    QSCD_TRY(const auto id, token.read(object, CKA_ID));
    if (!id.empty()) {
        TokenObject twin{CKO_PUBLIC_KEY, std::nullopt, id};
        if (token.find(twin)) {
            QSCD_TRY(auto told, told_by(surroundings, token, twin, type));
            if (told) return told;
        }
        TokenObject certificate{CKO_CERTIFICATE, std::nullopt, id};
        if (token.find(certificate)) {
            QSCD_TRY(const auto der, token.read(certificate, CKA_VALUE));
            if (auto told = from_certificate(surroundings, der)) return told;
        }
    }
    return Error{Errc::configuration, "token " + token.label() +
                                          " does not tell the public half of this key: name a PEM file of the public "
                                          "key or the certificate by qscd-public-key= in the URI"};
}

bool verifies(const Surroundings& surroundings, EVP_PKEY& key, Scheme scheme, const DtbsR& digest, ByteView signature) {
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_pkey(surroundings.library, &key, default_provider)};
    std::string hash{row_of(digest.algorithm()).name};
    std::string padding = scheme == Scheme::rsa_pss ? OSSL_PKEY_RSA_PAD_MODE_PSS : OSSL_PKEY_RSA_PAD_MODE_PKCSV15;
    std::array parameters{
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, hash.data(), 0),
        scheme == Scheme::ecdsa ? OSSL_PARAM_construct_end()
                                : OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, padding.data(), 0),
        OSSL_PARAM_construct_end(),
    };
    return context && EVP_PKEY_verify_init_ex(context.get(), parameters.data()) == 1 &&
           EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.bytes().data(),
                           digest.bytes().size()) == 1;
}

// A public half from a file, or from an object that somebody else put there, may be another key's: what does not verify
// under it is not handed out.
Result<Bytes> sign_and_verify(const Surroundings& surroundings, EVP_PKEY& public_key, OpenToken& token,
                              TokenObject& object, Scheme scheme, const DtbsR& digest) {
    QSCD_TRY(auto signature, token.sign(object, scheme, digest));
    if (!verifies(surroundings, public_key, scheme, digest, signature))
        return Error{Errc::internal, "the token's signature does not verify under the public key given for it"};
    return signature;
}

}  // namespace

Result<SharedKey> load_key(const ModuleProvider& provider, const KeyUri& uri, bool public_only, const AskPin& ask) {
    if (provider.settings.library.empty())
        return Error{Errc::configuration,
                     "which PKCS#11 module? Set pkcs11-module-path in the provider's section of "
                     "openssl.cnf, or QSCD_PKCS11_MODULE"};
    if (!provider.settings.library.is_absolute())
        return Error{Errc::configuration, "the path of the PKCS#11 module must be absolute"};
    QSCD_TRY(auto token, OpenToken::open(provider.settings, uri, ask));
    const CK_OBJECT_CLASS wanted = uri.object_class().value_or(CKO_PRIVATE_KEY);
    auto object = std::make_shared<TokenObject>(wanted, uri.label(), uri.id());
    if (const auto found = token->find(*object); !found)
        return Error{found.error().code, uri.object_for_people() + ": " + found.error().detail};
    QSCD_TRY(const auto type_bytes, token->read(*object, CKA_KEY_TYPE));
    const auto type = number_in<CK_KEY_TYPE>(type_bytes);
    if (type != CK_KEY_TYPE{CKK_RSA} && type != CK_KEY_TYPE{CKK_EC})
        return Error{Errc::not_supported, uri.object_for_people() + " is neither an RSA nor an EC key"};
    if (!public_only) {
        QSCD_TRY(const auto may_sign, token->read(*object, CKA_SIGN));
        if (number_in<CK_BBOOL>(may_sign) != CK_BBOOL{CK_TRUE})
            return Error{Errc::not_supported, uri.object_for_people() + " may not sign: its CKA_SIGN is false"};
    }
    QSCD_TRY(auto public_key, public_half(provider.surroundings, *token, *object, *type, uri));
    const auto kind = kind_of(*public_key);
    if (!kind || row_of(*kind).elliptic != (*type == CKK_EC))
        return Error{Errc::not_supported, uri.object_for_people() + " is of a kind that is not used here"};

    auto out = std::make_shared<KeyData>();
    out->surroundings = &provider.surroundings;
    out->elliptic = row_of(*kind).elliptic;
    if (!public_only) {
        EVP_PKEY_up_ref(public_key.get());
        out->signer = std::make_shared<const ProviderKey>(
            ProviderKey{*kind, der_of(*public_key, i2d_PUBKEY),
                        [&surroundings = provider.surroundings,
                         checker = std::shared_ptr<EVP_PKEY>{public_key.get(), EVP_PKEY_free}, token,
                         object](Scheme scheme, const DtbsR& digest) {
                            return sign_and_verify(surroundings, *checker, *token, *object, scheme, digest);
                        }});
    }
    out->public_key = std::move(public_key);
    return out;
}

Result<SecretBytes> pin_from(const std::string& source) {
    constexpr std::string_view scheme = "file:";
    const std::string path = source.starts_with(scheme) ? source.substr(scheme.size()) : source;
    const auto refused = [&](std::string_view why) {
        return Error{Errc::configuration, "the PIN's file " + path + " " + std::string{why}};
    };
    if (!path.starts_with('/')) return Error{Errc::configuration, "a pin-source is file:/path or /path"};
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (!file) return refused("cannot be opened");
    struct ::stat about{};
    if (::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) return refused("is no regular file");
    if ((about.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0)
        return refused("can be read by everybody or written by others: chmod 600");
    std::array<char, 257> room{};
    const auto size = ::read(file.get(), room.data(), room.size());
    const std::string_view all{room.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    const auto line = all.substr(0, all.find_first_of("\r\n"));
    const bool good = !line.empty() && all.size() < room.size();
    SecretBytes pin{line};
    ::explicit_bzero(room.data(), room.size());
    if (!good) return refused("is empty or too long");
    return pin;
}

}  // namespace qscd::hsm::provider
