#include "qscd/sam/certificate_fit.hpp"

#include <ctime>
#include <openssl/err.h>

namespace qscd::sam {
namespace {

constexpr std::chrono::seconds clock_skew{60};

Error refused(std::string_view what) { return {Errc::paper_refused, "certificate: " + std::string{what}}; }

// The one value of an attribute, as UTF-8; empty when it is not there once.
std::string attribute(const X509_NAME& name, int nid) {
    const int at = X509_NAME_get_index_by_NID(&name, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(&name, nid, at) >= 0) return {};
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(&name, at)));
    if (size < 0) return {};
    std::string out{reinterpret_cast<char*>(text), static_cast<std::size_t>(size)};
    OPENSSL_free(text);
    return out;
}

TimePoint time_of(const ASN1_TIME* time) {
    std::tm parts{};
    ASN1_TIME_to_tm(time, &parts);
    return from_unix(timegm(&parts));
}

}  // namespace

Result<TimePoint> certificate_fits(ByteView der, const X509& issuer, ByteView public_key,
                                   const protocol::Subject& subject, TimePoint now) {
    QSCD_TRY(auto certificate, certificate_from_der(der));
    auto* by = const_cast<X509*>(&issuer);
    const bool issued = X509_check_issued(by, certificate.get()) == X509_V_OK &&
                        X509_verify(certificate.get(), X509_get0_pubkey(by)) == 1;
    ERR_clear_error();
    if (!issued) return refused("not issued by the CA for its kind");
    if (!std::ranges::equal(der_of(*X509_get0_pubkey(certificate.get()), i2d_PUBKEY), public_key))
        return refused("another public key");
    const auto& name = *X509_get_subject_name(certificate.get());
    const protocol::Subject named{attribute(name, NID_countryName), attribute(name, NID_givenName),
                                  attribute(name, NID_surname), attribute(name, NID_serialNumber),
                                  attribute(name, NID_commonName)};
    const auto texts = {&subject.country, &subject.given_name, &subject.surname, &subject.serial_number,
                        &subject.common_name};
    const auto entries = std::ranges::count_if(texts, [](const std::string* text) { return !text->empty(); });
    if (named != subject || X509_NAME_entry_count(&name) != entries) return refused("another subject");
    const auto not_after = time_of(X509_get0_notAfter(certificate.get()));
    if (now >= not_after) return refused("expired");
    if (time_of(X509_get0_notBefore(certificate.get())) > now + clock_skew) return refused("not valid yet");
    return not_after;
}

}  // namespace qscd::sam
