// NSS softokn: a key database in a folder, named by the string that C_Initialize is given.
#include "base/file.hpp"
#include "tests/instruments/modules/place.hpp"
#include "tests/instruments/modules/program.hpp"

namespace qscd::instruments {
namespace {

class NssSoftokn : public ModulePlace {
public:
    explicit NssSoftokn(const policy::ModuleEntry& entry)
        : ModulePlace(entry, "NSS Certificate DB") {}  // the label is the module's choice

    Result<void> start() {
        std::filesystem::create_directory(folder_ / "db");
        const auto database = "sql:" + (folder_ / "db").string(), pin_file = (folder_ / "pin").string();
        QSCD_TRY(write_file(pin_file, text_of(pin().reveal()), 0600));
        return run({"certutil", "-N", "-d", database, "-f", pin_file}, folder_ / "certutil.log");
    }
    Result<void> make_token(hsm::Module&) const override { return success(); }
};

}  // namespace

Result<std::unique_ptr<ModulePlace>> set_up_nss_softokn(const policy::ModuleEntry& entry) {
    if (!std::filesystem::exists(entry.library))
        return Error{Errc::not_supported, entry.library + " is not there (package libnss3)"};
    auto place = std::make_unique<NssSoftokn>(entry);
    QSCD_TRY(place->start());
    return place;
}

}  // namespace qscd::instruments
