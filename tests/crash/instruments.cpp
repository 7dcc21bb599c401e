#include "tests/crash/instruments.hpp"

#include <fstream>

#include "base/file.hpp"
#include "tests/integration/program.hpp"

namespace qscd::crash {
namespace {

namespace fs = std::filesystem;
using integration::required;

fs::path folder_for_all(const fs::path& path) {
    fs::create_directories(path);
    fs::permissions(path, fs::perms{0777});  // each daemon has a user of its own
    return path;
}

void replace_in(const fs::path& file, const std::string& from, const std::string& to) {
    auto text = required(read_file(file), "qscd.toml");
    const auto at = text.find(from);
    integration::require(at != std::string::npos, "qscd.toml does not say " + from);
    required(write_file(file, text.replace(at, from.size(), to)), "qscd.toml");
}

}  // namespace

integration::RunningDeployment::How Instruments::how() {
    return {.qscd = "bin/qscd", .up = {"--at-once"}, .before_start = [this](auto& deployment) { build(deployment); }};
}

void Instruments::build(integration::RunningDeployment& deployment) {
    top_ = fs::canonical(deployment.top());
    const auto bin = top_ / "bin";
    fs::create_directories(bin);
    fs::permissions(bin, fs::perms{0755});
    fs::copy_file(integration::binary_folder / "qscd", bin / "qscd");  // daemons are looked for beside it
    for (const auto* each : {"qscd-notifierd-test", "qscd-statusd-test"})
        fs::create_symlink(integration::binary_folder / each, bin / each);
    folder_for_all(top_ / "crash");
    folder_for_all(top_ / "spy");
    const auto library = deployment.settings().library.string();
    replace_in(top_ / "deployment" / "qscd.toml", "library = \"" + library + "\"",
               "library = \"" + std::string{QSCD_SPY_LIBRARY} + "\"");
    for (const auto name : victims) {
        const std::string daemon{name};
        std::vector<fs::path> roots;
        std::string list;
        for (const auto* part : {"db", "tokens"}) {
            const auto folder = top_ / "deployment" / part / daemon;
            if (part == std::string_view{"db"} && fs::create_directory(folder))  // as the first start would
                fs::permissions(folder, fs::perms{0700});
            if (!fs::exists(folder)) continue;
            roots.push_back(folder);
            list += (list.empty() ? "" : ":") + folder.string();
        }
        const auto place = folder_for_all(top_ / "shadow") / daemon;
        disks_.emplace(daemon, Shadow{roots, place});
        integration::require(disks_.at(daemon).sync_all(), "the shadow of " + daemon);
        std::ofstream script{bin / ("qscd-" + daemon + "-test")};
        script << "#!/bin/sh\nif [ -e '" << gate(name, "hold").string() << "' ]; then : >'"
               << gate(name, "held").string() << "'; while [ -e '" << gate(name, "hold").string()
               << "' ]; do sleep 0.01; done; fi\nexec env LD_PRELOAD='" << QSCD_POWERCUT << "' QSCD_POWERCUT_ROOT='"
               << list << "' QSCD_POWERCUT_SHADOW='" << place.string() << "' QSCD_TEST_CRASH_FILE='"
               << (top_ / "crash" / "point").string() << "' QSCD_POWERCUT_POINT='" << sync_of(daemon)
               << "' QSCD_SPY_TARGET='" << library << "'";
        if (daemon == "samd")
            script << " QSCD_SPY_LOG='" << calls().string() << "' QSCD_SPY_FAULTS='"
                   << (top_ / "spy" / "faults").string() << "'";
        if (daemon == planted_) script << " QSCD_POWERCUT_PLANT='" << plant_ << "'";
        script << " '" << (integration::binary_folder / ("qscd-" + daemon + "-test")).string() << "' \"$@\"\n";
        script.close();
        fs::permissions(bin / ("qscd-" + daemon + "-test"), fs::perms{0755});
    }
    command_spy("");
}

void Instruments::arm(std::string_view point, unsigned passage) const {
    required(write_file(top_ / "crash" / "point", std::string{point} + ":" + std::to_string(passage)), "crash point");
}
fs::path Instruments::gate(std::string_view daemon, const char* what) const {
    return top_ / "crash" / (std::string{daemon} + "." + what);
}
void Instruments::hold(std::string_view daemon) const {
    fs::remove(gate(daemon, "held"));
    required(write_file(gate(daemon, "hold"), ""), "a gate");
}
bool Instruments::is_held(std::string_view daemon) const { return fs::exists(gate(daemon, "held")); }
void Instruments::let_go(std::string_view daemon) const { fs::remove(gate(daemon, "hold")); }

bool Instruments::armed() const { return fs::exists(top_ / "crash" / "point"); }
void Instruments::disarm() const { fs::remove(top_ / "crash" / "point"); }

void Instruments::command_spy(std::string_view lines) const {
    required(write_file(top_ / "spy" / "faults", lines), "the spy's faults");
}

}  // namespace qscd::crash
