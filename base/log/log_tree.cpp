#include "base/log/log_tree.hpp"

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

}  // namespace qscd::log
