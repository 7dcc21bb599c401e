// Reading CMS with OpenSSL: the checks that building and verifying share. Thread rules: pure.
#pragma once

#include "base/digest.hpp"
#include "base/openssl.hpp"

namespace qscd::ades {

// Strict: the whole input is one SignedData in a ContentInfo.
Result<CmsContentInfo> cms_from_der(ByteView der);
Result<CMS_SignerInfo*> only_signer(CMS_ContentInfo& cms);  // borrowed from cms

// The hash of attributes and content. Error: one that is not ours.
Result<HashAlgorithm> hash_of(CMS_SignerInfo& signer);

// OpenSSL verifies with the key's own algorithm whatever the SignerInfo calls it; other validators do not.
Result<void> check_signature_algorithm(CMS_SignerInfo& signer, X509& certificate);

// This thread's OpenSSL errors with what they add, newest first; empties the queue.
std::string reasons();

}  // namespace qscd::ades
