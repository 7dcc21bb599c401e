// The local owner's connection to a daemon of a running deployment, and its requests in our words.
#pragma once

#include "policy/deployment.hpp"
#include "protocol/channel.hpp"
#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

class Local {
public:
    static Result<Local> open(const Options& options);
    const policy::Deployment& deployment() const { return deployment_; }
    // A fresh connection under the role "bootstrap".
    Result<std::unique_ptr<protocol::Client>> daemon(std::string_view name) const;

    template <class Reply>
    Result<Reply> ask(std::string_view name, const google::protobuf::Message& request,
                      std::chrono::milliseconds timeout = std::chrono::seconds{60}) const {
        QSCD_TRY(auto client, daemon(name));
        return client->template call<Reply>(request, timeout);
    }

private:
    explicit Local(policy::Deployment deployment) : deployment_(std::move(deployment)) {}
    policy::Deployment deployment_;
};

}  // namespace qscd::cli
