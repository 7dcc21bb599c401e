// The crypto modules we know, one TOML file a model (hsm-config/modules/): where the PKCS#11 library is, how it is
// started, how it calls itself, what it gets wrong, its certificate, and whether a combination of SAM build, module and
// configuration may say QcSSCD. What differs between modules stands here or is found by the probe; code knows no
// vendor. In `reserved`, [environment] and quirks.files "{tokens}" stands for the daemon's token folder. [QSCD-04]
// Thread rules: values; immutable.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
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

// The module's own certificate [QSCD-04] [EN 419 221-5]. By itself it makes no QSCD: that is what QscdEntry says.
struct Certification {
    std::string certificate;            // its reference
    std::vector<std::string> firmware;  // the certified ones of those the entry accepts
    std::string configuration;          // the certified configuration: mode, guidance document
    TimePoint expires;                  // first moment at which it counts no more
    bool covers(std::string_view reported_firmware, TimePoint at) const;
};

// What C_GetTokenInfo says of a token; without padding, firmwareVersion as "2.6".
struct ReportedToken {
    std::string label, manufacturer, model, firmware;
};

// Where one daemon's copy of a module lies and how it is started.
struct ModuleStart {
    std::filesystem::path library;
    std::string reserved;                            // CK_C_INITIALIZE_ARGS.pReserved; empty: none
    std::map<std::string, std::string> environment;  // set before the library is loaded
    std::filesystem::path durable_folder;            // what we sync, as the module does not; empty when it does
};

struct ModuleEntry {
    std::string name;                   // "softhsm2": the file's name without .toml
    std::string library;                // absolute path of the PKCS#11 library
    std::string model;                  // CK_TOKEN_INFO.model without padding, at most 16 characters
    std::string manufacturer;           // CK_TOKEN_INFO.manufacturerID without padding, at most 32 characters
    std::vector<std::string> firmware;  // accepted versions, "2.6"; at least one
    bool syncs;                         // quirk: a created object survives a power cut without our help
    std::string files;                  // quirk: the folder that it writes to and that we sync; there unless `syncs`
    unsigned concurrency;  // sessions worth keeping busy at once, 1 to 1024: the default of signing_threads
    std::string reserved;  // CK_C_INITIALIZE_ARGS.pReserved; empty: none
    std::map<std::string, std::string> environment;
    std::optional<Certification> certification;
    std::optional<QscdEntry> qscd;  // absent: its keys never stand under QcSSCD

    // Errc::configuration when the token's manufacturer, model or firmware is not the entry's, naming both. [QSCD-04]
    Result<void> check(const ReportedToken& reported) const;

    // With "{tokens}" filled in.
    ModuleStart start_in(const std::filesystem::path& token_folder) const;

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
