// The frame of every daemon: hardening, signals, and the control socket inherited from the supervisor, over which its
// connections to other daemons arrive. A daemon opens no door itself [SAM-22].
// Thread rules: run() owns the main thread; connection() is called there, health() too.
#pragma once

#include <functional>
#include <memory>

#include "base/file.hpp"
#include "base/process/confinement.hpp"

namespace qscd::process {

// Our end of a new link: either we ask `peer` (client), or `peer` asks us (server).
struct Connection {
    bool we_ask;
    std::string peer;  // the other daemon's name, or "bootstrap" for the local owner's command
    Descriptor socket;
};

class Daemon {
public:
    virtual ~Daemon() = default;
    virtual void connection(Connection connection) = 0;
    virtual void stop() = 0;  // finish what runs, refuse what comes
};

// Runs until SIGTERM, SIGINT or the end of the supervisor. `start` gets the deployment's directory (--deployment DIR) and
// builds the daemon; its error ends the process with one line of diagnostics and exit code 1, or stay_down for
// Errc::configuration. Exit code 0 for a clean stop.
int run(std::string_view name, int argc, char** argv,
        const std::function<Result<std::unique_ptr<Daemon>>(const std::filesystem::path&)>& start);

// Exit code by which a daemon says that a start by itself would do harm: the supervisor leaves it down and alarms.
inline constexpr int stay_down = 3;

// The environment variable that names the inherited control socket.
inline constexpr const char* control_variable = "QSCD_CONTROL_FD";
int control_descriptor();  // its number; -1 when there is none

// One message on the control socket, with a descriptor at most. Sequenced packets: a message is whole or absent.
struct ControlMessage {
    std::string text;  // supervisor: "ask PEER", "serve PEER"; daemon: "ready"
    Descriptor descriptor = {};
};
Result<void> send_control(int socket, std::string_view text, int descriptor = -1);
Result<ControlMessage> receive_control(int socket);  // Errc::service_away when the other end is gone

}  // namespace qscd::process
