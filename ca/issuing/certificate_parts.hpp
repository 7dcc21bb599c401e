// The pieces of a TBSCertificate that certificates of persons and of authorities share. [RFC 5280, 4.1]
// Private to this room. Thread rules: pure functions.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "base/openssl.hpp"

namespace qscd::ca {

// One attribute of a name, one a RelativeDistinguishedName; empty values are left out.
struct NameAttribute {
    std::string_view oid;
    std::uint8_t string_tag;
    std::string_view value;
};
Bytes distinguished_name(std::initializer_list<NameAttribute> attributes);

Bytes extension(std::string_view oid, bool critical, ByteView value);

// extnValues.
Result<Bytes> key_identifier_of(ByteView public_key);      // SHA-1 of the BIT STRING's bits [RFC 5280, 4.2.1.2]
Result<Bytes> key_identifier_in(const X509& certificate);  // its subjectKeyIdentifier
Bytes subject_key_identifier(ByteView key_identifier);
Bytes authority_key_identifier(ByteView key_identifier);  // keyIdentifier alone
Bytes certificate_policies(const std::vector<std::string>& oids);
Bytes crl_distribution_point(std::string_view url);
Bytes ca_issuers(std::string_view url);

struct TbsFields {
    ByteView serial;     // magnitude, big endian
    ByteView algorithm;  // AlgorithmIdentifier of the signature to come
    ByteView issuer;     // Name
    TimePoint not_before, not_after;
    ByteView subject;     // Name
    ByteView public_key;  // SubjectPublicKeyInfo
    ByteView extensions;  // one after the other
};
Bytes tbs_certificate(const TbsFields& fields);

// 16 octets from the kernel's generator, top bit clear and the next set: positive, always 16 octets, 126 random bits
// [CA-15].
Bytes random_serial();

// Calendar years later, one second less: both ends belong to the period. 29 February counts on to 28 February.
TimePoint end_of_years(TimePoint begin, int years);

// What stands in an ASN.1 time; nothing for one that is none.
Result<TimePoint> time_of(const ASN1_TIME& time);

// Where everybody finds what an authority publishes: <public_base>/crl/<name>.crl and <public_base>/aia/<name>.cer.
std::string crl_path(std::string_view authority);
std::string certificate_path(std::string_view authority);

}  // namespace qscd::ca
