#include "ca/issuing/crl.hpp"

#include "base/der.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/signed_object.hpp"

namespace qscd::ca {

Result<X509Revocations> crl_from_der(ByteView der) {
    const auto* at = der.data();
    X509Revocations out{d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()))};
    if (!out || at != der.data() + der.size()) return Error{Errc::configuration, "not a CRL in DER"};
    return out;
}

Result<Bytes> sign_crl(const RevocationList& list, EVP_PKEY& key) {
    auto* public_key = X509_get0_pubkey(&list.issuer);
    QSCD_TRY(const auto algorithm, signature_algorithm_of(*public_key));
    QSCD_TRY(const auto identifier, key_identifier_in(list.issuer));
    Bytes extensions;
    der::append(extensions, extension("2.5.29.35", false, authority_key_identifier(identifier)));
    der::append(extensions, extension("2.5.29.20", false, der::unsigned_integer(list.number)));
    const auto tbs = der::sequence({
        der::unsigned_integer(1),  // v2
        algorithm.identifier,
        der_of(*X509_get_subject_name(&list.issuer), i2d_X509_NAME),
        der::time(list.this_update),
        der::time(list.next_update),
        der::value(der::context_constructed(0), {der::sequence({extensions})}),
    });
    QSCD_TRY(auto der, sign_object(tbs, algorithm, key));
    QSCD_TRY(const auto parsed, crl_from_der(der));
    if (X509_CRL_verify(parsed.get(), public_key) != 1)
        return Error{Errc::internal, "the CRL does not verify: " + openssl_reason()};
    return der;
}

}  // namespace qscd::ca
