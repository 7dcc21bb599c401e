#include "qscd/cli/terminal.hpp"

#include <array>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <iostream>
#include <termios.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::cli {
namespace {

constexpr std::size_t longest_secret = 256;

Result<SecretBytes> line_of(int descriptor) {
    std::array<std::uint8_t, longest_secret> buffer{};
    std::size_t size = 0;
    for (; size < buffer.size(); ++size) {
        const auto count = ::read(descriptor, &buffer[size], 1);  // one by one: what follows is not ours to take
        if (count < 0) return Error{Errc::configuration, "cannot read the secret from its descriptor"};
        if (count == 0 || buffer[size] == '\n') break;
    }
    SecretBytes out{ByteView{buffer}.first(size)};
    ::explicit_bzero(buffer.data(), buffer.size());
    if (size == longest_secret) return Error{Errc::configuration, "the secret is too long"};
    return out;
}

}  // namespace

ExitCode exit_code_of(Errc code) {
    switch (code) {
        case Errc::configuration: return ExitCode::usage;
        case Errc::service_away:
        case Errc::token_away:
        case Errc::store_away:
        case Errc::too_many_requests: return ExitCode::try_later;
        case Errc::factors_wrong:
        case Errc::credential_locked:
        case Errc::credential_disabled:
        case Errc::access_denied:
        case Errc::paper_refused: return ExitCode::refused;
        default: return ExitCode::failed;
    }
}

void say(const Options& options, std::string_view line) { (options.json ? std::cerr : std::cout) << line << std::endl; }

void answer(const Options& options, std::string_view lines, const boost::json::object& object) {
    if (options.json) std::cout << boost::json::serialize(object) << std::endl;
    else std::cout << lines << std::endl;
}

int fail(const Options& options, const Error& error) {
    if (options.json)
        std::cout << boost::json::serialize(
                         boost::json::object{{"error", name_of(error.code)}, {"detail", describe(error)}})
                  << std::endl;
    std::cerr << "qscd: " << describe(error) << std::endl;
    return static_cast<int>(exit_code_of(error.code));
}

Result<SecretBytes> secret(int descriptor, std::string_view prompt) {
    if (descriptor >= 0) return line_of(descriptor);
    const Descriptor terminal{::open("/dev/tty", O_RDWR | O_CLOEXEC)};
    if (!terminal)
        return Error{Errc::configuration, std::string{prompt} + ": no terminal to ask at; give a file descriptor"};
    termios before{};
    if (::tcgetattr(terminal.get(), &before) != 0)
        return Error{Errc::configuration, "the terminal cannot hide what is typed"};
    auto silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal.get(), TCSAFLUSH, &silent);
    const auto text = std::string{prompt} + ": ";
    const bool asked = ::write(terminal.get(), text.data(), text.size()) >= 0;
    auto out = asked ? line_of(terminal.get())
                     : Result<SecretBytes>{Error{Errc::configuration, "the terminal is gone"}};
    ::tcsetattr(terminal.get(), TCSAFLUSH, &before);
    std::ignore = ::write(terminal.get(), "\n", 1);
    return out;
}

}  // namespace qscd::cli
