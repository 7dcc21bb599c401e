// A hash tree over a dense array whose entries change: leaf SHA-256(02 | entry), node SHA-256(03 | left | right), the
// shape of RFC 6962. A change costs one digest a level. Thread rules: one owner.
#pragma once

#include <vector>

#include "base/digest.hpp"

namespace qscd::log {

class ArrayTree {
public:
    static Sha256Digest leaf(ByteView entry);
    static ArrayTree of(std::vector<Sha256Digest> leaves);  // all at once: one digest a node

    void set(std::size_t index, ByteView entry) { set(index, leaf(entry)); }
    void set(std::size_t index, const Sha256Digest& leaf);  // index ≤ size(): an existing one, or the next
    void truncate(std::size_t size);                        // drops the entries from `size` on
    std::size_t size() const { return levels_.empty() ? 0 : levels_[0].size(); }
    Sha256Digest root() const;  // of the empty tree: SHA-256 of nothing

private:
    void lift(std::size_t index);                    // recomputes what lies above an entry
    std::vector<std::vector<Sha256Digest>> levels_;  // leaves first; an entry without a sibling moves up as it is
};

}  // namespace qscd::log
