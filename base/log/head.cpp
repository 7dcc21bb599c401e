#include "base/log/head.hpp"

#include <charconv>

namespace qscd::log {
namespace {

constexpr std::string_view dash = "\u2014 ";
constexpr std::size_t key_hint_size = 4;

Error refused(std::string_view what) { return {Errc::paper_refused, "head: " + std::string{what}}; }

std::string_view line_from(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

}  // namespace

std::string body_of(const Head& head) {
    return head.origin + "\n" + std::to_string(head.size) + "\n" + to_base64(head.root.bytes()) + "\n";
}

std::string with_signature(const Head& head, std::string_view key_name, const Sha256Digest& key_id,
                           ByteView signature) {
    const auto hint = key_id.bytes().first(key_hint_size);
    Bytes signed_part{hint.begin(), hint.end()};
    signed_part.insert(signed_part.end(), signature.begin(), signature.end());
    return body_of(head) + "\n" + std::string{dash} + std::string{key_name} + " " + to_base64(signed_part) + "\n";
}

std::string_view key_name_of(std::string_view text) {
    const auto at = text.find(dash);
    if (at == std::string_view::npos) return {};
    const auto rest = text.substr(at + dash.size());
    return rest.substr(0, rest.find(' '));
}

Result<Head> verified_head(std::string_view text, std::string_view origin, std::string_view key_name, EVP_PKEY& key) {
    auto rest = text;
    const auto named = line_from(rest), size_text = line_from(rest), root_text = line_from(rest);
    const auto blank = line_from(rest), signature_line = line_from(rest);
    if (named != origin) return refused("it is of another log");
    std::uint64_t size = 0;
    const auto [end, failed] = std::from_chars(size_text.data(), size_text.data() + size_text.size(), size);
    const auto root_bytes = from_base64(root_text);
    const auto root = root_bytes ? Sha256Digest::from(*root_bytes) : std::nullopt;
    const auto prefix = std::string{dash} + std::string{key_name} + " ";
    if (failed != std::errc{} || end != size_text.data() + size_text.size() || !root || !blank.empty() ||
        !signature_line.starts_with(prefix) || !rest.empty() || !text.ends_with('\n'))
        return refused("form");
    const auto signed_part = from_base64(signature_line.substr(prefix.size()));
    const auto key_id = sha256(der_of(key, i2d_PUBKEY));
    if (!signed_part || signed_part->size() <= key_hint_size ||
        !std::ranges::equal(ByteView{*signed_part}.first(key_hint_size), key_id.bytes().first(key_hint_size)))
        return refused("another key");
    Head head{std::string{origin}, size, *root};
    if (!verify_message(key, view_of(body_of(head)), ByteView{*signed_part}.subspan(key_hint_size)))
        return refused("the signature does not verify");
    return head;
}

}  // namespace qscd::log
