// What the verifier says: each thing that is wrong, where it stands, and which check found it. [AUD-04] [AUD-14]
// Thread rules: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qscd::audit {

enum class Check {
    form,
    genesis,
    record,
    sequence,
    batch,
    time,
    epoch,
    head,
    root,
    cells,
    open_intents,
    predecessor,
    intent,
    authorisation,
    tail,
    checkpoint,
};

// One row is one check: what must hold. docs/audit.md explains them under the same names.
struct CheckRow {
    Check check;
    std::string_view name, claim;
};
inline constexpr std::array check_rows{
    CheckRow{Check::form, "form", "lines, order of lines and the digest in the last line are as the export wrote them"},
    CheckRow{Check::genesis, "genesis", "the genesis names the given attestation key and opens the log"},
    CheckRow{Check::record, "record", "a record has one encoding, its salt, and the parts of its type"},
    CheckRow{Check::sequence, "sequence", "records are numbered from 0 without gap or repetition"},
    CheckRow{Check::batch, "batch", "each batch ends in a closing record of the epoch in force"},
    CheckRow{Check::time, "time", "time does not run backwards, but where people accepted it"},
    CheckRow{Check::epoch, "epoch", "each epoch is brought in by the attestation key and goes on where the last ended"},
    CheckRow{Check::head, "head", "a head is signed by the key of its epoch and stands behind its last record"},
    CheckRow{Check::root, "root", "a head's root is the root of the records before it"},
    CheckRow{Check::cells, "cells", "the cells' root and count follow from the leaves that changed"},
    CheckRow{Check::open_intents, "open-intents", "a closing record lists exactly the intents without a result"},
    CheckRow{Check::predecessor, "predecessor", "each record of a credential names the one before it"},
    CheckRow{Check::intent, "intent", "each result belongs to one intent, and no intent has two"},
    CheckRow{Check::authorisation, "authorisation", "nothing is signed that was not authorised before"},
    CheckRow{Check::tail, "tail", "every record stands under a signed head"},
    CheckRow{Check::checkpoint, "checkpoint", "the log goes on from the checkpoint that the auditor holds"},
};
constexpr const CheckRow& row_of(Check check) { return check_rows[static_cast<std::size_t>(check)]; }
static_assert(row_of(Check::checkpoint).check == Check::checkpoint);

enum class Place { log, line, record, head };

// number: of a line from 1, of a record from 0; a head stands after the record of that number.
struct Where {
    Place place = Place::log;
    std::uint64_t number = 0;
    bool operator==(const Where&) const = default;
};
std::string describe(const Where& where);

struct Finding {
    Check check;
    Where where;
    std::uint64_t line;  // of the export, from 1; 0: none
    std::string what;
};

// What is worth knowing and no damage.
struct Note {
    Where where;
    std::string what;
};

// A head that verified: whoever keeps it sees later whether this log was cut or exchanged.
struct Checkpoint {
    std::uint64_t size, epoch;
    std::string text;
};

struct Report {
    std::vector<Finding> findings;
    std::uint64_t untold = 0;  // findings beyond the limit
    std::vector<Note> notes;
    std::uint64_t records = 0, heads = 0, epochs = 0;  // heads: those that verified
    std::string genesis;                               // its digest in hex; empty: there was none
    bool trial = false;
    std::optional<Checkpoint> newest;
    bool clean() const { return findings.empty() && untold == 0; }
};

std::string human_text(const Report& report);  // lines
std::string json_text(const Report& report);   // one object, one line

}  // namespace qscd::audit
