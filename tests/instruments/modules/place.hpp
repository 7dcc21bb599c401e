// One PKCS#11 module with one token, set up for a test: folders and daemons of its own, all gone with the object.
// Thread rules: one thread, the one that made it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "hsm/module.hpp"
#include "policy/module_registry.hpp"

namespace qscd::instruments {

// A private folder under the system's temporary one, mode 0700.
class PrivateFolder {
public:
    explicit PrivateFolder(const std::string& name);
    ~PrivateFolder();
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

class ModulePlace {
public:
    virtual ~ModulePlace() = default;
    ModulePlace(const ModulePlace&) = delete;
    ModulePlace& operator=(const ModulePlace&) = delete;

    const hsm::ModuleSettings& settings() const { return settings_; }
    const std::string& label() const { return label_; }
    static SecretBytes so_pin() { return SecretBytes{"87651234"}; }
    static SecretBytes pin() { return SecretBytes{"246810"}; }
    // What is left to do once the module is loaded: its token made through it, where it makes tokens that way.
    virtual Result<void> make_token(hsm::Module& module) const;

protected:
    // The settings are those of the registry, with a private folder in the place of {tokens}.
    ModulePlace(const policy::ModuleEntry& entry, std::string label);
    PrivateFolder folder_;
    hsm::ModuleSettings settings_;
    std::string label_;
};

// Errc::not_supported when this machine lacks what the module needs; the detail names it.
using SetUp = Result<std::unique_ptr<ModulePlace>> (*)(const policy::ModuleEntry& entry);

Result<std::unique_ptr<ModulePlace>> set_up_softhsm2(const policy::ModuleEntry& entry);
Result<std::unique_ptr<ModulePlace>> set_up_opencryptoki(const policy::ModuleEntry& entry);
Result<std::unique_ptr<ModulePlace>> set_up_nss_softokn(const policy::ModuleEntry& entry);
Result<std::unique_ptr<ModulePlace>> set_up_tpm2(const policy::ModuleEntry& entry);
Result<std::unique_ptr<ModulePlace>> set_up_p11_kit(const policy::ModuleEntry& entry);

// Writes `folder`/softhsm2.conf, for tokens in `folder`/tokens.
std::filesystem::path softhsm2_configuration(const PrivateFolder& folder);

}  // namespace qscd::instruments
