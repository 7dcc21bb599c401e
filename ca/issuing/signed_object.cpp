#include "ca/issuing/signed_object.hpp"

#include <array>

#include "base/der.hpp"
#include "hsm/provider/provider.hpp"

namespace qscd::ca {
namespace {

struct Row {
    int type, min_bits, max_bits;
    std::string_view oid;
    const EVP_MD* (*hash)();
    bool null_parameters;  // ECDSA has none, PKCS#1 v1.5 writes NULL [RFC 5758] [RFC 4055]
};
constexpr std::array rows{
    Row{EVP_PKEY_EC, 256, 256, "1.2.840.10045.4.3.2", EVP_sha256, false},
    Row{EVP_PKEY_EC, 384, 384, "1.2.840.10045.4.3.3", EVP_sha384, false},
    Row{EVP_PKEY_RSA, 3072, 8192, "1.2.840.113549.1.1.12", EVP_sha384, true},
};

}  // namespace

Result<SignatureAlgorithm> signature_algorithm_of(const EVP_PKEY& public_key) {
    const int type = EVP_PKEY_get_base_id(&public_key), bits = EVP_PKEY_get_bits(&public_key);
    for (const auto& row : rows) {
        if (row.type != type || bits < row.min_bits || bits > row.max_bits) continue;
        const Bytes null{der::null_tag, 0};
        return SignatureAlgorithm{
            der::sequence({der::object_identifier(row.oid), row.null_parameters ? ByteView{null} : ByteView{}}),
            row.hash()};
    }
    return Error{Errc::not_supported, "an issuer's key must be P-256, P-384, or RSA of 3072 bits or more"};
}

Result<Bytes> sign_object(ByteView to_be_signed, const SignatureAlgorithm& algorithm, EVP_PKEY& key) {
    const EvpMdCtx context{EVP_MD_CTX_new()};
    Bytes signature;
    QSCD_TRY(hsm::signing("EVP_DigestSign", [&] {
        std::size_t size = 0;
        if (EVP_DigestSignInit(context.get(), nullptr, algorithm.hash, nullptr, &key) != 1 ||
            EVP_DigestSign(context.get(), nullptr, &size, to_be_signed.data(), to_be_signed.size()) != 1)
            return false;
        signature.resize(size);
        if (EVP_DigestSign(context.get(), signature.data(), &size, to_be_signed.data(), to_be_signed.size()) != 1)
            return false;
        signature.resize(size);
        return true;
    }));
    return der::sequence({to_be_signed, algorithm.identifier, der::bit_string(signature)});
}

}  // namespace qscd::ca
