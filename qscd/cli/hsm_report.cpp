#include "qscd/cli/hsm_report.hpp"

#include <boost/algorithm/string/join.hpp>
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <sstream>

namespace qscd::cli {
namespace {

using hsm::Use;

struct Sentence {
    std::string_view finding, yes, no;
};
constexpr std::string_view anchors = "labels-change";
constexpr std::array sentences{
    Sentence{anchors, "Its anchors are labels of data objects, written in place.",
             "Its anchors are numbered data objects, a new one for each state: slower."},
    Sentence{"begun-operations-end", "A destroyed head key signs nothing more, by the module itself.",
             "A signature that was begun is finished although its head key was destroyed: our fence looks once more."},
    Sentence{"allowed-mechanisms-enforced", "Keys are bound to their mechanisms by the module.",
             "The module does not bind keys to their mechanisms: our server does."},
    Sentence{"ecdh-derives", "It can open activation data that is sealed to a key in it.",
             "It cannot open activation data that is sealed to a key in it."},
    Sentence{"generation-told", "It tells how a key was made, which stands in a key's evidence.",
             "It does not tell how a key was made."},
    Sentence{"session-copy", "Hot keys of our own could be copied into sessions, to be faster.",
             "Keys cannot be copied into sessions."},
    Sentence{"wrap-with-trusted-enforced", "A key can be bound to trusted wrapping keys.",
             "A key cannot be bound to trusted wrapping keys."},
};

std::string wrap_mechanism_of(const hsm::ProbeReport& report) {
    std::ostringstream out;
    out << "Wrapped keys would travel under mechanism 0x" << std::hex << *report.wrap_mechanism
        << "; a blob opens on modules of the same family alone.";
    return out.str();
}

std::string toml_text(std::string_view text) {
    std::string out{'"'};
    for (const char c : text) (c == '"' || c == '\\') ? (out += '\\') += c : out += c;
    return out += '"';
}

}  // namespace

std::vector<std::string> in_words(const hsm::ProbeReport& report) {
    std::vector<std::string> out;
    for (const auto& row : hsm::use_rows()) {
        const auto lacks = report.lacking(row.use);
        const auto failed = report.unfit_for(row.use);
        std::string text{lacks.empty()    ? "It can hold "
                         : failed.empty() ? "Not tried whether it can hold "
                                          : "It CANNOT hold "};
        text += row.means;
        if (!failed.empty())
            text += ": " + boost::algorithm::join(std::vector<std::string>{failed.begin(), failed.end()}, ", ");
        out.push_back(text + ".");
    }
    for (const auto& sentence : sentences) {
        if (sentence.finding == anchors && !report.has("data-objects")) continue;
        const auto* finding = report.find(sentence.finding);
        if (finding != nullptr && finding->tried) out.emplace_back(finding->found ? sentence.yes : sentence.no);
    }
    if (report.wrap_mechanism) out.push_back(wrap_mechanism_of(report));
    return out;
}

std::string proposed_entry(const hsm::ProbeReport& report, std::string_view library) {
    return "name = \"…\"\nlibrary = " + toml_text(library) + "\nmodel = " + toml_text(report.token.model) +
           "\nmanufacturer = " + toml_text(report.token.manufacturer) + "\nfirmware = [" +
           toml_text(report.token.firmware) + "]\nconcurrency = 1\n";
}

boost::json::object json_of(const hsm::ProbeReport& report) {
    boost::json::array findings, mechanisms, words;
    for (const auto& each : report.findings) {
        boost::json::array needed_by;
        for (const auto& row : hsm::use_rows())
            if ((each.needed_by & static_cast<unsigned>(row.use)) != 0) needed_by.emplace_back(row.name);
        findings.push_back(boost::json::object{{"name", each.name},
                                               {"means", each.means},
                                               {"needed_by", std::move(needed_by)},
                                               {"tried", each.tried},
                                               {"found", each.found},
                                               {"detail", each.detail}});
    }
    boost::json::object uses;
    for (const auto& row : hsm::use_rows()) {
        boost::json::array lacks;
        for (const auto name : report.lacking(row.use)) lacks.emplace_back(name);
        uses[row.name] = boost::json::object{{"fit", lacks.empty()}, {"lacks", std::move(lacks)}};
    }
    for (const auto mechanism : report.mechanisms) mechanisms.emplace_back(mechanism);
    for (const auto& each : in_words(report)) words.emplace_back(each);
    return {{"token", report.token.label},
            {"manufacturer", report.token.manufacturer},
            {"model", report.token.model},
            {"firmware", report.token.firmware},
            {"serial", report.token.serial},
            {"cryptoki", report.cryptoki},
            {"library", report.library},
            {"flags", boost::json::value_from(report.flags)},
            {"sessions", report.sessions},
            {"mechanisms", std::move(mechanisms)},
            {"wrap_mechanism", report.wrap_mechanism ? boost::json::value{*report.wrap_mechanism} : nullptr},
            {"fit", report.fit()},
            {"uses", std::move(uses)},
            {"words", std::move(words)},
            {"findings", std::move(findings)}};
}

}  // namespace qscd::cli
