// A JSON object whose members are read by name and type, with errors in the shape the CSC API wants [CSC API v2.0.0.2,
// 10.1]: absent or of another JSON type is Errc::parameter_missing, too long or out of range Errc::parameter_invalid, both
// with {type, name}. A type is "string", "integer", "boolean", "array" or "object". null counts as absent; members nobody
// asks for are ignored. Lengths are bytes of UTF-8. Thread rules: immutable; copies share one tree.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/limits.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace qscd::json {

class Object {
public:
    // Errc::body_malformed when the text is not strict JSON or not an object. `parse` says what strict means.
    static Result<Object> parse(std::string_view text, Limits limits = {});
    static Result<Object> from(boost::json::value value);

    bool has(std::string_view name) const { return find(name) != nullptr; }

    Result<std::string> string(std::string_view name, std::size_t max_length) const;
    Result<std::optional<std::string>> optional_string(std::string_view name, std::size_t max_length) const;
    Result<SecretBytes> secret(std::string_view name, std::size_t max_length) const;
    Result<std::optional<SecretBytes>> optional_secret(std::string_view name, std::size_t max_length) const;
    Result<std::int64_t> integer(std::string_view name) const;
    Result<std::optional<std::int64_t>> optional_integer(std::string_view name) const;
    Result<bool> boolean(std::string_view name) const;
    Result<std::optional<bool>> optional_boolean(std::string_view name) const;

    // Arrays whose items are all of one type; an item of another type makes the array the wrong type.
    Result<std::vector<std::string>> strings(std::string_view name, std::size_t max_items,
                                             std::size_t max_length) const;
    Result<std::optional<std::vector<std::string>>> optional_strings(std::string_view name, std::size_t max_items,
                                                                     std::size_t max_length) const;
    Result<std::vector<Object>> objects(std::string_view name, std::size_t max_items) const;
    Result<std::optional<std::vector<Object>>> optional_objects(std::string_view name, std::size_t max_items) const;
    Result<Object> object(std::string_view name) const;
    Result<std::optional<Object>> optional_object(std::string_view name) const;

    const boost::json::object& members() const { return *at_; }

private:
    Object(std::shared_ptr<const boost::json::value> root, const boost::json::object& at)
        : root_(std::move(root)), at_(&at) {}
    const boost::json::value* find(std::string_view name) const;  // null when absent or null

    std::shared_ptr<const boost::json::value> root_;
    const boost::json::object* at_;
};

}  // namespace qscd::json
