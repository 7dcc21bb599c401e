#include "base/json/object.hpp"

#include <limits>

#include "base/json/parse.hpp"

namespace qscd::json {
namespace {

namespace bj = boost::json;

Error missing(const char* type, std::string_view name) {
    return {Errc::parameter_missing, "", {type, std::string{name}}};
}
Error invalid(const char* type, std::string_view name) {
    return {Errc::parameter_invalid, "", {type, std::string{name}}};
}

template <class T>
Result<T> required(Result<std::optional<T>> found, const char* type, std::string_view name) {
    if (!found) return std::move(found).error();
    if (!found.value()) return missing(type, name);
    return std::move(*found.value());
}

// The view into the tree, so that a secret is copied once only.
Result<std::optional<std::string_view>> text_in(const bj::value* value, std::string_view name, std::size_t max_length) {
    if (!value) return std::optional<std::string_view>{};
    const auto* text = value->if_string();
    if (!text) return missing("string", name);
    if (text->size() > max_length) return invalid("string", name);
    return std::optional{std::string_view{text->data(), text->size()}};
}

Result<const bj::array*> array_in(const bj::value* value, std::string_view name, std::size_t max_items) {
    if (!value) return nullptr;
    const auto* array = value->if_array();
    if (!array) return missing("array", name);
    if (array->size() > max_items) return invalid("array", name);
    return array;
}

}  // namespace

Result<Object> Object::parse(std::string_view text, Limits limits) {
    QSCD_TRY(auto value, json::parse(text, limits));
    return from(std::move(value));
}

Result<Object> Object::from(bj::value value) {
    auto root = std::make_shared<const bj::value>(std::move(value));
    const auto* object = root->if_object();
    if (!object) return Error{Errc::body_malformed, "JSON: not an object"};
    return Object{std::move(root), *object};
}

const bj::value* Object::find(std::string_view name) const {
    const auto* value = at_->if_contains(bj::string_view{name.data(), name.size()});
    return value && !value->is_null() ? value : nullptr;
}

Result<std::optional<std::string>> Object::optional_string(std::string_view name, std::size_t max_length) const {
    QSCD_TRY(const auto text, text_in(find(name), name, max_length));
    return text ? std::optional<std::string>{*text} : std::nullopt;
}
Result<std::string> Object::string(std::string_view name, std::size_t max_length) const {
    return required(optional_string(name, max_length), "string", name);
}

Result<std::optional<SecretBytes>> Object::optional_secret(std::string_view name, std::size_t max_length) const {
    QSCD_TRY(const auto text, text_in(find(name), name, max_length));
    std::optional<SecretBytes> out;
    if (text) out.emplace(*text);
    return out;
}
Result<SecretBytes> Object::secret(std::string_view name, std::size_t max_length) const {
    return required(optional_secret(name, max_length), "string", name);
}

Result<std::optional<std::int64_t>> Object::optional_integer(std::string_view name) const {
    const auto* value = find(name);
    if (!value) return std::optional<std::int64_t>{};
    if (const auto* number = value->if_int64()) return std::optional{*number};
    if (value->is_uint64()) return invalid("integer", name);  // an integer, but beyond 63 bits
    return missing("integer", name);
}
Result<std::int64_t> Object::integer(std::string_view name) const {
    return required(optional_integer(name), "integer", name);
}

Result<std::optional<bool>> Object::optional_boolean(std::string_view name) const {
    const auto* value = find(name);
    if (!value) return std::optional<bool>{};
    if (const auto* truth = value->if_bool()) return std::optional{*truth};
    return missing("boolean", name);
}
Result<bool> Object::boolean(std::string_view name) const { return required(optional_boolean(name), "boolean", name); }

Result<std::optional<std::vector<std::string>>> Object::optional_strings(std::string_view name, std::size_t max_items,
                                                                         std::size_t max_length) const {
    QSCD_TRY(const auto array, array_in(find(name), name, max_items));
    if (!array) return std::optional<std::vector<std::string>>{};
    std::vector<std::string> out;
    out.reserve(array->size());
    for (const auto& item : *array) {
        const auto* text = item.if_string();
        if (!text) return missing("array", name);
        if (text->size() > max_length) return invalid("array", name);
        out.emplace_back(text->data(), text->size());
    }
    return std::optional{std::move(out)};
}
Result<std::vector<std::string>> Object::strings(std::string_view name, std::size_t max_items,
                                                 std::size_t max_length) const {
    return required(optional_strings(name, max_items, max_length), "array", name);
}

Result<std::optional<std::vector<Object>>> Object::optional_objects(std::string_view name,
                                                                    std::size_t max_items) const {
    QSCD_TRY(const auto array, array_in(find(name), name, max_items));
    if (!array) return std::optional<std::vector<Object>>{};
    std::vector<Object> out;
    out.reserve(array->size());
    for (const auto& item : *array) {
        const auto* object = item.if_object();
        if (!object) return missing("array", name);
        out.push_back(Object{root_, *object});
    }
    return std::optional{std::move(out)};
}
Result<std::vector<Object>> Object::objects(std::string_view name, std::size_t max_items) const {
    return required(optional_objects(name, max_items), "array", name);
}

Result<std::optional<Object>> Object::optional_object(std::string_view name) const {
    const auto* value = find(name);
    if (!value) return std::optional<Object>{};
    const auto* object = value->if_object();
    if (!object) return missing("object", name);
    return std::optional{Object{root_, *object}};
}
Result<Object> Object::object(std::string_view name) const { return required(optional_object(name), "object", name); }

}  // namespace qscd::json
