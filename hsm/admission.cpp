#include "hsm/admission.hpp"

#include <algorithm>

#include "base/diagnostics.hpp"
#include "hsm/session.hpp"

namespace qscd::hsm {
namespace {

Result<TokenInfo> seen_by(Session& session) {
    CK_SESSION_INFO where{};
    if (const CK_RV rv = session.api().C_GetSessionInfo(session.handle(), &where); rv != CKR_OK)
        return error_of(rv, "C_GetSessionInfo");
    CK_TOKEN_INFO info{};
    if (const CK_RV rv = session.api().C_GetTokenInfo(where.slotID, &info); rv != CKR_OK)
        return error_of(rv, "C_GetTokenInfo");
    return token_info(where.slotID, info);
}

void add(std::string& list, std::string_view word) { list.append(list.empty() ? "" : ", ").append(word); }

// For the operational log: which module it is, and what it does not do, needed or not.
void write_down(const ProbeReport& report) {
    std::string lacks, uses;
    for (const auto& each : report.findings)
        if (each.tried && !each.found) add(lacks, each.name);
    for (const auto& row : use_rows())
        if (report.unfit_for(row.use).empty()) add(uses, row.name);
    note("token-probed", {{"token", report.token.label},
                          {"manufacturer", report.token.manufacturer},
                          {"model", report.token.model},
                          {"firmware", report.token.firmware},
                          {"serial", report.token.serial},
                          {"library", report.library},
                          {"uses", uses},
                          {"lacks", lacks}});
}

Error unfit(const ProbeReport& report, Use use) {
    std::string reasons;
    for (const auto name : report.unfit_for(use)) {
        const auto* finding = report.find(name);
        add(reasons, std::string{name} + " (" + std::string{finding->means} +
                         (finding->detail.empty() ? "" : ": " + finding->detail) + ")");
    }
    const auto row = std::ranges::find(use_rows(), use, &UseRow::use);
    return {Errc::configuration, "token " + report.token.label + " is not fit for " + std::string{row->means} +
                                     ": it fails " + reasons + " [QSCD-29]"};
}

}  // namespace

Admission require(Requirements wanted) {
    return [wanted = std::move(wanted), probed = false](Session& session) mutable -> Result<void> {
        const auto refused = [](Error error) {
            if (error.code == Errc::configuration) note(Level::alarm, "token-unfit", {{"reason", describe(error)}});
            return error;
        };
        QSCD_TRY(const auto token, seen_by(session));
        if (wanted.model) {
            if (const auto fits = wanted.model(token); !fits) return refused(fits.error());
        }
        if (probed || wanted.one_of.empty()) return success();
        QSCD_TRY(const auto report, probe_on(session, Depth::start));
        write_down(report);
        if (std::ranges::none_of(wanted.one_of, [&](Use use) { return report.unfit_for(use).empty(); }))
            return refused(unfit(report, wanted.one_of.front()));
        probed = true;
        return success();
    };
}

}  // namespace qscd::hsm
