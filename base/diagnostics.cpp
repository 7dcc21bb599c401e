#include "base/diagnostics.hpp"

#include <array>
#include <memory>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/request_id.hpp"

namespace qscd {
namespace {

std::string process_name = "qscd";

std::string quoted(std::string_view text) {
    std::string out{'"'};
    for (const char c : text) {
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20) out += ' ';
        else out += c;
    }
    return out += '"';
}

}  // namespace

void start_diagnostics(std::string_view process) {
    process_name = process;
    auto logger = spdlog::stderr_logger_mt("qscd");
    logger->set_pattern("{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",%v}", spdlog::pattern_time_type::utc);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

void note(Level level, std::string_view event, std::initializer_list<Field> fields) {
    constexpr std::array<std::string_view, 3> levels{"info", "warning", "alarm"};
    std::string line = "\"process\":" + quoted(process_name) +
                       ",\"level\":" + quoted(levels[static_cast<std::size_t>(level)]) + ",\"event\":" + quoted(event);
    if (const auto request = current_request()) line += ",\"request_id\":" + quoted(request->hex());
    for (const auto& [name, value] : fields) line += "," + quoted(name) + ":" + quoted(value);
    spdlog::info("{}", line);
}

}  // namespace qscd
