// tpm2-pkcs11 over swtpm: a TPM in a process of its own, on two neighbouring ports, and before it a resource manager on a
// message bus of its own. Without one the TPM is full after the first key that was destroyed: the module never flushes it.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.hpp"
#include "tests/instruments/modules/place.hpp"
#include "tests/instruments/modules/program.hpp"

namespace qscd::instruments {
namespace {

constexpr int attempts = 20;  // to find two free ports side by side

::sockaddr_in loopback(std::uint16_t port) {
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

// A port that was free a moment ago, with its neighbour; 0 when it had none.
std::uint16_t free_ports() {
    const auto bound = [](std::uint16_t port) {
        Descriptor out{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        const auto address = loopback(port);
        if (::bind(out.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address) != 0) return Descriptor{};
        return out;
    };
    const auto first = bound(0);
    ::sockaddr_in address{};
    ::socklen_t size = sizeof address;
    if (!first || ::getsockname(first.get(), reinterpret_cast<::sockaddr*>(&address), &size) != 0) return 0;
    const auto port = ntohs(address.sin_port);
    return port < 65535 && bound(static_cast<std::uint16_t>(port + 1)) ? port : std::uint16_t{0};
}

bool answers(std::uint16_t port) {
    const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto address = loopback(port);
    return ::connect(socket.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address) == 0;
}

class Tpm2 : public ModulePlace {
public:
    explicit Tpm2(const policy::ModuleEntry& entry) : ModulePlace(entry, "qscd-test") {}

    Result<void> start() {
        for (const auto* each : {"tpm", "store"}) std::filesystem::create_directory(folder_ / each);
        QSCD_TRY(const auto port, start_tpm());
        const auto socket = folder_ / "bus", log = folder_ / "manager.log";
        bus_.emplace(std::vector<std::string>{"dbus-daemon", "--session", "--nofork", "--nopidfile",
                                              "--address=unix:path=" + socket.string()},
                     folder_ / "bus.log");
        if (!eventually([&] { return std::filesystem::exists(socket) || bus_->ended(); }) || bus_->ended())
            return Error{Errc::not_supported, "dbus-daemon does not run (package dbus-daemon)"};
        settings_.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=" + socket.string();
        settings_.environment["TPM2_PKCS11_TCTI"] = "tabrmd:bus_type=session";
        settings_.environment["TSS2_LOG"] = "all+none";
        manager_.emplace(std::vector<std::string>{"tpm2-abrmd", "--allow-root", "--session", "--max-transients=100",
                                                  "--tcti=swtpm:host=127.0.0.1,port=" + std::to_string(port)},
                         log,
                         Environment{{"DBUS_SESSION_BUS_ADDRESS", "unix:path=" + socket.string()},
                                     {"G_MESSAGES_DEBUG", "all"}});  // else it does not say when it is ready
        if (!eventually(
                [&] { return said_in(log).find("on_name_acquired") != std::string::npos || manager_->ended(); }) ||
            manager_->ended())
            return Error{Errc::not_supported, "tpm2-abrmd does not run (package tpm2-abrmd)"};
        return success();
    }

private:
    Result<std::uint16_t> start_tpm() {
        for (int i = 0; i < attempts; ++i) {
            const auto port = free_ports();
            if (port == 0) continue;
            const auto on = [](int number) { return "type=tcp,port=" + std::to_string(number); };
            tpm_.emplace(std::vector<std::string>{"swtpm", "socket", "--tpm2", "--tpmstate",
                                                  "dir=" + (folder_ / "tpm").string(), "--server", on(port), "--ctrl",
                                                  on(port + 1), "--flags", "not-need-init,startup-clear"},
                         folder_ / "swtpm.log");
            // Somebody else may have taken a port meanwhile: then it ends, and the next pair is tried.
            if (eventually([&] { return tpm_->ended() || answers(port); }) && !tpm_->ended()) return port;
        }
        return Error{Errc::not_supported, "swtpm does not run (package swtpm): " + said_in(folder_ / "swtpm.log")};
    }

    std::optional<Running> tpm_, bus_, manager_;
};

}  // namespace

Result<std::unique_ptr<ModulePlace>> set_up_tpm2(const policy::ModuleEntry& entry) {
    if (!std::filesystem::exists(entry.library))
        return Error{Errc::not_supported, entry.library + " is not there (package libtpm2-pkcs11-1)"};
    auto place = std::make_unique<Tpm2>(entry);
    QSCD_TRY(place->start());
    return place;
}

}  // namespace qscd::instruments
