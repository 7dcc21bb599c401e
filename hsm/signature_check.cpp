#include "hsm/signature_check.hpp"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/openssl.hpp"

namespace qscd::hsm {

bool verifies(EVP_PKEY& public_key, Scheme scheme, const DtbsR& dtbsr, ByteView signature) {
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(&public_key, nullptr)};
    const auto* md = EVP_get_digestbyname(std::string{row_of(dtbsr.algorithm()).name}.c_str());
    bool good = EVP_PKEY_verify_init(context.get()) == 1;
    if (scheme == Scheme::rsa_pss)
        good = good && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_PKEY_CTX_set_signature_md(context.get(), md) == 1 &&
           EVP_PKEY_verify(context.get(), signature.data(), signature.size(), dtbsr.bytes().data(),
                           dtbsr.bytes().size()) == 1;
    if (!good) ERR_clear_error();
    return good;
}

}  // namespace qscd::hsm
