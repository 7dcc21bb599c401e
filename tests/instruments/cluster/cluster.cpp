#include "tests/instruments/cluster/cluster.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/file.hpp"
#include "base/random.hpp"
#include "base/store/provision.hpp"

namespace qscd::instruments {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds patience{30};
constexpr std::chrono::milliseconds between_looks{10};
constexpr std::array usual_settings{
    "shared_buffers=16MB",   "max_connections=60", "listen_addresses=", "log_min_messages=warning",
    "autovacuum_naptime=1h", "wal_level=replica",  "max_wal_size=64MB", "fsync=on",
    "log_statement=all"};

// The newest server that the distribution installed.
fs::path binaries() {
    std::vector<fs::path> found;
    std::error_code none;
    for (const auto& each : fs::directory_iterator{"/usr/lib/postgresql", none})
        if (fs::exists(each.path() / "bin" / "postgres")) found.push_back(each.path() / "bin");
    return found.empty() ? fs::path{} : *std::ranges::max_element(found);
}

[[noreturn]] void become(const std::vector<std::string>& words, const fs::path& log) {
    if (::geteuid() == 0) {
        const auto* nobody = ::getpwnam("nobody");
        if (nobody == nullptr || ::setgroups(0, nullptr) != 0 || ::setgid(nobody->pw_gid) != 0 ||
            ::setuid(nobody->pw_uid) != 0)
            std::_Exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // after the change of user, which forgets it
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, 1), ::dup2(out, 2);
    ::setsid();
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::array<char*, 3> environment{const_cast<char*>("LC_ALL=C"), const_cast<char*>("PATH=/usr/bin:/bin"), nullptr};
    ::execve(arguments.front(), arguments.data(), environment.data());
    std::_Exit(127);
}

pid_t launch(const std::vector<std::string>& words, const fs::path& log) {
    const auto child = ::fork();
    if (child < 0) throw std::runtime_error{"fork"};
    if (child == 0) become(words, log);
    return child;
}

void give_away(const fs::path& path) {
    if (::geteuid() != 0) return;
    const auto* nobody = ::getpwnam("nobody");
    if (nobody == nullptr || ::chown(path.c_str(), nobody->pw_uid, nobody->pw_gid) != 0)
        throw std::runtime_error{"chown " + path.string()};
}

template <class Value>
Value good(Result<Value> result) {
    if (!result) throw std::runtime_error{describe(result.error())};
    return std::move(result).value();
}

}  // namespace

bool Cluster::installed() { return !binaries().empty(); }

Cluster::Cluster(std::vector<std::string> settings) : settings_(std::move(settings)) {
    if (!installed()) throw std::runtime_error{"no PostgreSQL server is installed (package postgresql)"};
    std::string pattern = (fs::temp_directory_path() / "qscd-pg-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
    top_ = pattern;
    data_ = top_ / "data", sockets_ = top_ / "s";
    fs::create_directories(sockets_);
    fs::permissions(top_, fs::perms{0755});
    for (const auto& each : {top_, sockets_}) give_away(each);
    fs::permissions(sockets_, fs::perms{0755});

    const auto made = launch({(binaries() / "initdb").string(), "-D", data_.string(), "-U", "admin", "-A", "trust",
                              "--no-sync", "-E", "UTF8", "--locale=C"},
                             top_ / "initdb.log");
    int status = 0;
    if (::waitpid(made, &status, 0) != made || status != 0)
        throw std::runtime_error{"initdb: " + good(read_file(top_ / "initdb.log"))};
    if (!write_file(data_ / "pg_hba.conf",
                    "local all admin trust\nlocal all all scram-sha-256\nhostssl all all 127.0.0.0/8 "
                    "scram-sha-256\nlocal replication admin trust\n"))
        throw std::runtime_error{"pg_hba.conf"};
    give_away(data_ / "pg_hba.conf");
    start();
    store::Server first{.host = sockets_.string(), .database = "postgres", .role = "admin"};
    good(good(store::Database::open(first))->execute("CREATE DATABASE qscd"));
    ask("REVOKE ALL ON DATABASE qscd FROM PUBLIC");
}

Cluster::~Cluster() {
    if (postmaster_ > 0) stop(Stop::immediate);
    std::error_code ignored;
    fs::remove_all(top_, ignored);
}

void Cluster::start() {
    std::vector<std::string> words{(binaries() / "postgres").string(), "-D", data_.string(), "-k", sockets_.string()};
    for (const auto* each : usual_settings) words.insert(words.end(), {"-c", each});
    for (const auto& each : settings_) words.insert(words.end(), {"-c", each});
    postmaster_ = launch(words, log_file());
    const auto end = std::chrono::steady_clock::now() + patience;
    const store::Server server{.host = sockets_.string(), .database = "postgres", .role = "admin"};
    while (!store::Database::open(server)) {
        if (::waitpid(postmaster_, nullptr, WNOHANG) == postmaster_ || std::chrono::steady_clock::now() > end)
            throw std::runtime_error{"postgres: " + good(read_file(top_ / "server.log"))};
        std::this_thread::sleep_for(between_looks);  // a server that starts tells nobody when it listens
    }
}

void Cluster::start(const std::vector<std::string>& settings) {
    settings_ = settings;
    start();
}

void Cluster::stop(Stop how) {
    ::kill(postmaster_, how == Stop::fast ? SIGINT : SIGQUIT);
    int status = 0;
    ::waitpid(postmaster_, &status, 0);
    postmaster_ = 0;
}

fs::path Cluster::put(const std::string& name, std::string_view content) const {
    const auto path = top_ / name;
    if (!write_file(path, content, 0600)) throw std::runtime_error{"cannot write " + path.string()};
    give_away(path);
    return path;
}

std::string Cluster::url(std::string_view role, std::string_view schema) const { return server(role, schema).text(); }

store::Server Cluster::server(std::string_view role, std::string_view schema) const {
    return {.host = sockets_.string(), .database = "qscd", .role = std::string{role}, .schema = std::string{schema}};
}

std::unique_ptr<store::Database> Cluster::admin() const { return good(store::Database::open(server("admin"))); }

std::vector<store::Row> Cluster::ask(std::string_view sql) const { return good(admin()->query(sql)); }

std::string Cluster::log() const { return good(read_file(log_file(), std::size_t{1} << 30)); }

pid_t Cluster::follow() const {
    fs::create_directories(top_ / "stream");
    give_away(top_ / "stream");
    return launch({(binaries() / "pg_receivewal").string(), "--no-loop", "-h", sockets_.string(), "-U", "admin", "-D",
                   (top_ / "stream").string()},
                  top_ / "stream.log");
}

store::Location Cluster::room_for(const std::string& name) const {
    auto out = server(name, name);
    auto password = std::make_shared<const SecretBytes>(to_hex(random_bytes(16)));
    const auto administrator = admin();
    if (const auto made = store::provision(*administrator, {{name, *password}}); !made)
        throw std::runtime_error{describe(made.error())};
    out.password = std::move(password);
    return out;
}

}  // namespace qscd::instruments
