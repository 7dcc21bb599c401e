// The chunked coding, byte by byte, without its ornaments: extensions and trailers are refused [API-04] [RFC 9112, 7.1].
// Private to this room. Thread rules: one owner.
#pragma once

#include <string>
#include <string_view>

namespace qscd::net {

class ChunkedBody {
public:
    explicit ChunkedBody(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    // Appends what `received` holds of the body to `body`; returns how many bytes belong to this body. After a refusal or
    // the end nothing more is taken.
    std::size_t take(std::string_view received, std::string& body);

    bool complete() const { return state_ == State::complete; }
    unsigned refusal() const { return refusal_; }  // an HTTP status, or 0

private:
    enum class State { size, size_lf, data, data_cr, data_lf, last_cr, last_lf, complete };
    void take_size_digit(char c);
    void step(char c);
    void expect(char c, char wanted, State next);

    std::size_t max_bytes_, taken_ = 0, chunk_ = 0, digits_ = 0;
    State state_ = State::size;
    unsigned refusal_ = 0;
};

}  // namespace qscd::net
