// A daemon that does nothing but show how it is connected: installed under the names of a deployment's daemons. A Notify
// `to` another daemon is passed on over the link to it; one to nobody is answered with who asked whom and what, or, for
// the texts "environment" and "descriptors", with what this process was given. Files in the deployment change it:
// fail-NAME holds the reason why NAME does not start and never will, away-NAME why it does not start yet, stubborn-NAME
// makes NAME not stop.
#include <dirent.h>
#include <map>
#include <memory>
#include <mutex>
#include <unistd.h>

#include "base/process/daemon.hpp"
#include "protocol/channel.hpp"
#include "protocol/services.pb.h"

extern char** environ;

namespace {

using namespace qscd;

std::string name_from(const char* binary) {
    auto name = std::filesystem::path{binary}.filename().string().substr(sizeof "qscd");
    if (name.ends_with("-test")) name.resize(name.size() - 5);
    return name;
}

std::string environment() {
    std::string out;
    for (char** each = environ; *each != nullptr; ++each) out += std::string{*each} + ";";
    return out;
}

std::string descriptors() {
    std::string out;
    const std::unique_ptr<DIR, int (*)(DIR*)> listing{::opendir("/proc/self/fd"), ::closedir};
    while (const auto* entry = ::readdir(listing.get())) {
        std::array<char, 256> target{};
        const auto link = "/proc/self/fd/" + std::string{entry->d_name};
        if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0) out += std::string{target.data()} + ";";
    }
    return out;
}

class EchoDaemon : public process::Daemon {
public:
    EchoDaemon(std::string name, std::filesystem::path deployment)
        : name_(std::move(name)),
          deployment_(std::move(deployment)),
          server_([this](const std::string& role, ByteView bytes, const protocol::Responder& responder) {
              responder.finish(answer(role, bytes));
          }) {}

    void connection(process::Connection connection) override {
        if (!connection.we_ask) return server_.serve(std::move(connection.socket), connection.peer);
        const std::lock_guard guard{lock_};
        auto& peer = peers_[connection.peer];
        if (!peer) peer = std::make_unique<protocol::Client>(connection.peer);
        peer->connect(std::move(connection.socket));
    }
    void stop() override {
        while (std::filesystem::exists(deployment_ / ("stubborn-" + name_))) ::pause();
        server_.stop();
    }

private:
    Result<pb::ServiceHealthReport> answer(const std::string& role, ByteView bytes) {
        QSCD_TRY(auto request, protocol::decode<pb::Notify>(bytes));
        pb::ServiceHealthReport report;
        if (request.to().empty()) {
            report.set_detail(request.text() == "environment"   ? environment()
                              : request.text() == "descriptors" ? descriptors()
                                                                : name_ + " hears " + role + ": " + request.text());
            return report;
        }
        protocol::Client* peer = nullptr;
        {
            const std::lock_guard guard{lock_};
            peer = peers_[request.to()].get();
        }
        if (peer == nullptr) return Error{Errc::access_denied, "no link to " + request.to()};
        request.clear_to();
        return peer->call<pb::ServiceHealthReport>(request);
    }

    std::string name_;
    std::filesystem::path deployment_;
    std::mutex lock_;
    std::map<std::string, std::unique_ptr<protocol::Client>> peers_;
    protocol::Server server_;
};

}  // namespace

int main(int argc, char** argv) {
    const auto name = name_from(argv[0]);
    return process::run("qscd-" + name, argc, argv,
                        [&](const std::filesystem::path& deployment) -> Result<std::unique_ptr<process::Daemon>> {
                            const auto reason = read_file(deployment / ("fail-" + name));
                            if (reason) return Error{Errc::configuration, reason.value()};
                            const auto absence = read_file(deployment / ("away-" + name));
                            if (absence) return Error{Errc::store_away, absence.value()};
                            return std::unique_ptr<process::Daemon>{new EchoDaemon{name, deployment}};
                        });
}
