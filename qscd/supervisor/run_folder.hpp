// The folder run/ of a deployment: the lock that keeps a second supervisor out, and the socket where the owner's
// commands find the first. Mode 0700, so it is the owner's alone. Thread rules: values, no shared state.
#pragma once

#include <sys/un.h>

#include "base/file.hpp"

namespace qscd::supervisor {

class RunFolder {
public:
    // Errc::service_away when there is none.
    static Result<RunFolder> open(const std::filesystem::path& deployment);
    static Result<RunFolder> open_or_create(const std::filesystem::path& deployment);

    // Held until the descriptor is closed. Errc::out_of_order when another supervisor holds it.
    Result<Descriptor> lock() const;
    // Through this folder's descriptor: a socket address holds 107 bytes, a deployment's path may be longer.
    sockaddr_un socket_address() const;
    int get() const { return folder_.get(); }

    static constexpr const char* socket_name = "qscd.sock";

private:
    RunFolder(std::filesystem::path path, Descriptor folder) : path_(std::move(path)), folder_(std::move(folder)) {}
    std::filesystem::path path_;
    Descriptor folder_;
};

}  // namespace qscd::supervisor
