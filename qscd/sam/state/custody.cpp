#include "qscd/sam/state/custody.hpp"

#include <charconv>

namespace qscd::sam {
namespace {

constexpr std::string_view head_prefix = "head-";

}  // namespace

std::string Custody::origin() const {
    return "qscd/sam/" + genesis_digest().hex() + "/" + std::to_string(genesis().shard());
}

std::string head_key_name(std::uint64_t epoch) { return std::string{head_prefix} + std::to_string(epoch); }

std::uint64_t epoch_of_key_name(std::string_view name) {
    if (!name.starts_with(head_prefix)) return 0;
    name.remove_prefix(head_prefix.size());
    std::uint64_t out = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), out);
    return failed == std::errc{} && end == name.data() + name.size() ? out : 0;
}

}  // namespace qscd::sam
