#include "hsm/probe.hpp"

#include <algorithm>
#include <cstdio>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "hsm/generation.hpp"
#include "hsm/session.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
constexpr CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, data_class = CKO_DATA;
constexpr CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
const std::string label = "qscd-probe";

std::string in_hex(CK_RV rv) {
    std::array<char, 32> out{};
    (void)std::snprintf(out.data(), out.size(), "0x%lx", static_cast<unsigned long>(rv));
    return out.data();
}

struct Answer {
    bool found;
    std::string detail = {};
};
Answer refused(CK_RV rv) { return {rv != CKR_OK && meaning_of(rv) == Meaning::bug, in_hex(rv)}; }
Answer failed(const Error& error) { return {false, describe(error)}; }

// Session objects that the probe made, destroyed when it ends.
struct Passing {
    explicit Passing(Session& s) : session(s) {}
    Passing(const Passing&) = delete;
    Passing& operator=(const Passing&) = delete;
    ~Passing() {
        for (const auto handle : handles) session.api().C_DestroyObject(session.handle(), handle);
    }
    Session& session;
    std::vector<CK_OBJECT_HANDLE> handles = {};
};

// What all checks try their hands on.
struct Trial {
    explicit Trial(Session& s) : session(s), passing(s) {}
    Session& session;
    Passing passing;
    std::optional<GeneratedKey> pair = {};
    CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE, secret_key = CK_INVALID_HANDLE;
};

DtbsR some_hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("probe")).bytes()).value(); }

Answer makes_key_pairs(Trial& trial) {
    auto made = generate_key_pair(trial.session, KeyKind::p256, random_fixed<CkaId>(), label, Lifetime::session);
    if (!made) return failed(made.error());
    const auto handle = trial.session.locate(*made.value().key);
    if (!handle) return failed(handle.error());
    trial.private_key = handle.value();
    trial.passing.handles.push_back(handle.value());
    trial.pair = std::move(made.value());
    return {true};
}

Answer makes_secret_keys(Trial& trial) {
    const auto made = generate_secret_key(trial.session, random_fixed<CkaId>(), label, Lifetime::session);
    if (!made) return failed(made.error());
    const auto handle = trial.session.locate(*made.value());
    if (!handle) return failed(handle.error());
    trial.secret_key = handle.value();
    trial.passing.handles.push_back(handle.value());
    return {true};
}

Result<Bytes> sign(Trial& trial, CK_OBJECT_HANDLE key, SigningInput& input) {
    if (const CK_RV rv = trial.session.begin(key, input); rv != CKR_OK) return error_of(rv, "C_SignInit");
    return trial.session.finish(input);
}

Answer signs(Trial& trial) {
    if (!trial.pair) return {false, "no key"};
    SigningInput input{Scheme::ecdsa, some_hash()};
    const auto raw = sign(trial, trial.private_key, input);
    if (!raw) return failed(raw.error());
    const auto der = ecdsa_der_of(raw.value());
    const auto key = public_key_from_der(trial.pair->public_key);
    if (!key) return failed(key.error());
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.value().get(), nullptr)};
    const auto hash = some_hash();
    const bool good = EVP_PKEY_verify_init(context.get()) == 1 &&
                      EVP_PKEY_verify(context.get(), der.data(), der.size(), hash.bytes().data(),
                                      hash.bytes().size()) == 1;
    return {good, good ? "" : "the signature does not verify"};
}

Answer macs(Trial& trial) {
    if (trial.secret_key == CK_INVALID_HANDLE) return {false, "no key"};
    std::array<Bytes, 3> macs;
    constexpr std::array<std::string_view, 3> texts{"one", "one", "two"};
    for (std::size_t i = 0; i < texts.size(); ++i) {
        SigningInput input{view_of(texts[i])};
        auto mac = sign(trial, trial.secret_key, input);
        if (!mac) return failed(mac.error());
        macs[i] = std::move(mac.value());
    }
    return {macs[0].size() == Sha256Digest::size && macs[0] == macs[1] && macs[0] != macs[2]};
}

Answer hides_values(Trial& trial) {
    for (const auto& [key, type] : {std::pair{trial.private_key, CK_ATTRIBUTE_TYPE{CKA_VALUE}},
                                    std::pair{trial.secret_key, CK_ATTRIBUTE_TYPE{CKA_VALUE}}}) {
        if (key == CK_INVALID_HANDLE) return {false, "no key"};
        auto value = trial.session.read_up_to(key, type, 256);
        if (value) {
            wipe(value.value());
            return {false, "a value was read"};
        }
    }
    return {true};
}

Answer refuses_copies(Trial& trial) {
    if (trial.private_key == CK_INVALID_HANDLE) return {false, "no key"};
    std::array wanted{attribute(CKA_TOKEN, no)};
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    const CK_RV rv = trial.session.api().C_CopyObject(trial.session.handle(), trial.private_key, wanted.data(),
                                                      wanted.size(), &copy);
    if (rv == CKR_OK) trial.passing.handles.push_back(copy);
    return refused(rv);
}

Answer refuses_changes(Trial& trial) {
    if (trial.private_key == CK_INVALID_HANDLE) return {false, "no key"};
    auto change = attribute(CKA_DECRYPT, yes);
    return refused(trial.session.api().C_SetAttributeValue(trial.session.handle(), trial.private_key, &change, 1));
}

Answer refuses_other_uses(Trial& trial) {
    if (trial.private_key == CK_INVALID_HANDLE || trial.secret_key == CK_INVALID_HANDLE) return {false, "no key"};
    SigningInput mac{view_of("probe")};
    if (trial.session.begin(trial.private_key, mac) == CKR_OK) {
        (void)trial.session.reopen();
        return {false, "a key pair took an HMAC"};
    }
    CK_ECDH1_DERIVE_PARAMS agreement{CKD_NULL, 0, nullptr, 0, nullptr};
    Bytes point(65, 1);
    agreement.pPublicData = point.data();
    agreement.ulPublicDataLen = point.size();
    CK_MECHANISM derive{CKM_ECDH1_DERIVE, &agreement, sizeof agreement};
    std::array wanted{attribute(CKA_CLASS, secret_class), attribute(CKA_KEY_TYPE, generic), attribute(CKA_TOKEN, no)};
    CK_OBJECT_HANDLE derived = CK_INVALID_HANDLE;
    const CK_RV rv = trial.session.api().C_DeriveKey(trial.session.handle(), &derive, trial.private_key, wanted.data(),
                                                     wanted.size(), &derived);
    if (rv == CKR_OK) trial.passing.handles.push_back(derived);
    return refused(rv);
}

// A module that says "never" of every key says nothing.
Answer tells_extractable(Trial& trial) {
    const CK_ULONG size = 32;
    std::array wanted{attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes), attribute(CKA_EXTRACTABLE, yes),
                      attribute(CKA_KEY_TYPE, generic), attribute(CKA_VALUE_LEN, size)};
    CK_MECHANISM mechanism{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    const CK_RV rv = trial.session.api().C_GenerateKey(trial.session.handle(), &mechanism, wanted.data(), wanted.size(),
                                                       &key);
    if (rv != CKR_OK) return {meaning_of(rv) == Meaning::bug, "no extractable key is made: " + in_hex(rv)};
    trial.passing.handles.push_back(key);
    const auto never = trial.session.read_up_to(key, CKA_NEVER_EXTRACTABLE, 1);
    if (!never) return failed(never.error());
    return {never.value() == Bytes{CK_FALSE}};
}

Answer tells_imported(Trial& trial) {
    const Bytes value(32, 0x5a);
    std::array wanted{attribute(CKA_CLASS, secret_class), attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes),
                      attribute(CKA_KEY_TYPE, generic), attribute_bytes(CKA_VALUE, value)};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    const CK_RV rv = trial.session.api().C_CreateObject(trial.session.handle(), wanted.data(), wanted.size(), &key);
    if (rv != CKR_OK) return {meaning_of(rv) == Meaning::bug, "no key is imported: " + in_hex(rv)};
    trial.passing.handles.push_back(key);
    const auto local = trial.session.read_up_to(key, CKA_LOCAL, 1);
    if (!local) return failed(local.error());
    return {local.value() == Bytes{CK_FALSE}};
}

Answer gives_random(Trial& trial) {
    std::array<std::array<std::uint8_t, 32>, 2> drawn{};
    for (auto& each : drawn)
        if (const CK_RV rv = trial.session.api().C_GenerateRandom(trial.session.handle(), each.data(), each.size());
            rv != CKR_OK)
            return {false, in_hex(rv)};
    return {drawn[0] != drawn[1] && drawn[0] != std::array<std::uint8_t, 32>{}};
}

Answer keeps_data(Trial& trial) {
    const Bytes value(Anchors::largest_content, 0xa5), application = random_bytes(16);
    const auto name = to_hex(application);
    std::array wanted{attribute(CKA_CLASS, data_class), attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes),
                      attribute_bytes(CKA_APPLICATION, view_of(name)), attribute_bytes(CKA_VALUE, value)};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    const CK_RV rv = trial.session.api().C_CreateObject(trial.session.handle(), wanted.data(), wanted.size(), &object);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    trial.passing.handles.push_back(object);
    const std::array by{attribute(CKA_CLASS, data_class), attribute_bytes(CKA_APPLICATION, view_of(name))};
    const auto found = trial.session.search(by);
    if (!found) return failed(found.error());
    const auto back = trial.session.read_up_to(object, CKA_VALUE, 2 * value.size());
    return {found.value() == std::vector{object} && back && back.value() == value};
}

Answer changes_labels(Trial& trial) {
    std::array wanted{attribute(CKA_CLASS, data_class), attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes),
                      attribute(CKA_MODIFIABLE, yes), attribute_bytes(CKA_LABEL, view_of(label))};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_RV rv = trial.session.api().C_CreateObject(trial.session.handle(), wanted.data(), wanted.size(), &object);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    trial.passing.handles.push_back(object);
    const std::string longest(Anchors::longest_label, 'a');
    auto change = attribute_bytes(CKA_LABEL, view_of(longest));
    rv = trial.session.api().C_SetAttributeValue(trial.session.handle(), object, &change, 1);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    const auto back = trial.session.read_up_to(object, CKA_LABEL, 2 * longest.size());
    return {back && text_of(back.value()) == longest};
}

// Last of all: it destroys the trial's key.
Answer ends_begun_operations(Trial& trial) {
    if (trial.private_key == CK_INVALID_HANDLE) return {false, "no key"};
    auto& session = trial.session;
    CK_SESSION_INFO info{};
    CK_SESSION_HANDLE second = CK_INVALID_HANDLE;
    CK_RV rv = session.api().C_GetSessionInfo(session.handle(), &info);
    if (rv == CKR_OK)
        rv = session.api().C_OpenSession(info.slotID, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &second);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    SigningInput input{Scheme::ecdsa, some_hash()};
    rv = session.api().C_SignInit(second, &input.mechanism, trial.private_key);
    if (rv == CKR_OK) {
        std::erase(trial.passing.handles, trial.private_key);
        session.api().C_DestroyObject(session.handle(), trial.private_key);
        Bytes out(256);
        CK_ULONG size = out.size();
        rv = session.api().C_Sign(second, input.data.data(), input.data.size(), out.data(), &size);
    }
    session.api().C_CloseSession(second);
    return {rv != CKR_OK, rv == CKR_OK ? "it is finished: sign_fenced looks again" : in_hex(rv)};
}

struct MechanismRow {
    std::string_view name, means;
    CK_MECHANISM_TYPE mechanism;
    CK_FLAGS flag;
    bool needed;
};
constexpr std::array mechanism_rows{
    MechanismRow{"ec-key-pairs", "CKM_EC_KEY_PAIR_GEN", CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, true},
    MechanismRow{"ecdsa", "CKM_ECDSA", CKM_ECDSA, CKF_SIGN, true},
    MechanismRow{"secret-keys", "CKM_GENERIC_SECRET_KEY_GEN", CKM_GENERIC_SECRET_KEY_GEN, CKF_GENERATE, true},
    MechanismRow{"hmac", "CKM_SHA256_HMAC", CKM_SHA256_HMAC, CKF_SIGN, true},
    MechanismRow{"rsa-key-pairs", "CKM_RSA_PKCS_KEY_PAIR_GEN", CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, false},
    MechanismRow{"rsa-pkcs1", "CKM_RSA_PKCS", CKM_RSA_PKCS, CKF_SIGN, false},
    MechanismRow{"rsa-pss", "CKM_RSA_PKCS_PSS", CKM_RSA_PKCS_PSS, CKF_SIGN, false},
    MechanismRow{"ecdh", "CKM_ECDH1_DERIVE, for sealed activation data", CKM_ECDH1_DERIVE, CKF_DERIVE, false},
};

struct Check {
    std::string_view name, means;
    bool needed;
    Answer (*run)(Trial&);
};
constexpr std::array checks{
    Check{"p256-made", "a P-256 key with our attributes, read back as asked", true, makes_key_pairs},
    Check{"hmac-key-made", "an HMAC key with our attributes, read back as asked", true, makes_secret_keys},
    Check{"p256-signs", "its signature verifies with its public key", true, signs},
    Check{"hmac-signs", "the same MAC for the same message, another for another", true, macs},
    Check{"values-hidden", "no value of a sensitive key is read", true, hides_values},
    Check{"copies-refused", "CKA_COPYABLE false is kept: a head key has no twin", true, refuses_copies},
    Check{"changes-refused", "CKA_MODIFIABLE false is kept", true, refuses_changes},
    Check{"other-uses-refused", "a signing key neither derives nor takes another mechanism", true, refuses_other_uses},
    Check{"extractable-told", "CKA_NEVER_EXTRACTABLE is false where it must be", true, tells_extractable},
    Check{"imported-told", "CKA_LOCAL is false where it must be", true, tells_imported},
    Check{"random", "C_GenerateRandom gives bytes", true, gives_random},
    Check{"data-objects", "data objects hold what they are given and are found by CKA_APPLICATION", true, keeps_data},
    Check{"labels-change", "CKA_LABEL of a data object can be set: anchors are written in place", false,
          changes_labels},
    Check{"begun-operations-end", "C_Sign fails when its key was destroyed after C_SignInit", false,
          ends_begun_operations},
};

}  // namespace

bool ProbeReport::fit() const {
    return std::ranges::all_of(findings, [](const Finding& each) { return each.found || !each.needed; });
}

Result<ProbeReport> probe(Token& token) {
    ProbeReport report;
    QSCD_TRY(report.token, token.module().find(token.label()));
    QSCD_TRY(token.on_session([&](Session& session) -> Result<void> {
        CK_TOKEN_INFO info{};
        if (const CK_RV rv = session.api().C_GetTokenInfo(report.token.slot, &info); rv != CKR_OK)
            return error_of(rv, "C_GetTokenInfo");
        const bool unnamed = info.ulMaxSessionCount == CK_UNAVAILABLE_INFORMATION ||
                             info.ulMaxSessionCount == CK_EFFECTIVELY_INFINITE;
        report.sessions = unnamed ? 0 : info.ulMaxSessionCount;
        for (const auto& row : mechanism_rows) {
            CK_MECHANISM_INFO known{};
            const CK_RV rv = session.api().C_GetMechanismInfo(report.token.slot, row.mechanism, &known);
            const bool found = rv == CKR_OK && (known.flags & row.flag) != 0;
            report.findings.push_back({row.name, row.means, row.needed, found, rv == CKR_OK ? "" : in_hex(rv)});
        }
        Trial trial{session};
        for (const auto& check : checks) {
            QSCD_TRY(session.ready());  // a failed C_Sign closes it
            auto answer = check.run(trial);
            report.findings.push_back({check.name, check.means, check.needed, answer.found, std::move(answer.detail)});
        }
        QSCD_TRY(session.token_is_there());  // a token that went away meanwhile has not failed its checks
        return success();
    }));
    return report;
}

std::string describe(const ProbeReport& report) {
    std::string out = "token " + report.token.label + "  " + report.token.manufacturer + ", " + report.token.model +
                      ", firmware " + report.token.firmware + ", serial " + report.token.serial + ", sessions " +
                      (report.sessions == 0 ? "without a limit" : std::to_string(report.sessions)) + "\n";
    for (const auto& each : report.findings) {
        out += each.found ? "  yes  " : each.needed ? "  NO   " : "  no   ";
        out += std::string{each.name} + "  " + std::string{each.means};
        if (!each.detail.empty()) out += "  (" + each.detail + ")";
        out += "\n";
    }
    return out + (report.fit() ? "fit for use\n" : "NOT FIT for use\n");
}

}  // namespace qscd::hsm
