#include "qscd/cli/local.hpp"

#include "qscd/supervisor/client.hpp"

namespace qscd::cli {

Result<Local> Local::open(const Options& options) {
    QSCD_TRY(auto deployment, policy::Deployment::load(options.deployment));
    return Local{std::move(deployment)};
}

Result<std::unique_ptr<protocol::Client>> Local::daemon(std::string_view name) const {
    QSCD_TRY(auto connection, supervisor::connect_to(deployment_, name));
    auto client = std::make_unique<protocol::Client>(std::string{name});
    client->connect(std::move(connection));
    return client;
}

}  // namespace qscd::cli
