// The operational log of a daemon: one JSON object a line on standard error, which the supervisor keeps in log/. It is
// for operators; evidence goes to the audit log (base/log). A line that a
// request causes names it (request_id.hpp). Secrets have no formatter, so they cannot be written here.
// Thread rules: safe from every thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace qscd {

enum class Level { info, warning, alarm };

using Field = std::pair<std::string_view, std::string>;

// Names the process in each line. Call once, first thing in main.
void start_diagnostics(std::string_view process);

void note(Level level, std::string_view event, std::initializer_list<Field> fields = {});
inline void note(std::string_view event, std::initializer_list<Field> fields = {}) { note(Level::info, event, fields); }

}  // namespace qscd
