// A PKCS#11 module: a vendor's library, loaded once in a process after every fork, finalised at exit. Finds tokens by
// label, never by slot number. [pkcs11 2.40] [QSCD-22] [QSCD-29]
// Thread rules: all functions are safe from every thread; calls into the library hold the gate shared, re-initialisation
// holds it alone. Modules of different libraries know nothing of each other; two of one library (one file) are one to it,
// so they share its gate, its generation and its end.
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
#include "hsm/gate.hpp"

namespace qscd::hsm {

struct ModuleSettings {
    std::filesystem::path library;
    std::string reserved = {};  // CK_C_INITIALIZE_ARGS.pReserved, where a vendor wants one
    // SOFTHSM2_CONF and its like: set before the library is loaded and before each C_Initialize.
    std::map<std::string, std::string> environment = {};
    std::filesystem::path durable_folder = {};  // where it keeps its files, if it does not sync them itself; else empty
};

class DurableFolder;

struct TokenInfo {
    CK_SLOT_ID slot;
    std::string label, manufacturer, model, serial, firmware;
};

// PKCS#11 strings are padded with blanks and not terminated.
template <std::size_t N>
std::string padded_text(const CK_UTF8CHAR (&text)[N]) {
    std::string out{reinterpret_cast<const char*>(text), N};
    out.erase(out.find_last_not_of(std::string_view{" \0", 2}) + 1);  // some pad with zeros
    return out;
}
TokenInfo token_info(CK_SLOT_ID slot, const CK_TOKEN_INFO& info);

class Module {
public:
    // Errc::configuration when the library cannot be loaded or is no PKCS#11 module; Errc::token_away from C_Initialize.
    static Result<std::shared_ptr<Module>> load(ModuleSettings settings);
    ~Module();  // C_Finalize, with the last of its library
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    Result<std::vector<TokenInfo>> tokens() const;  // the initialised ones
    Result<TokenInfo> find(
        const std::string& label) const;  // tries for a second: SoftHSM may hide a token while written
    // Errc::configuration when the label exists already.
    Result<void> initialise_token(const std::string& label, const SecretBytes& so_pin, const SecretBytes& user_pin);

    // C_Finalize and C_Initialize, with every caller parked: the cure for a module whose token went away. All sessions,
    // logins and handles of the process are void afterwards; generation() grows. Errc::token_away when C_Initialize says
    // so, or when a call into the module did not return within `parking_patience`: then nothing was done.
    Result<void> reinitialise();
    static constexpr std::chrono::milliseconds parking_patience{1000};
    std::uint64_t generation() const { return shared_->generation; }

    // The same for one of several that found the module wanting: nothing is done when somebody else did it since
    // generation `seen`. While other tokens of the module serve, it takes no more than a twentieth of the time from them:
    // Errc::token_away until that is over.
    Result<void> reinitialise_since(std::uint64_t seen);
    // A token says that it begins (1) or ceases (-1) to serve.
    void count_serving(int change) { shared_->serving += change; }

    // For a process that ends at once, without its destructors: C_Finalize, when no call is inside any more. False when one
    // did not return within `parking_patience`. Whoever calls afterwards waits until the process is gone.
    bool leave();

    // Syncs what the module wrote so far, where it does not do so itself.
    Result<void> make_durable();

    const CK_FUNCTION_LIST& api() const { return *shared_->api; }
    std::shared_lock<Gate> enter() const { return std::shared_lock{shared_->gate}; }
    Result<std::vector<CK_SLOT_ID>> slots() const;  // with a token in them; the caller is inside

private:
    // What a library has once in a process.
    struct Loaded {
        explicit Loaded(const CK_FUNCTION_LIST* list) : api(list) {}
        ~Loaded();  // C_Finalize
        const CK_FUNCTION_LIST* api;
        Gate gate;
        std::atomic<std::uint64_t> generation = 1;
        std::atomic<int> serving = 0;
        std::mutex beginning_anew;
        std::chrono::steady_clock::time_point not_again_before{};
    };
    static std::shared_ptr<Loaded> shared(const CK_FUNCTION_LIST* list);
    explicit Module(ModuleSettings settings);
    Result<void> initialise();
    Result<void> begin_anew();
    ModuleSettings settings_;
    std::unique_ptr<DurableFolder> durable_;  // where the module does not sync itself
    std::shared_ptr<Loaded> shared_;
};

}  // namespace qscd::hsm
