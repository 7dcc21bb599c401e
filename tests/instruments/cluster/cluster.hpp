// A PostgreSQL server of a test's own: fresh, on a Unix-domain socket unless told otherwise, gone at the end, also when the test dies.
// Passwords count (SCRAM), but for its superuser "admin". As root it runs as "nobody": PostgreSQL refuses root.
// Thread rules: one thread, the one that made it: the server ends with that thread.
#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/store/database.hpp"

namespace qscd::instruments {

class Cluster {
public:
    // Made and started. `settings` beside the usual ones, such as "fsync=off". Throws std::runtime_error.
    explicit Cluster(std::vector<std::string> settings = {});
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    static bool installed();

    void start();                                          // ready when it returns
    void start(const std::vector<std::string>& settings);  // other ones from now on
    enum class Stop { fast, immediate };                   // tells its clients, or just ends as in a crash
    void stop(Stop how = Stop::fast);

    // A file that the server reads, such as its TLS key.
    std::filesystem::path put(const std::string& name, std::string_view content) const;

    const std::filesystem::path& socket_folder() const { return sockets_; }
    // postgresql://[role@]<socket>/qscd[?schema=…]
    std::string url(std::string_view role = {}, std::string_view schema = {}) const;
    store::Server server(std::string_view role, std::string_view schema = {}) const;
    // The superuser's connection, and one statement of his; what it returns, row by row, as text.
    std::unique_ptr<store::Database> admin() const;
    std::vector<store::Row> ask(std::string_view sql) const;

    std::filesystem::path log_file() const { return top_ / "server.log"; }  // every statement stands there
    std::filesystem::path tables() const { return data_ / "base"; }         // folder of what is stored
    std::string log() const;

    pid_t follow() const;  // starts a client that streams what is committed, as a standby does

    // A role with its schema of the same name, and where a daemon with them finds its store.
    store::Location room_for(const std::string& name) const;

private:
    std::filesystem::path top_, data_, sockets_;
    std::vector<std::string> settings_;
    pid_t postmaster_ = 0;
};

}  // namespace qscd::instruments
