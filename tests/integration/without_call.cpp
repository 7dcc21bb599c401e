// Runs a program in a world that lacks one system call, as an older kernel or a container would: it fails with EPERM, for
// the program and all that it starts. Root's: without no_new_privs, which the program must be able to set itself.
//     qscd_without_call CALL FIRST-ARGUMENT|any PROGRAM [ARGUMENT]…
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <seccomp.h>
#include <string_view>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    const int call = seccomp_syscall_resolve_name(argv[1]);
    const bool any = std::string_view{argv[2]} == "any";
    const scmp_arg_cmp first{0, SCMP_CMP_MASKED_EQ, 0xffffffff, any ? 0 : std::strtoull(argv[2], nullptr, 10)};
    auto* const filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr || seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) != 0 ||
        seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, any ? 0 : 1, &first) != 0 ||
        seccomp_load(filter) != 0)
        return 3;
    ::execv(argv[3], argv + 3);
    std::perror(argv[3]);
    return 127;
}
