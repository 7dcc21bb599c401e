// Which place of the cell array a cell has: kind and id to index, at about six bytes a cell. Open addressing over indexes
// alone; the ids stand in the array. Thread rules: one owner.
#pragma once

#include "base/random.hpp"
#include "qscd/sam/state/state_store.hpp"

namespace qscd::sam {

class CellIndex {
public:
    explicit CellIndex(const std::vector<Leaf>& leaves) : leaves_(leaves), salt_(random_fixed<Salt>()) {}

    // Before the leaf at `index` is looked for. False: kind and id are there already.
    bool add(std::size_t index) {
        if (2 * (count_ + 1) > slots_.size()) grow();
        if (find(leaves_[index].kind, leaves_[index].id)) return false;
        place(index);
        ++count_;
        return true;
    }
    std::optional<std::size_t> find(CellKind kind, const CellId& id) const {
        if (slots_.empty()) return std::nullopt;
        for (auto at = slot_of(kind, id);; at = (at + 1) % slots_.size()) {
            if (slots_[at] == free) return std::nullopt;
            if (leaves_[slots_[at]].id == id && leaves_[slots_[at]].kind == kind) return slots_[at];
        }
    }
    void reserve(std::size_t count) {
        while (slots_.size() < 2 * count) grow();
    }

private:
    using Salt = FixedBytes<struct SaltTag, 16>;
    static constexpr std::uint32_t free = 0xffffffff;

    // Salted: some ids are chosen by others, who shall not choose collisions with them.
    std::size_t slot_of(CellKind kind, const CellId& id) const {
        std::uint64_t a = 0, b = 0, s = 0, t = 0;
        std::memcpy(&a, id.bytes().data(), 8);
        std::memcpy(&b, id.bytes().data() + 8, 8);
        std::memcpy(&s, salt_.bytes().data(), 8);
        std::memcpy(&t, salt_.bytes().data() + 8, 8);
        __extension__ using Wide = unsigned __int128;
        const auto product = static_cast<Wide>(a ^ s) * ((b ^ t) | 1) + static_cast<std::uint64_t>(kind) * t;
        return static_cast<std::size_t>(static_cast<std::uint64_t>(product >> 64) ^
                                        static_cast<std::uint64_t>(product)) %
               slots_.size();
    }
    void place(std::size_t index) {
        auto at = slot_of(leaves_[index].kind, leaves_[index].id);
        while (slots_[at] != free) at = (at + 1) % slots_.size();
        slots_[at] = static_cast<std::uint32_t>(index);
    }
    void grow() {
        const auto old = std::exchange(slots_,
                                       std::vector<std::uint32_t>(std::max<std::size_t>(16, slots_.size() * 2), free));
        for (const auto index : old)
            if (index != free) place(index);
    }

    const std::vector<Leaf>& leaves_;
    Salt salt_;
    std::vector<std::uint32_t> slots_;
    std::size_t count_ = 0;
};

}  // namespace qscd::sam
