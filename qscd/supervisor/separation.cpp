#include "qscd/supervisor/separation.hpp"

#include <array>
#include <cerrno>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace qscd::supervisor {
namespace {

enum Finding : int { reachable, no_such_user, no_binary, no_folder, no_answer };
constexpr std::array<std::string_view, 5> finding_texts{
    "", "cannot become user ", "the daemon's binary is out of reach of user ",
    "the deployment's folder is out of reach of user ", "no answer from a trial as user "};

// In a process of its own: there is no way back from a dropped user.
Finding try_as(long user, const char* binary, const char* folder) {
    const auto pid = ::fork();
    if (pid == 0) {
        if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, user, user, user) != 0 ||
            ::syscall(SYS_setresuid, user, user, user) != 0)
            ::_exit(no_such_user);
        if (::access(binary, R_OK | X_OK) != 0) ::_exit(no_binary);
        ::_exit(::access(folder, X_OK) == 0 ? reachable : no_folder);
    }
    int status = 0;
    while (pid > 0 && ::waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return no_answer;
    if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > no_answer) return no_answer;
    return static_cast<Finding>(WEXITSTATUS(status));
}

}  // namespace

Separation decide_separation(const policy::Deployment& deployment, std::span<const std::filesystem::path> binaries) {
    if (!deployment.own_users) return {false, "own_users is false in qscd.toml"};
    if (::geteuid() != 0) return {false, "not started as root"};
    struct stat before{};
    if (::stat(deployment.folder.c_str(), &before) != 0 || ::chmod(deployment.folder.c_str(), 0755) != 0)
        return {false, "the deployment's folder cannot be opened to the daemons"};
    for (std::size_t i = 0; i < binaries.size(); ++i) {
        const auto user = deployment.first_user + i;
        const auto found = try_as(static_cast<long>(user), binaries[i].c_str(), deployment.folder.c_str());
        if (found == reachable) continue;
        ::chmod(deployment.folder.c_str(), before.st_mode & 07777);
        return {false, std::string{finding_texts[static_cast<std::size_t>(found)]} + std::to_string(user) + " (" +
                           (found == no_folder ? deployment.folder : binaries[i]).string() + ")"};
    }
    return {true, {}, deployment.first_user};
}

}  // namespace qscd::supervisor
