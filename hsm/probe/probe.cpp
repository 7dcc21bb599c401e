#include "hsm/probe/probe.hpp"

#include <algorithm>

#include "hsm/probe/trial.hpp"

namespace qscd::hsm {
namespace {

using namespace probing;

constexpr std::array uses{
    UseRow{Use::sam, "sam", "the SAM's own keys, heads and anchors"},
    UseRow{Use::service, "service", "keys of the registration and certification authorities"},
    UseRow{Use::elliptic_signers, "signers-elliptic", "signers' P-256 and P-384 keys that stay in the token"},
    UseRow{Use::rsa_signers, "signers-rsa", "signers' RSA keys that stay in the token"},
    UseRow{Use::wrapped_elliptic, "wrapped-elliptic", "signers' P-256 and P-384 keys as wrapped blobs"},
    UseRow{Use::wrapped_rsa, "wrapped-rsa", "signers' RSA keys as wrapped blobs"},
};

struct FlagRow {
    CK_FLAGS flag;
    std::string_view name;
};
constexpr std::array flag_rows{
    FlagRow{CKF_RNG, "random"},
    FlagRow{CKF_WRITE_PROTECTED, "write-protected"},
    FlagRow{CKF_LOGIN_REQUIRED, "login-required"},
    FlagRow{CKF_USER_PIN_INITIALIZED, "user-pin-set"},
    FlagRow{CKF_PROTECTED_AUTHENTICATION_PATH, "pin-at-the-device"},
    FlagRow{CKF_TOKEN_INITIALIZED, "initialised"},
    FlagRow{CKF_USER_PIN_COUNT_LOW, "user-pin-was-wrong"},
    FlagRow{CKF_USER_PIN_FINAL_TRY, "user-pin-last-try"},
    FlagRow{CKF_USER_PIN_LOCKED, "user-pin-locked"},
    FlagRow{CKF_USER_PIN_TO_BE_CHANGED, "user-pin-to-be-changed"},
    FlagRow{CKF_SO_PIN_COUNT_LOW, "so-pin-was-wrong"},
    FlagRow{CKF_SO_PIN_LOCKED, "so-pin-locked"},
};

struct MechanismRow {
    std::string_view name, means;
    CK_MECHANISM_TYPE mechanism;
    CK_FLAGS flag;
    unsigned needed_by;
};
constexpr std::array mechanism_rows{
    MechanismRow{"ec-key-pairs", "CKM_EC_KEY_PAIR_GEN", CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, elliptic_keys},
    MechanismRow{"ecdsa", "CKM_ECDSA", CKM_ECDSA, CKF_SIGN, elliptic_keys},
    MechanismRow{"secret-keys", "CKM_GENERIC_SECRET_KEY_GEN", CKM_GENERIC_SECRET_KEY_GEN, CKF_GENERATE, sam},
    MechanismRow{"hmac", "CKM_SHA256_HMAC", CKM_SHA256_HMAC, CKF_SIGN, sam},
    MechanismRow{"rsa-key-pairs", "CKM_RSA_PKCS_KEY_PAIR_GEN", CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR,
                 rsa_keys},
    MechanismRow{"rsa-pkcs1", "CKM_RSA_PKCS", CKM_RSA_PKCS, CKF_SIGN, rsa_keys},
    MechanismRow{"rsa-pss", "CKM_RSA_PKCS_PSS", CKM_RSA_PKCS_PSS, CKF_SIGN, rsa_keys},
    MechanismRow{"ecdh", "CKM_ECDH1_DERIVE, for sealed activation data", CKM_ECDH1_DERIVE, CKF_DERIVE, nobody},
    MechanismRow{"aes-keys", "CKM_AES_KEY_GEN", CKM_AES_KEY_GEN, CKF_GENERATE, wrapped_keys},
};
constexpr std::uint64_t fewest_sessions = 3;  // the one that keeps the login, one that works, and one beside it

std::string version_text(const CK_VERSION& version) {
    return std::to_string(version.major) + "." + std::to_string(version.minor);
}

void describe_library(Session& session, ProbeReport& report) {
    CK_INFO info{};
    if (session.api().C_GetInfo(&info) != CKR_OK) return;
    report.cryptoki = version_text(info.cryptokiVersion);
    report.library = padded_text(info.libraryDescription) + ", " + padded_text(info.manufacturerID) + ", " +
                     version_text(info.libraryVersion);
}

void look_at_token(const CK_TOKEN_INFO& info, ProbeReport& report) {
    for (const auto& row : flag_rows)
        if ((info.flags & row.flag) != 0) report.flags.emplace_back(row.name);
    const bool asks = (info.flags & CKF_LOGIN_REQUIRED) != 0;
    report.findings.push_back(
        {"login-required", "private objects are reached with the PIN alone", everybody, true, asks, ""});
    const auto limit_of = [](CK_ULONG count) {
        return count == CK_UNAVAILABLE_INFORMATION || count == CK_EFFECTIVELY_INFINITE ? 0 : std::uint64_t{count};
    };
    const auto open = limit_of(info.ulMaxSessionCount), writing = limit_of(info.ulMaxRwSessionCount);
    report.sessions = open == 0 ? writing : writing == 0 ? open : std::min(open, writing);
    report.findings.push_back({"sessions", "sessions enough: one to work in, one that keeps the login, one more",
                               everybody, true, report.sessions == 0 || report.sessions >= fewest_sessions,
                               report.sessions == 0 ? "no limit named" : std::to_string(report.sessions)});
}

// The count of the second call is the one that holds: some modules announce more than they list.
void list_mechanisms(Session& session, CK_SLOT_ID slot, ProbeReport& report) {
    CK_ULONG announced = 0;
    CK_RV rv = session.api().C_GetMechanismList(slot, nullptr, &announced);
    if (rv == CKR_OK) {
        report.mechanisms.resize(announced);
        CK_ULONG listed = announced;
        rv = session.api().C_GetMechanismList(slot, report.mechanisms.data(), &listed);
        report.mechanisms.resize(rv == CKR_OK ? std::min(listed, announced) : 0);
    }
    auto detail = rv == CKR_OK ? std::to_string(report.mechanisms.size()) + " mechanisms" : in_hex(rv);
    if (rv == CKR_OK && report.mechanisms.size() != announced)
        detail += ", " + std::to_string(announced) + " announced";
    report.findings.push_back({"mechanism-list", "C_GetMechanismList answers", everybody, true,
                               rv == CKR_OK && !report.mechanisms.empty(), std::move(detail)});
}

// What is listed and says that it does what we want of it.
void look_at_mechanisms(Session& session, CK_SLOT_ID slot, ProbeReport& report) {
    for (const auto& row : mechanism_rows) {
        CK_MECHANISM_INFO known{};
        const bool listed = std::ranges::count(report.mechanisms, row.mechanism) != 0;
        const CK_RV rv = session.api().C_GetMechanismInfo(slot, row.mechanism, &known);
        const bool found = listed && rv == CKR_OK && (known.flags & row.flag) != 0;
        report.findings.push_back({row.name, row.means, row.needed_by, true, found, rv == CKR_OK ? "" : in_hex(rv)});
        if (!found) std::erase(report.mechanisms, row.mechanism);
    }
}

std::string joined(const std::vector<std::string_view>& names) {
    std::string out;
    for (const auto name : names) out.append(out.empty() ? "" : ", ").append(name);
    return out;
}

}  // namespace

std::span<const UseRow> use_rows() { return uses; }

const Finding* ProbeReport::find(std::string_view name) const {
    const auto found = std::ranges::find(findings, name, &Finding::name);
    return found == findings.end() ? nullptr : &*found;
}

bool ProbeReport::has(std::string_view name) const {
    const auto* finding = find(name);
    return finding != nullptr && finding->tried && finding->found;
}

std::vector<std::string_view> ProbeReport::lacking(Use use) const {
    std::vector<std::string_view> out;
    for (const auto& each : findings)
        if ((each.needed_by & static_cast<unsigned>(use)) != 0 && !each.found) out.push_back(each.name);
    return out;
}

std::vector<std::string_view> ProbeReport::unfit_for(Use use) const {
    auto out = lacking(use);
    std::erase_if(out, [&](std::string_view name) { return !find(name)->tried; });
    return out;
}

bool ProbeReport::fit() const {
    return fit(Use::sam) && fit(Use::service) && (fit(Use::elliptic_signers) || fit(Use::rsa_signers));
}

Result<ProbeReport> probe_on(Session& session, Depth depth) {
    CK_SESSION_INFO where{};
    if (const CK_RV rv = session.api().C_GetSessionInfo(session.handle(), &where); rv != CKR_OK)
        return error_of(rv, "C_GetSessionInfo");
    CK_TOKEN_INFO info{};
    if (const CK_RV rv = session.api().C_GetTokenInfo(where.slotID, &info); rv != CKR_OK)
        return error_of(rv, "C_GetTokenInfo");
    ProbeReport report;
    report.token = token_info(where.slotID, info);
    report.depth = depth;
    describe_library(session, report);
    look_at_token(info, report);
    list_mechanisms(session, where.slotID, report);
    look_at_mechanisms(session, where.slotID, report);
    {
        Trial trial{session, where.slotID, depth, report.mechanisms};
        QSCD_TRY(try_keys(trial, report.findings));
        QSCD_TRY(try_refusals(trial, report.findings));
        QSCD_TRY(try_wrapping(trial, report.findings, report.wrap_mechanism));
        QSCD_TRY(try_ending(trial, report.findings));
    }
    QSCD_TRY(session.token_is_there());  // a token that went away meanwhile has not failed its checks
    session.clear();                     // what was refused here is no fault of the session
    return report;
}

Result<ProbeReport> probe(Token& token, Depth depth) {
    std::optional<ProbeReport> report;
    QSCD_TRY(token.on_session([&](Session& session) -> Result<void> {
        QSCD_TRY(report, probe_on(session, depth));
        return success();
    }));
    return *std::move(report);
}

std::string describe(const ProbeReport& report) {
    std::string out = "token " + report.token.label + "  " + report.token.manufacturer + ", " + report.token.model +
                      ", firmware " + report.token.firmware + ", serial " + report.token.serial + ", sessions " +
                      (report.sessions == 0 ? "without a limit" : std::to_string(report.sessions)) + "\n" + "library " +
                      report.library + "; Cryptoki " + report.cryptoki + "\nflags";
    for (const auto& flag : report.flags) out += " " + flag;
    out += "\n";
    for (const auto& each : report.findings) {
        out += !each.tried ? "  -    " : each.found ? "  yes  " : each.needed_by != nobody ? "  NO   " : "  no   ";
        out += std::string{each.name} + "  " + std::string{each.means};
        if (!each.detail.empty()) out += "  (" + each.detail + ")";
        out += "\n";
    }
    out += "it can hold\n";
    for (const auto& row : uses) {
        const auto lacks = report.lacking(row.use);
        out += (lacks.empty() ? "  yes  " : "  no   ") + std::string{row.means};
        if (!lacks.empty()) out += ": it lacks " + joined(lacks);
        out += "\n";
    }
    return out + (report.fit() ? "fit for use\n" : "NOT FIT for use\n");
}

}  // namespace qscd::hsm
