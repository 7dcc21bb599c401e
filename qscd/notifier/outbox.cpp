#include "qscd/notifier/outbox.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::notifier {
namespace {

constexpr std::size_t longest_text = 1000, longest_address = 254;
constexpr std::array<std::string_view, 2> file_names{"sms.jsonl", "mail.jsonl"};

bool is_phone(std::string_view to) {
    return to.size() >= 9 && to.size() <= 16 && to[0] == '+' && to[1] != '0' &&
           std::ranges::all_of(to.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_address(std::string_view to) {
    const auto at = to.find('@');
    return to.size() <= longest_address && at != 0 && at != std::string_view::npos && at + 1 < to.size() &&
           to.find('@', at + 1) == std::string_view::npos &&
           std::ranges::all_of(to, [](char c) { return c > ' ' && c < 0x7f; });
}

Error invalid(const char* name) {
    return {Errc::parameter_invalid, "a message with a wrong " + std::string{name}, {"string", name}};
}

}  // namespace

Result<void> check(const Message& message) {
    if (message.channel == Channel::sms ? !is_phone(message.to) : !is_address(message.to)) return invalid("to");
    if (message.text.empty() || message.text.size() > longest_text || message.text.find('\0') != std::string::npos)
        return invalid("text");
    return success();
}

Result<void> Outbox::create_folder() {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    if (failed) return Error{Errc::store_away, "cannot create " + folder_.string() + ": " + failed.message()};
    return success();
}

Result<void> Outbox::put(const Message& message, TimePoint now) {
    QSCD_TRY(check(message));
    const auto line = boost::json::serialize(
                          boost::json::object{{"time", iso8601(now)}, {"to", message.to}, {"text", message.text}}) +
                      "\n";
    const std::lock_guard one{lock_};
    QSCD_TRY(create_folder());
    const auto path = folder_ / file_names[static_cast<std::size_t>(message.channel)];
    const auto failed = [&](std::string_view what) {
        return Error{Errc::store_away, std::string{what} + " " + path.string() + ": " + std::strerror(errno)};
    };
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file) return failed("open");
    const auto before = ::lseek(file.get(), 0, SEEK_END);
    const auto written = ::write(file.get(), line.data(), line.size());
    if (written == static_cast<ssize_t>(line.size())) return success();
    const auto error = failed("write");
    if (before >= 0 && ::ftruncate(file.get(), before) != 0) return failed("truncate");
    return error;
}

Result<void> Outbox::healthy() {
    const std::lock_guard one{lock_};
    QSCD_TRY(create_folder());
    if (::access(folder_.c_str(), W_OK) != 0) return Error{Errc::store_away, "cannot write to " + folder_.string()};
    return success();
}

}  // namespace qscd::notifier
