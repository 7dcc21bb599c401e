// How the command line talks to people and to scripts: human lines or one JSON object on standard output, errors on
// standard error, secrets from the terminal without echo or from a file descriptor, never from an argument.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace qscd::cli {

// What scripts can rely on.
enum class ExitCode : int { done = 0, failed = 1, usage = 2, try_later = 3, refused = 4 };
ExitCode exit_code_of(Errc code);

struct Options {
    std::filesystem::path deployment = ".";
    bool json = false;
};

// A line for people, on standard error when the answer is JSON, so that both can be had.
void say(const Options& options, std::string_view line);
// The answer: `lines` for people, or the object with --json.
void answer(const Options& options, std::string_view lines, const boost::json::object& object);
int fail(const Options& options, const Error& error);

// From `descriptor` (up to the first line end), or asked for at the terminal without echo. Errc::configuration when there
// is neither.
Result<SecretBytes> secret(int descriptor, std::string_view prompt);

}  // namespace qscd::cli
