// Gathers what is wrong while the export is read. Damage at one place breaks all that rests on it: that is told once,
// with the number of the others. Thread rules: one owner.
#pragma once

#include <map>
#include <set>

#include "qscd/audit/report.hpp"

namespace qscd::audit {

class Findings {
public:
    Findings(std::size_t most, std::set<Check> off) : most_(most), off_(std::move(off)) {}
    void at_line(std::uint64_t line) { line_ = line; }

    void add(Check check, Where where, std::string what);
    // The first with this cause is told, the others are counted.
    void add_once(Check check, const std::string& cause, Where where, std::string what);
    void note(Where where, std::string what);

    void move_into(Report& report);

private:
    struct Followers {
        std::size_t first;  // in findings_
        std::uint64_t count = 0;
        Where last;
    };
    std::size_t most_;
    std::set<Check> off_;
    std::uint64_t line_ = 0, untold_ = 0;
    std::vector<Finding> findings_;
    std::vector<Note> notes_;
    std::map<std::pair<Check, std::string>, Followers> followers_;
};

}  // namespace qscd::audit
