#include "hsm/deployed/deployed_modules.hpp"

#include "base/clock.hpp"
#include "base/diagnostics.hpp"

namespace qscd::hsm {

ModuleSettings settings_of(policy::ModuleStart start) {
    return {std::move(start.library), std::move(start.reserved), std::move(start.environment),
            std::move(start.durable_folder)};
}

Requirements requirements_of(const policy::ModuleEntry& entry, std::vector<Use> one_of,
                             std::shared_ptr<AttestedPlace> place) {
    return {[entry, place = std::move(place)](const TokenInfo& token) -> Result<void> {
                QSCD_TRY(entry.check({token.label, token.manufacturer, token.model, token.firmware}));
                if (entry.certification && !entry.certification->covers(token.firmware, process_clock().now()))
                    note(Level::warning, "module-not-certified",
                         {{"token", token.label},
                          {"firmware", token.firmware},
                          {"certificate", entry.certification->certificate},
                          {"ended", iso8601(entry.certification->expires)}});
                if (place) place->saw_firmware(token.firmware);
                return success();
            },
            std::move(one_of)};
}

Result<DeployedModules::Wired> DeployedModules::of(std::string_view entry) {
    QSCD_TRY(auto wiring, deployment_.wiring(daemon_, entry));
    auto& known = loaded_[wiring.start.library];
    if (!known) {
        QSCD_TRY(known, Module::load(settings_of(wiring.start)));
    }
    return Wired{std::move(wiring), known};
}

Result<std::unique_ptr<Token>> DeployedModules::open(const Wired& wired, const std::string& label, unsigned threads,
                                                     std::vector<Use> one_of,
                                                     std::shared_ptr<AttestedPlace> place) const {
    QSCD_TRY(auto pin, deployment_.token_pin(label));
    return Token::open(wired.module, label, std::move(pin), threads,
                       require(requirements_of(wired.wiring.entry, std::move(one_of), std::move(place))));
}

}  // namespace qscd::hsm
