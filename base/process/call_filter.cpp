#include "base/process/call_filter.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/process/call_table.hpp"
#include "base/process/confinement.hpp"

namespace qscd::process {
namespace {

struct Release {
    void operator()(void* filter) const noexcept { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

std::uint32_t action_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::allow: return SCMP_ACT_ALLOW;
        case Verdict::absent: return SCMP_ACT_ERRNO(ENOSYS);
        case Verdict::nothing: return SCMP_ACT_ERRNO(0);
        case Verdict::mark: return SCMP_ACT_ERRNO(mark_error);
        case Verdict::end: return SCMP_ACT_KILL_PROCESS;
    }
    return SCMP_ACT_KILL_PROCESS;
}

Error refused(int error) {
    return {Errc::configuration, std::string{"the kernel takes no system call filter: "} + std::strerror(-error)};
}

Result<void> add(void* filter, const CallRow& row) {
    std::array<scmp_arg_cmp, 2> conditions{};
    unsigned count = 0;
    for (const auto& each : {row.first, row.second}) {
        if (each.mask == 0) continue;
        const auto value = each.value == own_process ? static_cast<std::uint64_t>(::getpid()) : each.value;
        conditions.at(count++) = {each.argument, SCMP_CMP_MASKED_EQ, each.mask, value};
    }
    if (const int error = seccomp_rule_add_array(filter, action_of(row.verdict), row.call, count, conditions.data());
        error != 0)
        return refused(error);
    return success();
}

template <std::size_t Count>
Result<void> add(void* filter, const CallRow (&rows)[Count]) {
    for (const auto& row : rows) {
        QSCD_TRY(add(filter, row));
    }
    return success();
}

}  // namespace

Result<void> filter_calls(const CallFilterSettings& settings) {
    if (instrumented) return success();
    const Filter filter{seccomp_init(SCMP_ACT_ERRNO(EPERM))};
    if (!filter) return refused(-ENOMEM);
    struct Attribute {
        scmp_filter_attr name;
        std::uint32_t value;
    };
    constexpr std::array attributes{
        Attribute{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},  // calls of another architecture are no way around
        Attribute{SCMP_FLTATR_CTL_TSYNC, 1},                        // all threads
        Attribute{SCMP_FLTATR_CTL_OPTIMIZE, 2},                     // a search tree instead of a list
    };
    for (const auto& [name, value] : attributes)
        if (const int error = seccomp_attr_set(filter.get(), name, value); error != 0) return refused(error);
    QSCD_TRY(add(filter.get(), call_rows));
    if (confinement().memory_locked) {
        QSCD_TRY(add(filter.get(), locked_rows));
    } else {
        QSCD_TRY(add(filter.get(), unlocked_rows));
    }
    if (settings.dials_store) {
        QSCD_TRY(add(filter.get(), dialling_rows));
    }
    if (const int error = seccomp_load(filter.get()); error != 0) return refused(error);
    return success();
}

bool is_filtered() { return ::syscall(SYS_getsid, 0) == -1 && errno == mark_error; }

}  // namespace qscd::process
