// `qscd ceremony …`: the steps of `qscd init` one by one, for the scripts in hsm-config/ceremony/. Each answers what it
// made as read back from the token, so that it can be shown and recorded; secrets come in by descriptors alone. [QSCD-17]
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct CeremonySettings {
    std::filesystem::path policy, modules, library;  // as for `qscd init`
    std::string module = "softhsm2";
    std::string what;  // the daemon, the token or the keys that the step is about
    std::string country, organisation;
    int so_pin_descriptor = -1, pin_descriptor = -1;
    std::filesystem::path record, signature;
};

// Each but attest() refuses a folder with a qscd.toml: Errc::configuration. Repeated, each keeps what is whole.
Result<void> ceremony_folder(const Options& options, const CeremonySettings& settings);
// Fresh tokens of one daemon, under an SO PIN that is not kept. The user PIN is drawn and kept in secrets/; the root's
// is given and not kept. Repeated, makes them anew, until they hold keys.
Result<void> ceremony_tokens(const Options& options, const CeremonySettings& settings);
Result<void> ceremony_keys(const Options& options, const CeremonySettings& settings);
Result<void> ceremony_certificates(const Options& options, const CeremonySettings& settings);
Result<void> ceremony_show(const Options& options, const CeremonySettings& settings);
// Takes back: all keys and data objects of a token with the files they gave, or a daemon's tokens.
Result<void> ceremony_clear(const Options& options, const CeremonySettings& settings);
Result<void> ceremony_remove_tokens(const Options& options, const CeremonySettings& settings);
// The SAM's attestation key signs a record. [qscd/genesis]
Result<void> ceremony_attest(const Options& options, const CeremonySettings& settings);

}  // namespace qscd::cli
