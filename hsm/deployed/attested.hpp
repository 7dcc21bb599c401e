// What a KeyProof attests of where its key was made, beside the key's own attributes: which combination of SAM build,
// module and configuration this is, to be compared with the module registry's [qscd] entry. [QSCD-03] [QSCD-04]
// Thread rules: AttestedPlace is safe from every thread; the digests read files.
#pragma once

#include <mutex>

#include "base/openssl.hpp"
#include "hsm/key.hpp"
#include "policy/deployment.hpp"

namespace qscd::hsm {

// Names among a KeyProof's attributes.
inline constexpr std::string_view attested_model = "module.model", attested_firmware = "module.firmware",
                                  attested_configuration = "module.configuration",  // 64 hex digits
    attested_sam_build = "sam.build";                                               // 64 hex digits

// SHA-256 of this process's binary: what sam_build of a [qscd] entry says.
Result<Sha256Digest> build_of_this_process();
// What `configuration` of a [qscd] entry says: SHA-256 over "qscd/module-configuration/v1" and, each ended by a zero byte,
// the SHA-256 of the library's file in hex, the reserved string, and NAME=VALUE of each variable, all as the registry and
// qscd.toml write them. The vendor's own settings are not in it: they stand in the certificate's guidance.
Result<Sha256Digest> configuration_of(const policy::ModuleEntry& entry);

// "TEST" stands in the subject's common name: a trial's [qscd] entry counts under no other authority.
bool says_test(const X509& authority);

// One token's place. Firmware is what the token last reported.
class AttestedPlace {
public:
    AttestedPlace(policy::ModuleEntry entry, const Sha256Digest& build, const Sha256Digest& configuration,
                  bool ca_says_test)
        : entry_(std::move(entry)), build_(build), configuration_(configuration), ca_says_test_(ca_says_test) {}

    void saw_firmware(std::string firmware);
    // Whether a key here may stand, or go on standing, under QcSSCD. Never while the token has not been seen, unless the
    // entry names no firmware.
    bool counts_as_qscd(TimePoint at) const;
    // Adds the four names above to a key's attributes.
    void attest(GeneratedKey& key) const;

private:
    const policy::ModuleEntry entry_;
    const Sha256Digest build_, configuration_;
    const bool ca_says_test_;
    mutable std::mutex lock_;
    std::string firmware_;
};

}  // namespace qscd::hsm
