#include "base/log/log_tree.hpp"

#include <bit>

namespace qscd::log {
namespace {

Sha256Digest leaf(ByteView record) {
    const std::uint8_t prefix = 0x00;
    return sha256({ByteView{&prefix, 1}, record});
}

Sha256Digest node(const Sha256Digest& left, const Sha256Digest& right) {
    const std::uint8_t prefix = 0x01;
    return sha256({ByteView{&prefix, 1}, left.bytes(), right.bytes()});
}

}  // namespace

void LogTree::append(ByteView record) {
    edge_.push_back(leaf(record));
    for (auto full = size_++; full & 1; full >>= 1) {
        const auto right = edge_.back();
        edge_.pop_back();
        edge_.back() = node(edge_.back(), right);
    }
}

Sha256Digest LogTree::root() const {
    if (edge_.empty()) return sha256(ByteView{});
    auto root = edge_.back();
    for (auto at = edge_.rbegin() + 1; at != edge_.rend(); ++at) root = node(*at, root);
    return root;
}

Bytes LogTree::frontier() const {
    Bytes out;
    for (const auto& digest : edge_) out.insert(out.end(), digest.bytes().begin(), digest.bytes().end());
    return out;
}

std::optional<LogTree> LogTree::from_frontier(std::uint64_t size, ByteView frontier) {
    if (frontier.size() != Sha256Digest::size * static_cast<std::size_t>(std::popcount(size))) return std::nullopt;
    LogTree out;
    out.size_ = size;
    for (; !frontier.empty(); frontier = frontier.subspan(Sha256Digest::size))
        out.edge_.push_back(*Sha256Digest::from(frontier.first(Sha256Digest::size)));
    return out;
}

}  // namespace qscd::log
