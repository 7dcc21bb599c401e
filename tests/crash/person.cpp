#include "tests/crash/person.hpp"

#include <openssl/hmac.h>

#include "base/random.hpp"

namespace qscd::crash {
namespace {

constexpr std::size_t longest = 4096;

std::string digits_of(std::uint64_t number, std::size_t count) {
    auto out = std::to_string(number);
    return std::string(out.size() < count ? count - out.size() : 0, '0') + out;
}

}  // namespace

Person::Person(unsigned number)
    : username("person-" + std::to_string(number)),
      phone("+43660" + digits_of(number, 7)),
      email(username + "@mail.example"),
      pin("27" + digits_of(number, 6)),
      password(to_hex(random_bytes(12))),
      serial_number("PNOAT-" + digits_of(number, 8)) {}

std::string Person::app_code(std::int64_t step) const {
    std::array<std::uint8_t, 8> message{};
    for (std::size_t i = 8; i-- > 0; step >>= 8) message[i] = static_cast<std::uint8_t>(step);
    std::array<std::uint8_t, 20> mac{};
    HMAC(EVP_sha1(), app_secret.data(), static_cast<int>(app_secret.size()), message.data(), message.size(), mac.data(),
         nullptr);
    const std::size_t at = mac.back() & 0xfU;
    const auto number = (static_cast<std::uint32_t>(mac[at] & 0x7fU) << 24U) | (std::uint32_t{mac[at + 1]} << 16U) |
                        (std::uint32_t{mac[at + 2]} << 8U) | mac[at + 3];
    std::uint32_t modulus = 1;
    for (unsigned i = 0; i < app_digits; ++i) modulus *= 10;
    return digits_of(number % modulus, app_digits);
}

std::string code_sent_to(const RunningDeployment& deployment, const std::string& phone) {
    const auto lines = read_file(deployment.in("outbox/sms.jsonl"), std::size_t{64} << 20U);
    if (!lines) return {};
    const auto& text = lines.value();
    for (auto end = text.find_last_of('\n'); end != std::string::npos && end > 0;) {
        const auto before = text.find_last_of('\n', end - 1);
        const auto begin = before == std::string::npos ? 0 : before + 1;
        const auto line = std::string_view{text}.substr(begin, end - begin);
        end = before;
        if (line.find(phone) == std::string_view::npos) continue;
        const auto message = json::Object::parse(line);
        if (!message || message.value().string("to", longest).value() != phone) continue;
        const auto words = message.value().string("text", longest).value();
        return words.substr(words.find_last_not_of("0123456789") + 1);
    }
    return {};
}

}  // namespace qscd::crash
