// qscd-audit-verify: checks an exported log with public keys alone. Needs no server and no secret. [AUD-14]
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "base/file.hpp"
#include "qscd/audit/verifier.hpp"

namespace qscd::audit {
namespace {

enum class ExitCode : int { clean = 0, findings = 1, usage = 2 };

struct Asked {
    std::string key_file, checkpoint_file, export_file;
    bool json = false;
};

Result<Report> report_on(const Asked& asked) {
    QSCD_TRY(const auto pem, read_file(asked.key_file));
    QSCD_TRY(auto key, public_key_from_pem(pem));
    Options options;
    if (!asked.checkpoint_file.empty()) {
        QSCD_TRY(auto text, read_file(asked.checkpoint_file));
        options.checkpoint = std::move(text);
    }
    std::ifstream in{asked.export_file, std::ios::binary};
    if (!in) return Error{Errc::configuration, "cannot open " + asked.export_file};
    Verifier verifier{*key, std::move(options)};
    std::vector<char> piece(1 << 20);
    while (in) {
        in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        verifier.take({piece.data(), static_cast<std::size_t>(in.gcount())});
    }
    if (in.bad()) return Error{Errc::configuration, "cannot read " + asked.export_file};
    return verifier.finish();
}

ExitCode run(int argc, char** argv) {
    Asked asked;
    CLI::App app{
        "Checks an exported log of a qscd signature activation module.\n"
        "Exit code: 0 clean, 1 something is wrong, 2 usage.",
        "qscd-audit-verify"};
    app.footer("Example: qscd-audit-verify --attestation-key sam-attestation.pub.pem --checkpoint last.txt log.export");
    app.set_version_flag("--version", QSCD_VERSION);
    app.add_flag("--json", asked.json, "answer with one JSON object");
    app.add_option("--attestation-key", asked.key_file, "PEM of the attestation key's public half")->required();
    app.add_option("--checkpoint", asked.checkpoint_file, "a checkpoint kept elsewhere: then a cut tail is found");
    app.add_option("export", asked.export_file, "file written by `qscd audit export`")->required();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ExitCode::clean : ExitCode::usage;
    }
    const auto report = report_on(asked);
    if (!report) {
        std::cerr << "qscd-audit-verify: " << report.error().detail << std::endl;
        return ExitCode::usage;
    }
    std::cout << (asked.json ? json_text(report.value()) + "\n" : human_text(report.value())) << std::flush;
    return report.value().clean() ? ExitCode::clean : ExitCode::findings;
}

}  // namespace
}  // namespace qscd::audit

int main(int argc, char** argv) { return static_cast<int>(qscd::audit::run(argc, argv)); }
