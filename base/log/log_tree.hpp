// The log's append-only hash tree [RFC 6962, 2.1]: leaf SHA-256(00 | record), node SHA-256(01 | left | right). Keeps the
// right edge only, so a million records cost a few dozen digests. Thread rules: one owner.
#pragma once

#include <optional>
#include <vector>

#include "base/digest.hpp"

namespace qscd::log {

class LogTree {
public:
    void append(ByteView record);
    std::uint64_t size() const { return size_; }
    Sha256Digest root() const;  // of the empty tree: SHA-256 of nothing

    // The right edge, to go on from later: 32 bytes for each full subtree, largest first. Nothing when the bytes are not
    // as many as an edge of that size has; whether they are the right ones shows in the root.
    Bytes frontier() const;
    static std::optional<LogTree> from_frontier(std::uint64_t size, ByteView frontier);

private:
    std::vector<Sha256Digest> edge_;  // roots of the full subtrees, largest first
    std::uint64_t size_ = 0;
};

}  // namespace qscd::log
