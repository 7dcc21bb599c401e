#include "protocol/channel.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <sys/socket.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>

#include "base/request_id.hpp"
#include "base/stack.hpp"
#include "protocol/failure.pb.h"

namespace qscd::protocol {
namespace {

enum class Kind : std::uint8_t { request, answer, failure };

struct Frame {
    std::uint64_t id;
    Kind kind;
    std::optional<RequestId> request;
    Bytes body;
};
constexpr std::size_t request_at = 4 + 8 + 1, header_size = request_at + RequestId::size;

template <class Integer>
void put(std::uint8_t* out, Integer value) {
    for (std::size_t i = sizeof value; i-- > 0; value = static_cast<Integer>(value >> 8))
        out[i] = static_cast<std::uint8_t>(value);
}
template <class Integer>
Integer get(const std::uint8_t* in) {
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<Integer>(value << 8 | in[i]);
    return value;
}

bool read_exactly(int fd, std::uint8_t* out, std::size_t size) {
    while (size > 0) {
        const auto count = ::recv(fd, out, size, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        out += count;
        size -= static_cast<std::size_t>(count);
    }
    return true;
}

std::optional<Frame> read_frame(int fd, std::size_t limit) {
    std::array<std::uint8_t, header_size> header;
    if (!read_exactly(fd, header.data(), header.size())) return std::nullopt;
    const std::size_t length = get<std::uint32_t>(header.data());
    if (length > limit || header[12] > static_cast<std::uint8_t>(Kind::failure)) return std::nullopt;
    auto request = RequestId::from(ByteView{header}.subspan(request_at));
    if (std::ranges::all_of(request->bytes(), [](std::uint8_t each) { return each == 0; })) request.reset();
    Frame frame{get<std::uint64_t>(header.data() + 4), static_cast<Kind>(header[12]), request, Bytes(length)};
    if (!read_exactly(fd, frame.body.data(), length)) return std::nullopt;
    return frame;
}

// One socket with a lock for writers. A peer that does not read for five seconds is cut off.
struct Line {
    explicit Line(Descriptor fd) : socket(std::move(fd)) {
        const timeval patience{5, 0};
        ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    bool write(std::uint64_t id, Kind kind, ByteView body, const std::optional<RequestId>& request = {}) {
        std::array<std::uint8_t, header_size> header{};
        put(header.data(), static_cast<std::uint32_t>(body.size()));
        put(header.data() + 4, id);
        header[12] = static_cast<std::uint8_t>(kind);
        if (request) std::ranges::copy(request->bytes(), header.begin() + request_at);
        std::array<iovec, 2> parts{iovec{header.data(), header.size()},
                                   iovec{const_cast<std::uint8_t*>(body.data()), body.size()}};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const std::lock_guard lock{writing};
        for (std::size_t left = header.size() + body.size(); left > 0;) {
            const auto count = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) {
                ::shutdown(socket.get(), SHUT_RDWR);  // half a frame went out: nothing after it can be understood
                return false;
            }
            left -= static_cast<std::size_t>(count);
            for (auto sent = static_cast<std::size_t>(count); sent > 0;) {
                auto& part = *message.msg_iov;
                const auto step = std::min(sent, part.iov_len);
                part.iov_base = static_cast<std::uint8_t*>(part.iov_base) + step;
                part.iov_len -= step;
                sent -= step;
                if (part.iov_len == 0 && message.msg_iovlen > 1) {
                    ++message.msg_iov;
                    --message.msg_iovlen;
                }
            }
        }
        return true;
    }
    Descriptor socket;
    std::mutex writing;
};

pb::Failure message_of(const Error& error) {
    pb::Failure failure;
    failure.set_code(static_cast<unsigned>(error.code));
    failure.set_detail(error.detail);
    failure.set_parameter_type(error.parameter.type);
    failure.set_parameter_name(error.parameter.name);
    return failure;
}

Error error_of(ByteView body) {
    const auto failure = decode<pb::Failure>(body);
    if (!failure || failure.value().code() < 1 || failure.value().code() > static_cast<unsigned>(last_errc))
        return {Errc::internal, "a failure that cannot be read"};
    return {static_cast<Errc>(failure.value().code()),
            failure.value().detail(),
            {failure.value().parameter_type(), failure.value().parameter_name()}};
}

}  // namespace

struct Client::State {
    struct Waiting {
        bool done = false;
        Result<Bytes> answer = Error{Errc::service_away, "no answer"};
        std::condition_variable ready;  // one each: an answer wakes its caller alone
    };
    std::mutex lock;
    std::condition_variable changed;
    std::shared_ptr<Line> line;
    std::map<std::uint64_t, Waiting*> waiting;
    std::uint64_t last_id = 0;
    std::size_t readers = 0;
    std::size_t limit;
    std::function<void()> connected;

    void lose(const std::shared_ptr<Line>& lost) {
        const std::lock_guard guard{lock};
        if (line != lost) return;  // replaced already, its calls with it
        line.reset();
        fail_all();
    }
    void fail_all() {
        for (auto& [id, waiter] : waiting) {
            waiter->done = true;
            waiter->answer = Error{Errc::service_away, "connection lost"};
            waiter->ready.notify_one();
        }
        waiting.clear();
    }
    void read(const std::shared_ptr<Line>& from) {
        while (auto frame = read_frame(from->socket.get(), limit)) {
            const std::lock_guard guard{lock};
            if (line != from) break;
            const auto found = waiting.find(frame->id);
            if (found == waiting.end()) {  // too late: its caller has gone
                wipe(frame->body);
                continue;
            }
            found->second->done = true;
            found->second->answer = frame->kind == Kind::answer ? Result<Bytes>{std::move(frame->body)}
                                                                : Result<Bytes>{error_of(frame->body)};
            found->second->ready.notify_one();
            waiting.erase(found);
        }
        lose(from);
    }
};

Client::Client(std::string peer, std::size_t limit) : state_(std::make_shared<State>()), peer_(std::move(peer)) {
    state_->limit = limit;
}

Client::~Client() {
    std::unique_lock guard{state_->lock};
    if (state_->line) ::shutdown(state_->line->socket.get(), SHUT_RDWR);
    state_->line.reset();
    state_->fail_all();
    state_->changed.wait(guard, [&] { return state_->readers == 0; });
}

void Client::connect(Descriptor connection) {
    auto line = std::make_shared<Line>(std::move(connection));
    std::function<void()> connected;
    {
        const std::lock_guard guard{state_->lock};
        if (state_->line) ::shutdown(state_->line->socket.get(), SHUT_RDWR);
        state_->fail_all();
        state_->line = line;
        ++state_->readers;
        connected = state_->connected;
        if (connected) ++state_->readers;
    }
    const auto leave = [state = state_] {
        const std::lock_guard guard{state->lock};
        --state->readers;
        state->changed.notify_all();
    };
    std::thread{[state = state_, line, leave] {
        state->read(line);
        leave();
    }}.detach();
    if (connected) {
        std::thread{[connected, leave] {
            connected();
            leave();
        }}.detach();
    }
}

bool Client::connected() const {
    const std::lock_guard guard{state_->lock};
    return state_->line != nullptr;
}

void Client::on_connected(std::function<void()> action) {
    const std::lock_guard guard{state_->lock};
    state_->connected = std::move(action);
}

Result<Bytes> Client::exchange(ByteView request, std::chrono::milliseconds timeout) {
    if (request.size() > state_->limit) return Error{Errc::internal, "message to " + peer_ + " is too large"};
    State::Waiting waiter;
    std::unique_lock guard{state_->lock};
    const auto line = state_->line;
    if (!line) return Error{Errc::service_away, peer_ + " is not connected"};
    if (state_->waiting.size() >= outstanding_limit) return Error{Errc::service_away, peer_ + " has too much to do"};
    const auto id = ++state_->last_id;
    state_->waiting.emplace(id, &waiter);
    guard.unlock();
    if (!line->write(id, Kind::request, request, current_request())) state_->lose(line);
    guard.lock();
    if (!waiter.ready.wait_for(guard, timeout, [&] { return waiter.done; })) {
        state_->waiting.erase(id);
        return Error{Errc::service_away, peer_ + " did not answer in time"};
    }
    return std::move(waiter.answer);
}

struct Responder::Connection {
    explicit Connection(Descriptor fd) : line(std::move(fd)) {}
    Line line;
    std::atomic<std::size_t> outstanding = 0;
};

void Responder::answer(const google::protobuf::Message& reply) const {
    --connection_->outstanding;
    auto bytes = encode(reply);
    connection_->line.write(id_, Kind::answer, bytes);
    wipe(bytes);
}

void Responder::fail(const Error& error) const {
    --connection_->outstanding;
    connection_->line.write(id_, Kind::failure, encode(message_of(error)));
}

struct Server::State {
    Handler handler;
    std::size_t limit;
    std::mutex lock;
    std::condition_variable changed;
    std::map<const void*, std::shared_ptr<Responder::Connection>> open;
    bool stopping = false;
};

Server::Server(Handler handler, std::size_t limit) : state_(std::make_unique<State>()) {
    state_->handler = std::move(handler);
    state_->limit = limit;
}

Server::~Server() { stop(); }

void Server::serve(Descriptor socket, std::string role) {
    auto connection = std::make_shared<Responder::Connection>(std::move(socket));
    {
        const std::lock_guard guard{state_->lock};
        if (state_->stopping) return;
        state_->open.emplace(connection.get(), connection);
    }
    std::thread{[this, connection, role = std::move(role)] {
        while (auto frame = read_frame(connection->line.socket.get(), state_->limit)) {
            if (frame->kind != Kind::request) break;
            if (++connection->outstanding > outstanding_limit) break;
            const RequestScope scope{frame->request ? *frame->request : new_request_id()};
            state_->handler(role, frame->body, Responder{connection, frame->id});
            wipe(frame->body);
            wipe_stack();
        }
        ::shutdown(connection->line.socket.get(), SHUT_RDWR);
        const std::lock_guard guard{state_->lock};
        state_->open.erase(connection.get());
        state_->changed.notify_all();
    }}.detach();
}

void Server::stop() {
    std::unique_lock guard{state_->lock};
    state_->stopping = true;
    for (auto& [key, connection] : state_->open) ::shutdown(connection->line.socket.get(), SHUT_RDWR);
    state_->changed.wait(guard, [&] { return state_->open.empty(); });
}

}  // namespace qscd::protocol
