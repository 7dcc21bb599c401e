// Where the world may step in while a process works: at each thing that it does to disk or token. Thread rules: one thread.
#pragma once

#include <cstdint>

namespace qscd::sam::simulation {

enum class Point : std::uint8_t {
    read,          // of the store
    before_write,  // of a batch
    inside_write,  // what a crash leaves of it, chance says: all or nothing
    after_write,
    before_head,  // its signature
    after_head,
    before_anchor,
    inside_anchor,  // what a crash leaves of the object, chance says: old, new or torn
    after_anchor,
    before_epoch,  // the new head key
    key_made,      // the old ones are still there
    olds_destroyed,
    pin_mac,
};

// The process ends here and now. It is no std::exception: nobody but the world catches it.
struct Killed {};

class Fate {
public:
    virtual ~Fate() = default;
    // True: this operation fails. May throw Killed; may let another process live its life before it returns.
    virtual bool fails_at(unsigned owner, Point point) = 0;
};

}  // namespace qscd::sam::simulation
