#include "hsm/provider/uri.hpp"

#include <cstring>

#include "hsm/module.hpp"

namespace qscd::hsm::provider {
namespace {

std::optional<Bytes> attribute_of(P11KitUri* uri, CK_ATTRIBUTE_TYPE type) {
    const CK_ATTRIBUTE* found = p11_kit_uri_get_attribute(uri, type);
    if (found == nullptr) return std::nullopt;
    const auto* bytes = static_cast<const std::uint8_t*>(found->pValue);
    return Bytes(bytes, bytes + found->ulValueLen);
}

std::optional<std::string> text(const char* value) {
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

Error refused(std::string why) { return {Errc::configuration, "the pkcs11: URI " + std::move(why)}; }

}  // namespace

Result<KeyUri> KeyUri::parse(const std::string& text_of_uri) {
    KeyUri out;
    out.uri_.reset(p11_kit_uri_new(), p11_kit_uri_free);
    auto* uri = out.uri_.get();
    if (uri == nullptr) return Error{Errc::internal, "p11_kit_uri_new"};
    if (const int code = p11_kit_uri_parse(text_of_uri.c_str(), P11_KIT_URI_FOR_ANY, uri); code != P11_KIT_URI_OK)
        return refused(std::string{"cannot be read: "} + p11_kit_uri_message(code));
    if (p11_kit_uri_any_unrecognized(uri) != 0) return refused("has an attribute or a type that is not known");
    if (p11_kit_uri_get_pin_value(uri) != nullptr)
        return refused("has a pin-value, which everybody on this machine could read: use pin-source");
    if (p11_kit_uri_get_module_path(uri) != nullptr || p11_kit_uri_get_module_name(uri) != nullptr)
        return refused("names a module: the library to load is for the configuration alone");
    if (const auto value = attribute_of(uri, CKA_CLASS)) {
        CK_OBJECT_CLASS object_class = 0;
        if (value->size() != sizeof object_class) return refused("has a malformed type");
        std::memcpy(&object_class, value->data(), sizeof object_class);
        if (object_class != CKO_PRIVATE_KEY && object_class != CKO_PUBLIC_KEY)
            return refused("has a type that is neither private nor public: keys alone are read from a token");
        out.object_class_ = object_class;
    }
    out.label_ = attribute_of(uri, CKA_LABEL);
    out.id_ = attribute_of(uri, CKA_ID);
    if (!out.label_ && !out.id_) return refused("names no key: give object= or id=");
    out.pin_source_ = text(p11_kit_uri_get_pin_source(uri));
    out.public_key_file_ = text(p11_kit_uri_get_vendor_query(uri, "qscd-public-key"));
    return out;
}

bool KeyUri::matches(const Place& place) const {
    const CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri_.get());
    return (wanted == static_cast<CK_SLOT_ID>(-1) || wanted == place.slot) &&
           p11_kit_uri_match_module_info(uri_.get(), &place.library) == 1 &&
           p11_kit_uri_match_slot_info(uri_.get(), &place.about_slot) == 1 &&
           p11_kit_uri_match_token_info(uri_.get(), &place.token) == 1;
}

std::string KeyUri::token_for_people() const {
    const CK_TOKEN_INFO* token = p11_kit_uri_get_token_info(uri_.get());
    return token->label[0] == 0 ? "any token" : "token " + padded_text(token->label);
}

std::string KeyUri::object_for_people() const {
    std::string out = object_class_ == CKO_PUBLIC_KEY ? "public key" : "private key";
    if (label_) out += " labelled " + std::string{label_->begin(), label_->end()};
    if (id_) out += " with CKA_ID " + to_hex(*id_);
    return out;
}

}  // namespace qscd::hsm::provider
