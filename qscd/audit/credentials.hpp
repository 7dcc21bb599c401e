// What the records say of each credential: the chain of its records, what was intended and came of it, what was authorised
// and is signed. [sam-state 5] [AUD-03] Thread rules: one owner.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "protocol/record.pb.h"
#include "qscd/audit/findings.hpp"

namespace qscd::audit {

class Credentials {
public:
    explicit Credentials(Findings& findings) : findings_(findings) {}
    void take(const pb::LogRecord& record);
    // The closing record's list of intents without a result.
    void compare_open(const pb::LogRecord& closing);
    // At the end: what was begun and may have happened.
    void note_open();

private:
    struct Intent {
        std::string_view type;
        std::string credential, actor;
        std::uint64_t hashes;
    };
    struct History {
        std::uint64_t newest = 0;  // number + 1 of its newest record
        bool has_cell = false;     // from its first Grant on; before, somebody asked for what is not there
        std::unordered_map<std::string, std::int64_t> unused;  // by portal: hashes authorised and not signed yet
    };
    void chain(const pb::LogRecord& record);
    void intend(const pb::LogRecord& record, std::string_view type);
    void conclude(const pb::LogRecord& record, std::string_view type);

    Findings& findings_;
    std::unordered_map<std::string, History> histories_;
    std::map<std::uint64_t, Intent> open_;
    std::unordered_set<std::uint64_t> concluded_;
};

}  // namespace qscd::audit
