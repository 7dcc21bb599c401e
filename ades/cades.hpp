// CAdES-B-B detached signatures [EN 319 122-1, 6] around signature values that are made elsewhere, by an API that signs
// hashes: make_signed_attributes(), have to_be_signed() signed, assemble(). And their verification.
// Thread rules: pure functions, values.
#pragma once

#include "ades/content.hpp"
#include "base/clock.hpp"
#include "base/key_kind.hpp"

namespace qscd::ades {

// The four attributes that a signature covers besides the content: content-type (id-data), message-digest,
// signing-certificate-v2 (no issuerSerial) and signing-time, in DER order.
class SignedAttributes {
public:
    const DtbsR& to_be_signed() const { return to_be_signed_; }
    ByteView der() const { return der_; }  // SET OF Attribute, tag 0x31: what to_be_signed() is the hash of

private:
    friend Result<SignedAttributes> make_signed_attributes(ByteView, ByteView, TimePoint, HashAlgorithm);
    friend Result<Bytes> assemble(const SignedAttributes&, ByteView, Scheme, const std::vector<Bytes>&);
    SignedAttributes(Bytes der, Bytes content, Bytes certificate, const DtbsR& to_be_signed)
        : der_(std::move(der)),
          content_(std::move(content)),
          certificate_(std::move(certificate)),
          to_be_signed_(to_be_signed) {}
    Bytes der_, content_, certificate_;
    DtbsR to_be_signed_;
};

// `hash` is the one of the content digest, of the certificate's digest and of to_be_signed(). The time is the signer's
// claim. Errors: hash_wrong_length, paper_refused (not a certificate).
Result<SignedAttributes> make_signed_attributes(ByteView content_digest, ByteView certificate, TimePoint signing_time,
                                                HashAlgorithm hash);

// ContentInfo in DER, the content outside. `signature`: ECDSA as DER Ecdsa-Sig-Value, RSA as it is. `chain`: DER, the
// signer's certificate first; all are included, the anchor need not be. Errors: paper_refused when the chain does not
// begin with the certificate of the attributes, or the value does not verify with its key under the scheme.
Result<Bytes> assemble(const SignedAttributes& attributes, ByteView signature, Scheme scheme,
                       const std::vector<Bytes>& chain);

struct Trust {
    std::vector<Bytes> anchors;        // DER; need not be self-signed
    std::vector<Bytes> intermediates;  // DER; beside those in the signature
    TimePoint at;                      // when every certificate must have been valid
};

struct Verified {
    std::string signer;      // subject of the signer's certificate [RFC 2253], in UTF-8
    Bytes certificate;       // the signer's, DER
    TimePoint signing_time;  // as the signer claims it
    HashAlgorithm hash;      // of content and attributes
    std::string_view level;  // "CAdES-B-B"; higher levels are not looked for
};

// One signer, detached, SHA-256, -384 or -512. Verifies the content's digest, the attributes of a baseline signature,
// the signer's certificate against signing-certificate-v2, the signature, and the chain up to an anchor at the given
// time (keys and hashes of at least 112 bits). Revocation is not looked at. Errors: paper_refused whose detail names
// the step; what `content` answers.
Result<Verified> verify(ByteView signature, const Content& content, const Trust& trust);

}  // namespace qscd::ades
