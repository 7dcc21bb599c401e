#include "qscd/supervisor/ownership.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::supervisor {
namespace {

namespace fs = std::filesystem;

// Below these, each daemon has a folder of its name.
constexpr std::array<std::string_view, 2> folders_of_each{"db", "tokens"};

struct FolderRow {
    std::string_view path, daemon;
};
constexpr std::array folders_of_one{FolderRow{"outbox", "notifierd"}};

// Files of one daemon, where they exist; the PINs of the signers' tokens are added as the deployment names them.
struct FileRow {
    std::string path;
    std::string_view daemon;
};
std::vector<FileRow> files_of_one(const policy::Deployment& deployment) {
    const auto pin = [](std::string_view token) { return "secrets/" + std::string{token} + ".pin"; };
    std::vector<FileRow> out{{"tls/gateway.key", "gatewayd"},
                             {"tls/gateway.key.pem", "gatewayd"},
                             {pin(policy::sam_token), "samd"},
                             {pin(policy::ra_token), "rad"},
                             {pin(policy::ca_token), "cad"}};
    for (const auto* daemon : policy::daemons_with_stores)
        out.push_back({policy::Deployment::store_secret(daemon), daemon});
    for (const auto& shard : deployment.shards) out.push_back({pin(shard.token), "samd"});
    return out;
}

// Readable by all daemons, with what lies below; private keys excepted.
constexpr std::array<std::string_view, 6> read_by_all{"qscd.toml", "policy",          "modules",
                                                      "pki",       "tls/gateway.pem", "tls/ca.pem"};
constexpr std::array<std::string_view, 2> private_key_endings{".key", ".key.pem"};

// Passed through on the way to one's own, not listed.
constexpr std::array<std::string_view, 5> passages{"db", "tokens", "log", "secrets", "tls"};

constexpr mode_t private_folder = 0700, private_file = 0600, passage = 0711;
constexpr mode_t all_read = 0444, all_enter = 0555;

Error failed(const fs::path& path, std::string_view what = {}) {
    return {Errc::configuration, path.string() + ": " + (what.empty() ? std::strerror(errno) : std::string{what})};
}

struct Found {
    int descriptor;
    struct stat state;
    const fs::path& path;
    bool folder() const { return S_ISDIR(state.st_mode); }
};
using Visit = std::function<Result<void>(const Found&)>;

// The file or tree at `path`, without following a symbolic link anywhere below `at`. What is not a file or a folder, or
// vanishes meanwhile (a database's -wal file), is passed over.
Result<void> walk(int at, const std::string& name, const fs::path& path, const Visit& visit) {
    const Descriptor file{::openat(at, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (!file && (errno == ENOENT || errno == ENXIO)) return success();
    if (!file && errno == ELOOP) return failed(path, "a symbolic link cannot stand here");
    if (!file) return failed(path);
    Found found{file.get(), {}, path};
    if (::fstat(file.get(), &found.state) != 0) return failed(path);
    if (!found.folder() && !S_ISREG(found.state.st_mode)) return success();
    QSCD_TRY(visit(found));
    if (!found.folder()) return success();
    const std::unique_ptr<DIR, int (*)(DIR*)> listing{::fdopendir(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0)), ::closedir};
    if (!listing) return failed(path);
    while (const auto* entry = ::readdir(listing.get())) {
        const std::string below{entry->d_name};
        if (below == "." || below == "..") continue;
        QSCD_TRY(walk(file.get(), below, path / below, visit));
    }
    return success();
}

Result<void> walk(const fs::path& path, const Visit& visit) { return walk(AT_FDCWD, path.string(), path, visit); }

Result<void> create_folder(const fs::path& path) {
    if (::mkdir(path.c_str(), private_folder) != 0 && errno != EEXIST) return failed(path);
    return success();
}

Result<void> create_file(const fs::path& path) {
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, private_file)};
    if (!file) return failed(path);
    return success();
}

Result<void> set_mode(const Found& found, mode_t mode) {
    if ((found.state.st_mode & 07777) != mode && ::fchmod(found.descriptor, mode) != 0) return failed(found.path);
    return success();
}

Result<void> set_owner(const Found& found, unsigned user) {
    if (found.state.st_uid == user && found.state.st_gid == user) return success();
    if (!found.folder() && found.state.st_nlink > 1)
        return failed(found.path, "a file with a second name cannot stand here");
    if (::fchown(found.descriptor, user, user) != 0) return failed(found.path);
    return success();
}

bool is_private_key(const fs::path& path) {
    const auto name = path.filename().string();
    return std::ranges::any_of(private_key_endings, [&](auto ending) { return name.ends_with(ending); });
}

Result<void> open_to_all(const Found& found) {
    if (is_private_key(found.path)) return success();
    const mode_t now = found.state.st_mode & 07777;
    return set_mode(found, now | (found.folder() ? all_enter : all_read));
}

class Settlement {
public:
    Settlement(const policy::Deployment& deployment, std::span<const std::string_view> daemons,
               const Separation& separation)
        : deployment_(deployment), daemons_(daemons), separation_(separation) {}

    Result<void> create() const {
        for (const auto folder : passages) {
            if (folder == "secrets" || folder == "tls") continue;  // not ours to invent
            QSCD_TRY(create_folder(in(folder)));
        }
        for (const auto daemon : daemons_) {
            for (const auto folder : folders_of_each) {
                QSCD_TRY(create_folder(in(folder) / daemon));
            }
            QSCD_TRY(create_file(log_of(daemon)));
        }
        for (const auto& row : folders_of_one) {
            if (user_of(row.daemon).listed) {
                QSCD_TRY(create_folder(in(row.path)));
            }
        }
        return walk(in("secrets"), [](const Found& found) -> Result<void> {
            return found.folder() ? success() : set_mode(found, private_file);
        });
    }

    Result<void> hand_over() const {
        for (const auto daemon : daemons_) {
            for (const auto folder : folders_of_each) {
                QSCD_TRY(give(in(folder) / daemon, daemon));
            }
            QSCD_TRY(give(log_of(daemon), daemon));
        }
        for (const auto& row : folders_of_one) {
            QSCD_TRY(give(in(row.path), row.daemon));
        }
        for (const auto& row : files_of_one(deployment_)) {
            QSCD_TRY(give(in(row.path), row.daemon));
        }
        return success();
    }

    Result<void> open_what_all_read() const {
        for (const auto folder : passages) {
            QSCD_TRY(walk_one(in(folder), [](const Found& found) { return set_mode(found, passage); }));
        }
        for (const auto path : read_by_all) {
            QSCD_TRY(walk(in(path), open_to_all));
        }
        return success();
    }

private:
    struct User {
        bool listed;
        std::optional<unsigned> id;
    };
    User user_of(std::string_view daemon) const {
        const auto found = std::ranges::find(daemons_, daemon);
        if (found == daemons_.end()) return {false, std::nullopt};
        return {true, separation_.user_of(static_cast<std::size_t>(found - daemons_.begin()))};
    }
    fs::path in(std::string_view path) const { return deployment_.folder / path; }
    fs::path log_of(std::string_view daemon) const { return in("log") / (std::string{daemon} + ".log"); }

    // The top is closed to all others; what lies in a private folder keeps its modes.
    Result<void> give(const fs::path& top, std::string_view daemon) const {
        const auto user = user_of(daemon).id;
        if (!user) return success();
        return walk(top, [&](const Found& found) -> Result<void> {
            QSCD_TRY(set_owner(found, *user));
            if (found.path != top) return success();
            return set_mode(found, found.folder() ? private_folder : private_file);
        });
    }
    static Result<void> walk_one(const fs::path& path, const Visit& visit) {
        const Descriptor folder{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC)};
        if (!folder && errno == ENOENT) return success();
        Found found{folder.get(), {}, path};
        if (!folder || ::fstat(folder.get(), &found.state) != 0) return failed(path);
        return visit(found);
    }

    const policy::Deployment& deployment_;
    std::span<const std::string_view> daemons_;
    const Separation& separation_;
};

}  // namespace

Result<void> settle_ownership(const policy::Deployment& deployment, std::span<const std::string_view> daemons,
                              const Separation& separation) {
    const Settlement settlement{deployment, daemons, separation};
    QSCD_TRY(settlement.create());
    if (!separation.on) return success();
    QSCD_TRY(settlement.hand_over());
    return settlement.open_what_all_read();
}

}  // namespace qscd::supervisor
