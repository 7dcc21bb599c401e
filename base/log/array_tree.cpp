#include "base/log/array_tree.hpp"

namespace qscd::log {

void ArrayTree::set(std::size_t index, ByteView entry) {
    const std::uint8_t leaf = 0x02;
    const auto digest = sha256({ByteView{&leaf, 1}, entry});
    if (levels_.empty()) levels_.emplace_back();
    if (index == levels_[0].size()) levels_[0].push_back(digest);
    else levels_[0][index] = digest;
    lift(index);
}

void ArrayTree::lift(std::size_t index) {
    const std::uint8_t node = 0x03;
    for (std::size_t level = 0; levels_[level].size() > 1; ++level) {
        if (level + 1 == levels_.size()) levels_.emplace_back();
        const auto& below = levels_[level];
        const auto left = index & ~std::size_t{1};
        const auto digest = left + 1 < below.size()
                                ? sha256({ByteView{&node, 1}, below[left].bytes(), below[left + 1].bytes()})
                                : below[left];
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
