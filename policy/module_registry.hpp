// The crypto modules we know, one TOML file a model (hsm-config/modules/): where the PKCS#11 library is, how it calls
// itself, what it gets wrong, and whether a combination of SAM build, module and configuration may say QcSSCD.
// Thread rules: values; immutable.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"

namespace qscd::policy {

// What stands before us, measured when it matters and compared with the entry.
struct ObservedModule {
    std::string model, firmware;            // C_GetTokenInfo: model as padded there or not; firmwareVersion as "2.6"
    Sha256Digest sam_build, configuration;  // of the samd binary; of the module's configuration
};

// A certified combination, or a trial of one [QSCD-03] [EN 419 241-2] [EN 419 221-5].
struct QscdEntry {
    bool trial;                              // counts only under a CA whose names say TEST
    bool external_key_storage;               // the certification covers keys outside the module [QSCD-30]
    std::optional<std::string> certificate;  // reference of the certificate; these five are always there unless `trial`
    std::optional<std::string> firmware;
    std::optional<Sha256Digest> sam_build, configuration;
    std::optional<TimePoint> expires;  // first moment at which it counts no more
};

struct ModuleEntry {
    std::string name;               // "softhsm2": the file's name without .toml
    std::string library;            // absolute path of the PKCS#11 library
    std::string model;              // CK_TOKEN_INFO.model without padding, at most 16 characters
    std::string manufacturer;       // CK_TOKEN_INFO.manufacturerID without padding, at most 32 characters
    bool syncs;                     // a created object survives a power cut without our help
    unsigned concurrency;           // sessions worth keeping busy at once, 1 to 1024
    std::optional<QscdEntry> qscd;  // absent: its keys never stand under QcSSCD

    // Whether a key in the observed module may stand under QcSSCD at that moment: model and every field of the entry
    // match, it has not expired, and a trial entry is used by a test CA alone.
    bool counts_as_qscd(const ObservedModule& observed, TimePoint at, bool ca_says_test) const;
};

class ModuleRegistry {
public:
    static Result<ModuleEntry> parse(std::string_view text, std::string_view file_name, std::string_view expected_name);
    // Every *.toml of the folder, at least one. One bad file refuses the whole registry.
    static Result<ModuleRegistry> load(const std::filesystem::path& folder);

    const std::vector<ModuleEntry>& modules() const { return modules_; }  // by name
    const ModuleEntry* find(std::string_view name) const;

private:
    explicit ModuleRegistry(std::vector<ModuleEntry> modules) : modules_(std::move(modules)) {}
    std::vector<ModuleEntry> modules_;
};

}  // namespace qscd::policy
