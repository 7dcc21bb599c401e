#include "tests/attack/wire.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include "protocol/failure.pb.h"

namespace qscd::attack {
namespace {

// length | id | kind | request id, big endian, as protocol/channel.hpp says
constexpr std::size_t request_id_size = 16, header_size = 4 + 8 + 1 + request_id_size;
enum Kind : std::uint8_t { request_frame, answer_frame, failure_frame };

}  // namespace

std::optional<Errc> Answer::refusal() const {
    if (good) return std::nullopt;
    return static_cast<Errc>(as<pb::Failure>().code());
}

// A test that waits for nobody fails instead of hanging.
Wire::Wire(Descriptor socket) : socket_(std::move(socket)) {
    const timeval patience{.tv_sec = 120, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

bool Wire::send(std::uint64_t id, const google::protobuf::Message& request) {
    const auto body = protocol::encode(request);
    Bytes frame;
    frame.reserve(header_size + body.size());
    for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<std::uint8_t>(body.size() >> shift));
    for (int shift = 56; shift >= 0; shift -= 8) frame.push_back(static_cast<std::uint8_t>(id >> shift));
    frame.push_back(request_frame);
    frame.resize(frame.size() + request_id_size);  // none
    frame.insert(frame.end(), body.begin(), body.end());
    return ::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(frame.size());
}

std::optional<Answer> Wire::receive() {
    const auto read = [&](std::uint8_t* out, std::size_t size) {
        return size == 0 || ::recv(socket_.get(), out, size, MSG_WAITALL) == static_cast<ssize_t>(size);
    };
    std::array<std::uint8_t, header_size> header;
    if (!read(header.data(), header.size())) return std::nullopt;
    const auto number = [&](std::size_t from, std::size_t size) {
        std::uint64_t out = 0;
        for (std::size_t i = from; i < from + size; ++i) out = out << 8 | header[i];
        return out;
    };
    Answer answer{number(4, 8), header[12] == answer_frame, Bytes(number(0, 4))};
    if (!read(answer.body.data(), answer.body.size())) return std::nullopt;
    return answer;
}

std::optional<Answer> Wire::ask(const google::protobuf::Message& request) {
    if (!send(++last_id_, request)) return std::nullopt;
    return receive();
}

std::size_t Wire::pipeline(std::size_t count, std::size_t at_once, const Make& make, const OnAnswer& on_answer) {
    std::size_t sent = 0, answered = 0;
    while (answered < count) {
        while (sent < count && sent - answered < at_once) {
            if (!send(sent, make(sent))) return answered;
            ++sent;
        }
        const auto answer = receive();
        if (!answer) return answered;
        ++answered;
        if (!on_answer(answer->id, *answer)) return answered;
    }
    return answered;
}

std::pair<Descriptor, Descriptor> socket_pair() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

}  // namespace qscd::attack
