// p11-kit remoting: SoftHSM2 in a server process of p11-kit, and p11-kit's client library on this side of a socket.
#include "tests/instruments/modules/modules.hpp"
#include "tests/instruments/modules/program.hpp"

namespace qscd::instruments {
namespace {

class P11Kit : public ModulePlace {
public:
    explicit P11Kit(const policy::ModuleEntry& entry) : ModulePlace(entry, "qscd-test") {}

    Result<void> start(const policy::ModuleEntry& behind) {
        const Environment environment{{"SOFTHSM2_CONF", softhsm2_configuration(folder_).string()}};
        const auto socket = folder_ / "socket", log = folder_ / "server.log";
        server_.emplace(std::vector<std::string>{"p11-kit", "server", "--foreground", "--provider", behind.library,
                                                 "--name", socket.string(), "pkcs11:"},
                        log, environment);
        if (!eventually([&] { return std::filesystem::exists(socket) || server_->ended(); }) || server_->ended())
            return Error{Errc::not_supported, "p11-kit server does not run (package p11-kit)"};
        return success();
    }

private:
    std::optional<Running> server_;
};

}  // namespace

Result<std::unique_ptr<ModulePlace>> set_up_p11_kit(const policy::ModuleEntry& entry) {
    if (!std::filesystem::exists(entry.library))
        return Error{Errc::not_supported, entry.library + " is not there (package p11-kit-modules)"};
    QSCD_TRY(const auto behind, entry_of(test_modules().front()));
    auto place = std::make_unique<P11Kit>(entry);
    QSCD_TRY(place->start(behind));
    return place;
}

}  // namespace qscd::instruments
