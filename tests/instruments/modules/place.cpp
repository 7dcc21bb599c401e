#include "tests/instruments/modules/place.hpp"

#include <cstdlib>
#include <stdexcept>

namespace qscd::instruments {

PrivateFolder::PrivateFolder(const std::string& name) {
    std::string pattern = (std::filesystem::temp_directory_path() / ("qscd-" + name + "-XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp " + pattern};
    path_ = pattern;
}

PrivateFolder::~PrivateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

ModulePlace::ModulePlace(const policy::ModuleEntry& entry, std::string label)
    : folder_(entry.name), label_(std::move(label)) {
    auto start = entry.start_in(folder_.path());
    settings_ = {std::move(start.library), std::move(start.reserved), std::move(start.environment),
                 std::move(start.durable_folder)};
}

Result<void> ModulePlace::make_token(hsm::Module& module) const {
    return module.initialise_token(label_, so_pin(), pin());
}

}  // namespace qscd::instruments
