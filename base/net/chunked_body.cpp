#include "base/net/chunked_body.hpp"

#include "base/net/syntax.hpp"

namespace qscd::net {

std::size_t ChunkedBody::take(std::string_view received, std::string& body) {
    std::size_t at = 0;
    while (at < received.size() && !complete() && refusal_ == 0) {
        if (state_ == State::data) {
            const auto part = received.substr(at, chunk_);
            body.append(part);
            at += part.size();
            chunk_ -= part.size();
            if (chunk_ == 0) state_ = State::data_cr;
        } else {
            step(received[at++]);
        }
    }
    return at;
}

void ChunkedBody::step(char c) {
    switch (state_) {
        case State::size:
            if (c == '\r' && digits_ > 0) state_ = State::size_lf;
            else take_size_digit(c);
            break;
        case State::size_lf:
            expect(c, '\n', chunk_ == 0 ? State::last_cr : State::data);
            taken_ += chunk_;
            digits_ = 0;
            break;
        case State::data_cr: expect(c, '\r', State::data_lf); break;
        case State::data_lf: expect(c, '\n', State::size); break;
        case State::last_cr: expect(c, '\r', State::last_lf); break;  // anything else begins a trailer
        case State::last_lf: expect(c, '\n', State::complete); break;
        case State::data:
        case State::complete: break;
    }
}

void ChunkedBody::take_size_digit(char c) {
    const int value = hex_value(c);
    if (value < 0 || ++digits_ > 8) {  // an extension, a blank, or a size no reader could hold
        refusal_ = 400;
        return;
    }
    chunk_ = chunk_ * 16 + static_cast<std::size_t>(value);
    if (chunk_ > max_bytes_ - taken_) refusal_ = 413;
}

void ChunkedBody::expect(char c, char wanted, State next) {
    if (c != wanted) refusal_ = 400;
    else state_ = next;
}

}  // namespace qscd::net
