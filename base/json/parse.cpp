#include "base/json/parse.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <set>
#include <string>
#include <vector>

namespace qscd::json {
namespace {

namespace bj = boost::json;

// Boost.JSON does not always give memory back with the alignment it asked for; neither is beyond operator new's own.
class WipedMemory : public bj::memory_resource {
    void* do_allocate(std::size_t size, std::size_t) override { return ::operator new(size); }
    void do_deallocate(void* memory, std::size_t size, std::size_t) override {
        ::explicit_bzero(memory, size);
        ::operator delete(memory);
    }
    bool do_is_equal(const bj::memory_resource& other) const noexcept override { return this == &other; }
};

// Builds the tree from the parser's events and refuses what the parser lets pass. `refusal` says what it was.
struct Handler {
    static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

    Handler(const bj::storage_ptr& memory, std::size_t depth_limit) : max_depth(depth_limit), stack(memory) {
        stack.reset(memory);
    }

    std::size_t max_depth;
    bj::value_stack stack;
    std::vector<std::set<std::string, std::less<>>> names;  // of each open object; an empty one for each open array
    std::string name, number;                               // the parts that came so far
    const char* refusal = nullptr;

    bool refuse(const char* why, bj::error_code& error) {
        refusal = why;
        error = bj::error::syntax;
        return false;
    }
    bool open(bj::error_code& error) {
        if (names.size() == max_depth) return refuse("too deep", error);
        names.emplace_back();
        return true;
    }

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_object_begin(bj::error_code& error) { return open(error); }
    bool on_array_begin(bj::error_code& error) { return open(error); }
    bool on_object_end(std::size_t size, bj::error_code&) {
        names.pop_back();
        stack.push_object(size);
        return true;
    }
    bool on_array_end(std::size_t size, bj::error_code&) {
        names.pop_back();
        stack.push_array(size);
        return true;
    }
    bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) {
        name.append(part.data(), part.size());
        stack.push_chars(part);
        return true;
    }
    bool on_key(bj::string_view part, std::size_t, bj::error_code& error) {
        name.append(part.data(), part.size());
        if (!names.back().insert(std::exchange(name, {})).second) return refuse("duplicate member name", error);
        stack.push_key(part);
        return true;
    }
    bool on_string_part(bj::string_view part, std::size_t, bj::error_code&) {
        stack.push_chars(part);
        return true;
    }
    bool on_string(bj::string_view part, std::size_t, bj::error_code&) {
        stack.push_string(part);
        return true;
    }
    bool on_number_part(bj::string_view part, bj::error_code&) {
        number.append(part.data(), part.size());
        return true;
    }
    bool on_int64(std::int64_t value, bj::string_view, bj::error_code&) {
        number.clear();
        stack.push_int64(value);
        return true;
    }
    bool on_uint64(std::uint64_t value, bj::string_view, bj::error_code&) {
        number.clear();
        stack.push_uint64(value);
        return true;
    }
    bool on_double(double value, bj::string_view part, bj::error_code& error) {
        number.append(part.data(), part.size());
        // The parser makes a double of an integer that does not fit: it would silently become another number.
        const bool fraction = std::exchange(number, {}).find_first_of(".eE") != std::string::npos;
        if (!fraction || !std::isfinite(value)) return refuse("number out of range", error);
        stack.push_double(value);
        return true;
    }
    bool on_bool(bool value, bj::error_code&) {
        stack.push_bool(value);
        return true;
    }
    bool on_null(bj::error_code&) {
        stack.push_null();
        return true;
    }
    bool on_comment_part(bj::string_view, bj::error_code& error) { return refuse("comment", error); }
    bool on_comment(bj::string_view, bj::error_code& error) { return refuse("comment", error); }
};

}  // namespace

Result<bj::value> parse(std::string_view text, Limits limits) {
    if (text.size() > limits.max_bytes) return Error{Errc::body_malformed, "JSON: too long"};
    bj::parse_options strict;
    strict.max_depth = limits.max_depth + 1;  // ours speaks first
    const auto memory = bj::make_shared_resource<WipedMemory>();
    bj::basic_parser<Handler> parser{strict, memory, limits.max_depth};
    bj::error_code error;
    const auto read = parser.write_some(false, text.data(), text.size(), error);
    if (error) {
        const char* refusal = parser.handler().refusal;
        return Error{Errc::body_malformed, "JSON: " + (refusal ? std::string{refusal} : error.message())};
    }
    if (read != text.size()) return Error{Errc::body_malformed, "JSON: something behind the value"};
    return parser.handler().stack.release();
}

}  // namespace qscd::json
