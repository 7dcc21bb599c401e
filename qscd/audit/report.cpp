#include "qscd/audit/report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace qscd::audit {
namespace {

constexpr std::array<std::string_view, 4> place_names{"log", "line", "record", "head"};

boost::json::object object_of(const Where& where) {
    boost::json::object out{{"place", place_names[static_cast<std::size_t>(where.place)]}};
    if (where.place != Place::log) out["number"] = where.number;
    return out;
}

std::string counted(std::uint64_t count, std::string_view what) {
    return std::to_string(count) + " " + std::string{what} + (count == 1 ? "" : "s");
}

}  // namespace

std::string describe(const Where& where) {
    switch (where.place) {
        case Place::log: return "the log";
        case Place::line: return "line " + std::to_string(where.number);
        case Place::record: return "record " + std::to_string(where.number);
        case Place::head: return "head after record " + std::to_string(where.number);
    }
    return {};
}

std::string human_text(const Report& report) {
    std::string out = report.clean() ? "clean\n" : counted(report.findings.size() + report.untold, "finding") + "\n";
    for (const auto& finding : report.findings) {
        out += "  " + describe(finding.where);
        if (finding.line != 0 && finding.where.place != Place::line)
            out += " (line " + std::to_string(finding.line) + ")";
        out += ": " + std::string{row_of(finding.check).name} + ": " + finding.what + "\n";
    }
    if (report.untold != 0) out += "  and " + std::to_string(report.untold) + " more\n";
    out += counted(report.records, "record") + ", " + counted(report.heads, "good head") + ", " +
           counted(report.epochs, "epoch") + (report.trial ? ", trial" : "") + "\n";
    if (!report.genesis.empty()) out += "genesis " + report.genesis + "\n";
    if (report.newest)
        out += "newest head: after record " + std::to_string(report.newest->size - 1) + ", epoch " +
               std::to_string(report.newest->epoch) + "\n";
    for (const auto& note : report.notes) out += "note: " + describe(note.where) + ": " + note.what + "\n";
    return out;
}

std::string json_text(const Report& report) {
    boost::json::array findings, notes;
    for (const auto& finding : report.findings)
        findings.push_back(boost::json::object{{"check", row_of(finding.check).name},
                                               {"where", object_of(finding.where)},
                                               {"line", finding.line},
                                               {"what", finding.what}});
    for (const auto& note : report.notes)
        notes.push_back(boost::json::object{{"where", object_of(note.where)}, {"what", note.what}});
    boost::json::object out{{"clean", report.clean()},   {"findings", std::move(findings)}, {"untold", report.untold},
                            {"notes", std::move(notes)}, {"records", report.records},       {"heads", report.heads},
                            {"epochs", report.epochs},   {"genesis", report.genesis},       {"trial", report.trial},
                            {"newest", nullptr}};
    if (report.newest)
        out["newest"] = boost::json::object{
            {"size", report.newest->size}, {"epoch", report.newest->epoch}, {"checkpoint", report.newest->text}};
    return boost::json::serialize(out);
}

}  // namespace qscd::audit
