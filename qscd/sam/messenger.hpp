// Hands messages to notifierd on a thread of its own: the core never waits for another process. Texts are wiped once
// they went out. Thread rules: send() from anywhere; `done` runs on the messenger's thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/request_id.hpp"
#include "base/secret.hpp"
#include "protocol/channel.hpp"

namespace qscd::sam {

class Messenger {
public:
    explicit Messenger(protocol::Client& notifier);
    ~Messenger();  // what waits is dropped: its challenge dies with the process
    // Errc::service_away when notifierd is not there or refuses.
    void send_sms(std::string phone, SecretBytes text, std::function<void(const Result<void>&)> done);

private:
    struct Message {
        std::string phone;
        SecretBytes text;
        std::function<void(const Result<void>&)> done;
        std::optional<RequestId> request;
    };
    void serve();
    protocol::Client& notifier_;
    std::mutex lock_;
    std::condition_variable arrived_;
    std::deque<Message> messages_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace qscd::sam
