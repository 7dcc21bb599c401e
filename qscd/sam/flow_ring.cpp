#include "qscd/sam/flow_ring.hpp"

namespace qscd::sam {

Cells cells_for(Ledger& ledger, const CredentialId& credential, Reads reads) {
    Cells cells;
    if (reads == Reads::nothing) return cells;
    cells.credential = ledger.credential(credential);
    if (cells.credential && cells.credential.value())
        cells.locked_by_floor = cells.credential.value()->vouched_epoch() < ledger.floors().locked_before();
    if (reads == Reads::credential || !cells.credential || !cells.credential.value()) return cells;
    if (const auto device = held_device_of(*cells.credential.value())) cells.held_device = ledger.device(*device);
    return cells;
}

}  // namespace qscd::sam
