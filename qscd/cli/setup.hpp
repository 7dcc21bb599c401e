// The steps of setting a deployment up: folders, tokens, keys, certificates, configuration. `qscd init` takes them all
// in one go; the ceremonies in hsm-config/ceremony/ take them one by one, before witnesses. [QSCD-17]
// Each step may be repeated: what is whole is kept, what an interrupted attempt left is made anew. None touches a folder
// with a qscd.toml: there a deployment lives.
// Thread rules: waits for the module and the disk; one thread.
#pragma once

#include <functional>

#include "hsm/token.hpp"
#include "policy/deployment.hpp"
#include "policy/policy.hpp"
#include "qscd/genesis/genesis.hpp"

namespace qscd::cli {

// Which daemon's folder holds which tokens. The root's folder belongs to nobody that runs: it may be put away.
struct Placement {
    std::string_view daemon;
    std::vector<std::string> tokens;
};
const std::vector<Placement>& placements();
// Errc::configuration: no such daemon, no such token.
Result<const Placement*> placement_of(std::string_view daemon);
Result<std::string_view> daemon_of(std::string_view token);

// A token's PINs.
struct Pins {
    SecretBytes so, user;
};
using PinSource = std::function<Result<Pins>(const std::string& token)>;

// Whose names the CAs bear.
struct Owner {
    std::string country, organisation;
};

class Setup {
public:
    // Errc::configuration where a deployment lives already.
    static Result<Setup> begin(const std::filesystem::path& folder);

    const std::filesystem::path& folder() const { return folder_; }
    const std::filesystem::path& library() const { return library_; }
    const std::string& module_entry() const { return module_->name; }

    // Makes the folders; copies the policy and the module's entry. `library` empty: where the entry or the distribution
    // says. Errc::configuration for a policy or an entry that is not good.
    Result<policy::Policy> lay_out(const std::filesystem::path& policy, const std::filesystem::path& modules,
                                   const std::string& module, const std::filesystem::path& library);
    // The policy and module that lay_out() put there.
    Result<policy::Policy> resume(const std::filesystem::path& library);

    // Fresh tokens in a fresh folder for one daemon. Errc::configuration when its keys were made already, or when a token
    // is not what the module's entry says.
    Result<std::vector<hsm::TokenInfo>> make_tokens(std::string_view daemon, const PinSource& pins) const;
    // One more token for signers' keys, beside those that make_tokens() made.
    Result<void> add_signer_token(const std::string& label, const PinSource& pins) const;
    // Twelve random bytes in hex, kept in secrets/ with mode 0600.
    Result<SecretBytes> draw_pin(const std::string& file) const;

    // Opens a token as its daemon will. Without a PIN given it is read from secrets/.
    Result<std::unique_ptr<hsm::Token>> open_token(const std::string& label, std::optional<SecretBytes> pin = {}) const;

    Result<genesis::Summary> make_sam_keys(hsm::Token& token, const policy::Policy& rules) const;
    Result<void> make_rule_key(hsm::Token& token) const;
    Result<void> make_issuing_keys(hsm::Token& token) const;
    Result<void> make_root_key(hsm::Token& token) const;
    // The root's certificate, those of the issuing CAs, and the root's CRL; `token` is the root's.
    Result<void> make_certificates(hsm::Token& token, const policy::Policy& rules, const Owner& owner) const;
    Result<void> make_registration_officer() const;

    // Files in pki/ that came from the token's keys. Removed when its keys are.
    static std::vector<std::string> files_of(std::string_view token);
    // Takes back what make_tokens(), the keys and the certificates of one daemon left: as if they never were.
    Result<void> remove_files_of(std::string_view token) const;
    Result<void> remove_tokens(std::string_view daemon) const;
    // Errc::configuration while one of the tokens has a file in pki/.
    Result<void> need_no_keys(const Placement& placement) const;

private:
    explicit Setup(std::filesystem::path folder) : folder_(std::move(folder)) {}
    Result<std::shared_ptr<hsm::Module>> load_module(std::string_view daemon) const;
    Result<void> make_key(hsm::Token& token, KeyKind kind, const std::string& label, const std::string& file) const;
    std::filesystem::path folder_, library_;
    std::optional<policy::ModuleEntry> module_;  // there after lay_out() or resume()
};

// Files in pki/ that stand for a token's keys, so that they need not be kept in the token.
std::string public_key_file(std::string_view key_label);  // "issuing-lcp.pub.pem"

}  // namespace qscd::cli
