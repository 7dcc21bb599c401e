#include "base/log/array_tree.hpp"

namespace qscd::log {

namespace {

Sha256Digest node(const Sha256Digest& left, const Sha256Digest& right) {
    const std::uint8_t prefix = 0x03;
    return sha256({ByteView{&prefix, 1}, left.bytes(), right.bytes()});
}

}  // namespace

Sha256Digest ArrayTree::leaf(ByteView entry) {
    const std::uint8_t prefix = 0x02;
    return sha256({ByteView{&prefix, 1}, entry});
}

ArrayTree ArrayTree::of(std::vector<Sha256Digest> leaves) {
    ArrayTree out;
    if (leaves.empty()) return out;
    out.levels_.push_back(std::move(leaves));
    while (out.levels_.back().size() > 1) {
        const auto& below = out.levels_.back();
        std::vector<Sha256Digest> row;
        row.reserve((below.size() + 1) / 2);
        for (std::size_t left = 0; left < below.size(); left += 2)
            row.push_back(left + 1 < below.size() ? node(below[left], below[left + 1]) : below[left]);
        out.levels_.push_back(std::move(row));
    }
    return out;
}

void ArrayTree::set(std::size_t index, const Sha256Digest& leaf) {
    if (levels_.empty()) levels_.emplace_back();
    if (index == levels_[0].size()) levels_[0].push_back(leaf);
    else levels_[0][index] = leaf;
    lift(index);
}

void ArrayTree::lift(std::size_t index) {
    for (std::size_t level = 0; levels_[level].size() > 1; ++level) {
        if (level + 1 == levels_.size()) levels_.emplace_back();
        const auto& below = levels_[level];
        const auto left = index & ~std::size_t{1};
        const auto digest = left + 1 < below.size() ? node(below[left], below[left + 1]) : below[left];
        index /= 2;
        auto& row = levels_[level + 1];
        if (index == row.size()) row.push_back(digest);
        else row[index] = digest;
    }
}

void ArrayTree::truncate(std::size_t size) {
    if (size >= this->size()) return;
    if (size == 0) return levels_.clear();
    std::size_t height = 1;
    for (auto& row : levels_) {
        row.erase(row.begin() + static_cast<std::ptrdiff_t>(size), row.end());
        if (size == 1) break;
        size = (size + 1) / 2;
        ++height;
    }
    levels_.resize(height);
    lift(levels_[0].size() - 1);
}

Sha256Digest ArrayTree::root() const { return levels_.empty() ? sha256(ByteView{}) : levels_.back()[0]; }

}  // namespace qscd::log
