// SoftHSM2: a configuration file and a folder, found through SOFTHSM2_CONF.
#include <fstream>

#include "tests/instruments/modules/place.hpp"

namespace qscd::instruments {
namespace {

class SoftHsm2 : public ModulePlace {
public:
    explicit SoftHsm2(const policy::ModuleEntry& entry) : ModulePlace(entry, "qscd-test") {
        (void)softhsm2_configuration(folder_);
    }
};

}  // namespace

std::filesystem::path softhsm2_configuration(const PrivateFolder& folder) {
    std::filesystem::create_directory(folder / "tokens");
    const auto file = folder / "softhsm2.conf";
    std::ofstream{file} << "directories.tokendir = " << (folder / "tokens").string()
                        << "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
                           "library.reset_on_fork = false\n";
    return file;
}

Result<std::unique_ptr<ModulePlace>> set_up_softhsm2(const policy::ModuleEntry& entry) {
    if (!std::filesystem::exists(entry.library))
        return Error{Errc::not_supported, entry.library + " is not there (package softhsm2)"};
    return std::make_unique<SoftHsm2>(entry);
}

}  // namespace qscd::instruments
