// A PKCS#11 module: a vendor's library, loaded once in a process after every fork, finalised at exit. Finds tokens by
// label, never by slot number. [pkcs11 2.40] [QSCD-22] [QSCD-29]
// Thread rules: all functions are safe from every thread; calls into the library hold the gate shared, re-initialisation
// holds it alone.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <p11-kit/pkcs11.h>
#include <shared_mutex>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace qscd::hsm {

struct ModuleSettings {
    std::filesystem::path library;
    std::string reserved = {};  // CK_C_INITIALIZE_ARGS.pReserved, where a vendor wants one
    std::map<std::string, std::string> environment =
        {};                                     // set before the library is loaded: SOFTHSM2_CONF and its like
    std::filesystem::path durable_folder = {};  // where it keeps its files, if it does not sync them itself; else empty
};

class DurableFolder;

struct TokenInfo {
    CK_SLOT_ID slot;
    std::string label, manufacturer, model, serial, firmware;
};

class Module {
public:
    // Errc::configuration when the library cannot be loaded or is no PKCS#11 module; Errc::token_away from C_Initialize.
    static Result<std::shared_ptr<Module>> load(ModuleSettings settings);
    ~Module();  // C_Finalize
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    Result<std::vector<TokenInfo>> tokens() const;  // the initialised ones
    Result<TokenInfo> find(
        const std::string& label) const;  // tries for a second: SoftHSM may hide a token while written
    // Errc::configuration when the label exists already.
    Result<void> initialise_token(const std::string& label, const SecretBytes& so_pin, const SecretBytes& user_pin);

    // C_Finalize and C_Initialize, with every caller parked: the cure for a module whose token went away. All sessions,
    // logins and handles of the process are void afterwards; generation() grows.
    Result<void> reinitialise();
    std::uint64_t generation() const { return generation_; }

    // Syncs what the module wrote so far, where it does not do so itself.
    Result<void> make_durable();

    const CK_FUNCTION_LIST& api() const { return *api_; }
    std::shared_lock<std::shared_mutex> enter() const { return std::shared_lock{gate_}; }

private:
    explicit Module(ModuleSettings settings);
    Result<void> initialise();
    ModuleSettings settings_;
    std::unique_ptr<DurableFolder> durable_;  // where the module does not sync itself
    void* library_ = nullptr;
    const CK_FUNCTION_LIST* api_ = nullptr;
    mutable std::shared_mutex gate_;
    std::atomic<std::uint64_t> generation_ = 1;
};

}  // namespace qscd::hsm
