// One end of a channel, spoken frame by frame: an attacker does not wait for one answer before the next question.
// Thread rules: one thread.
#pragma once

#include <functional>

#include "base/file.hpp"
#include "protocol/message.hpp"
#include "protocol/sam.pb.h"

namespace qscd::attack {

struct Answer {
    std::uint64_t id;
    bool good;
    Bytes body;
    // Errc of a failure; of a good answer none.
    std::optional<Errc> refusal() const;
    template <class Reply>
    Reply as() const {
        return protocol::decode<Reply>(body).value();
    }
};

class Wire {
public:
    Wire() = default;
    explicit Wire(Descriptor socket);
    bool send(std::uint64_t id, const google::protobuf::Message& request);
    std::optional<Answer> receive();  // nothing: the other side is gone, or silent for two minutes
    std::optional<Answer> ask(const google::protobuf::Message& request);

    // `count` requests, up to `at_once` unanswered at any moment. Stops when `on_answer` says so or the other side is
    // gone; returns how many were answered.
    using Make = std::function<pb::SamRequest(std::size_t)>;
    using OnAnswer = std::function<bool(std::size_t, const Answer&)>;
    std::size_t pipeline(std::size_t count, std::size_t at_once, const Make& make, const OnAnswer& on_answer);

private:
    Descriptor socket_;
    std::uint64_t last_id_ = 1ull << 40;
};

std::pair<Descriptor, Descriptor> socket_pair();

}  // namespace qscd::attack
