// Where messages go while no provider is configured: JSON lines of {time, to, text}, one file a channel, mode 0600,
// under the deployment's outbox/. A code is a secret until it is used: nothing of a message reaches a log.
// Thread rules: safe from every thread.
#pragma once

#include <filesystem>
#include <mutex>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace qscd::notifier {

enum class Channel { sms, mail };

struct Message {
    Channel channel;
    std::string to;    // sms: + and 8 to 15 digits [E.164]; mail: an address of at most 254 characters
    std::string text;  // UTF-8, 1 to 1000 bytes
};

// Errc::parameter_invalid names the field.
Result<void> check(const Message& message);

class Outbox {
public:
    explicit Outbox(std::filesystem::path folder) : folder_(std::move(folder)) {}  // created when it is first needed
    // The line is whole or absent. Errc::store_away when it cannot be written.
    Result<void> put(const Message& message, TimePoint now);
    Result<void> healthy();

private:
    Result<void> create_folder();
    std::filesystem::path folder_;
    std::mutex lock_;
};

}  // namespace qscd::notifier
