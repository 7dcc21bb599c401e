// Instants at which a test may have this process killed: just before and after what a commit decides. In release
// binaries nothing; in the qscd-*-test daemons and the unit tests the process gets SIGKILL at the n-th passage when the
// file that QSCD_TEST_CRASH_FILE names says "name:n". One shot: the file is removed first. tests/crash lists all names.
// Thread rules: safe from every thread.
#pragma once

#include <string_view>

namespace qscd {

void crash_point(std::string_view name) noexcept;

}  // namespace qscd
