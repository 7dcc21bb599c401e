#include "qscd/cli/hsm.hpp"

#include <boost/json/array.hpp>

#include "base/file.hpp"
#include "hsm/deployed/deployed_modules.hpp"
#include "qscd/cli/hsm_homes.hpp"
#include "qscd/cli/hsm_report.hpp"

namespace qscd::cli {
namespace {

constexpr std::string_view token_folder_mark = "{tokens}";

struct Probed {
    hsm::ProbeReport report;
    std::string library;
    std::optional<policy::ModuleEntry> entry;
    std::string refusal = {};  // by the registry's entry

    bool fit() const { return report.fit() && refusal.empty(); }
};

Result<SecretBytes> pin_for(const ProbeSettings& settings, const std::string& token) {
    if (settings.pin_file.empty()) return secret(settings.pin_descriptor, "user PIN of token " + token);
    QSCD_TRY(auto text, read_file(settings.pin_file));
    if (text.ends_with('\n')) text.pop_back();
    SecretBytes pin{text};
    wipe(text);
    return pin;
}

Result<Probed> probe(std::shared_ptr<hsm::Module> module, const std::string& label, SecretBytes pin, bool quick,
                     std::string library, std::optional<policy::ModuleEntry> entry) {
    QSCD_TRY(const auto token, hsm::Token::open(std::move(module), label, std::move(pin), 1));
    QSCD_TRY(auto report, hsm::probe(*token, quick ? hsm::Depth::start : hsm::Depth::full));
    Probed out{std::move(report), std::move(library), std::move(entry)};
    const auto& seen = out.report.token;
    if (!out.entry) return out;
    if (const auto checked = out.entry->check({seen.label, seen.manufacturer, seen.model, seen.firmware}); !checked)
        out.refusal = checked.error().detail;
    return out;
}

std::string lines_of(const Probed& probed) {
    auto out = hsm::describe(probed.report) + "\nwhat our server could do with it\n";
    for (const auto& each : in_words(probed.report)) out += "  " + each + "\n";
    if (!probed.entry) {
        out += "no entry of a module registry was named; one would begin\n\n" +
               proposed_entry(probed.report, probed.library);
        return out + "\n";
    }
    out += probed.refusal.empty() ? "it is what the module registry's entry " + probed.entry->name + " says\n"
                                  : "REFUSED at start: " + probed.refusal + "\n";
    if (const auto& paper = probed.entry->certification)
        out += "certificate " + paper->certificate + ", counts until " + iso8601(paper->expires) + "\n";
    else out += "the entry names no certificate of the module\n";
    return out + "\n";
}

boost::json::object object_of(const Probed& probed) {
    auto out = json_of(probed.report);
    out["entry"] = probed.entry ? boost::json::value(probed.entry->name) : nullptr;
    out["refusal"] = probed.refusal;
    return out;
}

Result<std::vector<Probed>> probe_deployment(const policy::Deployment& deployment, const ProbeSettings& settings) {
    QSCD_TRY(const auto homes, homes_in(deployment, settings.token));
    std::vector<Probed> out;
    for (const auto& home : homes) {
        // Loaded by itself: a module finds its files by the environment, and each daemon has its own.
        hsm::DeployedModules modules{deployment, std::string{home.daemon}};
        QSCD_TRY(auto wired, modules.of(home.module));
        QSCD_TRY(auto pin, deployment.token_pin(home.token));
        QSCD_TRY(auto probed, probe(std::move(wired.module), home.token, std::move(pin), settings.quick,
                                    wired.wiring.start.library.string(), std::move(wired.wiring.entry)));
        out.push_back(std::move(probed));
    }
    return out;
}

// What names the daemon's token folder is left to the caller's environment where there is no deployment.
Result<policy::ModuleStart> start_of(const Options& options, const policy::ModuleEntry& entry) {
    if (std::filesystem::exists(options.deployment / "qscd.toml")) {
        QSCD_TRY(const auto deployment, policy::Deployment::load(options.deployment));
        return entry.start_in(deployment.token_folder("samd"));
    }
    policy::ModuleStart out{entry.library, entry.reserved, {}, {}};
    for (const auto& [name, value] : entry.environment)
        if (value.find(token_folder_mark) == std::string::npos) out.environment.emplace(name, value);
    return out;
}

struct Stranger {
    policy::ModuleStart start;
    std::optional<policy::ModuleEntry> entry;
};
Result<Stranger> stranger(const Options& options, const ProbeSettings& settings) {
    Stranger out;
    if (settings.module.find('/') != std::string::npos) {
        out.start.library = settings.module;
    } else {
        const auto folder = settings.modules.empty() ? options.deployment / "modules" : settings.modules;
        QSCD_TRY(const auto registry, policy::ModuleRegistry::load(folder));
        const auto* entry = registry.find(settings.module);
        if (entry == nullptr)
            return Error{Errc::configuration, folder.string() + ": the module registry has no entry " +
                                                  settings.module + "; a library is named by its path"};
        QSCD_TRY(out.start, start_of(options, *entry));
        out.entry = *entry;
    }
    out.start.durable_folder.clear();  // nothing is written
    if (!settings.reserved.empty()) out.start.reserved = settings.reserved;
    if (out.start.reserved.find(token_folder_mark) != std::string::npos)
        return Error{Errc::configuration, "the entry's reserved string needs a folder; give --reserved"};
    for (const auto& each : settings.environment) {
        const auto at = each.find('=');
        if (at == 0 || at == std::string::npos) return Error{Errc::configuration, "--environment wants NAME=VALUE"};
        out.start.environment.insert_or_assign(each.substr(0, at), each.substr(at + 1));
    }
    return out;
}

Result<std::string> label_in(const hsm::Module& module, const std::string& wanted) {
    QSCD_TRY(const auto tokens, module.tokens());
    std::string labels;
    for (const auto& each : tokens) {
        if (each.label == wanted) return wanted;
        labels += (labels.empty() ? "" : ", ") + each.label;
    }
    if (wanted.empty() && tokens.size() == 1) return tokens.front().label;
    if (tokens.empty()) return Error{Errc::configuration, "the module has no initialised token"};
    return Error{Errc::configuration,
                 (wanted.empty() ? "several tokens; choose one by --token: " : "no such token; there are: ") + labels};
}

Result<std::vector<Probed>> probe_stranger(const Options& options, const ProbeSettings& settings) {
    QSCD_TRY(auto found, stranger(options, settings));
    const auto library = found.start.library.string();
    QSCD_TRY(auto module, hsm::Module::load(hsm::settings_of(std::move(found.start))));
    QSCD_TRY(const auto label, label_in(*module, settings.token));
    QSCD_TRY(auto pin, pin_for(settings, label));
    QSCD_TRY(auto probed,
             probe(std::move(module), label, std::move(pin), settings.quick, library, std::move(found.entry)));
    std::vector<Probed> out;
    out.push_back(std::move(probed));
    return out;
}

}  // namespace

Result<std::vector<Home>> homes_in(const policy::Deployment& deployment, const std::string& label) {
    std::vector<Home> out{{policy::sam_token, "samd", {}, Role::sam}};
    for (const auto& shard : deployment.shards) out.push_back({shard.token, "samd", shard.module, Role::signers});
    out.push_back({policy::ra_token, "rad", {}, Role::registration});
    out.push_back({policy::ca_token, "cad", {}, Role::authority});
    if (label.empty()) return out;
    std::erase_if(out, [&](const Home& home) { return home.token != label; });
    if (out.empty()) return Error{Errc::configuration, "the deployment has no token " + label};
    return out;
}

Result<void> probe_modules(const Options& options, const ProbeSettings& settings) {
    std::vector<Probed> all;
    if (settings.module.empty()) {
        QSCD_TRY(const auto deployment, policy::Deployment::load(options.deployment));
        QSCD_TRY(all, probe_deployment(deployment, settings));
    } else {
        QSCD_TRY(all, probe_stranger(options, settings));
    }
    std::string lines;
    boost::json::array reports;
    bool fit = true;
    for (const auto& each : all) {
        fit = fit && each.fit();
        lines += lines_of(each);
        reports.push_back(object_of(each));
    }
    while (lines.ends_with('\n')) lines.pop_back();
    answer(options, lines, {{"tokens", std::move(reports)}, {"fit", fit}});
    if (!fit) return Error{Errc::configuration, "a token is not fit for use"};
    return success();
}

}  // namespace qscd::cli
