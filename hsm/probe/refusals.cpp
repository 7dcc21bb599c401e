// What a token must refuse, what it must not lie about, and what else the SAM keeps in it.
#include <algorithm>

#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "hsm/probe/trial.hpp"

namespace qscd::hsm::probing {
namespace {

constexpr CK_KEY_TYPE generic = CKK_GENERIC_SECRET;

Answer hides_values(Trial& trial) {
    const auto* key = trial.subject();
    if (key == nullptr) return untried("no such key");
    const bool elliptic = row_of(key->kind).elliptic;
    std::vector<std::pair<CK_OBJECT_HANDLE, CK_ATTRIBUTE_TYPE>> secrets{
        {key->handle, elliptic ? CK_ATTRIBUTE_TYPE{CKA_VALUE} : CK_ATTRIBUTE_TYPE{CKA_PRIVATE_EXPONENT}}};
    if (trial.secret != CK_INVALID_HANDLE) secrets.emplace_back(trial.secret, CKA_VALUE);
    for (const auto& [handle, type] : secrets) {
        auto value = trial.session.read_up_to(handle, type, 1024);
        if (value) {
            wipe(value.value());
            return {false, "a value was read"};
        }
    }
    return {true};
}

Answer refuses_copies(Trial& trial) {
    if (trial.subject() == nullptr) return untried("no such key");
    std::array wanted{attribute(CKA_TOKEN, no)};
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    const CK_RV rv = trial.api().C_CopyObject(trial.session.handle(), trial.subject()->handle, wanted.data(),
                                              wanted.size(), &copy);
    if (rv == CKR_OK) trial.keep(copy);
    return refused(rv);
}

// Of the copyable key where there is one: a copy with less protection is no copy.
Answer refuses_weaker_copies(Trial& trial) {
    const auto* key = trial.plain ? &*trial.plain : trial.subject();
    if (key == nullptr) return untried("no such key");
    struct Row {
        CK_ATTRIBUTE_TYPE type;
        CK_BBOOL weak;
        std::string_view says;
    };
    constexpr std::array rows{Row{CKA_EXTRACTABLE, yes, "an extractable copy was made"},
                              Row{CKA_SENSITIVE, no, "a readable copy was made"}};
    for (const auto& row : rows) {
        std::array wanted{attribute(CKA_TOKEN, no), attribute(row.type, row.weak)};
        CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
        if (trial.api().C_CopyObject(trial.session.handle(), key->handle, wanted.data(), wanted.size(), &copy) !=
            CKR_OK)
            continue;
        trial.keep(copy);
        const auto back = trial.session.read_up_to(copy, row.type, 1);
        if (!back || back.value() == Bytes{row.weak}) return {false, std::string{row.says}};
    }
    return {true};
}

Answer refuses_changes(Trial& trial) {
    if (trial.subject() == nullptr) return untried("no such key");
    auto change = attribute(CKA_DECRYPT, yes);
    return refused(trial.api().C_SetAttributeValue(trial.session.handle(), trial.subject()->handle, &change, 1));
}

// [QSCD-27] In a session of its own: what begins there ends with it.
Answer refuses_other_uses(Trial& trial) {
    const auto* key = trial.subject();
    if (key == nullptr) return untried("no such key");
    const SecondSession second{trial};
    if (second.rv != CKR_OK) return {false, "C_OpenSession answered " + in_hex(second.rv)};
    SigningInput mac{view_of("probe")};
    if (trial.api().C_SignInit(second.handle, &mac.mechanism, key->handle) == CKR_OK)
        return {false, "a key pair took an HMAC"};
    if (!row_of(key->kind).elliptic) {
        CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
        if (trial.api().C_DecryptInit(second.handle, &mechanism, key->handle) == CKR_OK)
            return {false, "a signing key decrypts"};
        return refused(trial.api().C_SignRecoverInit(second.handle, &mechanism, key->handle));
    }
    CK_ECDH1_DERIVE_PARAMS agreement{CKD_NULL, 0, nullptr, 0, nullptr};
    Bytes point(65, 1);
    agreement.pPublicData = point.data();
    agreement.ulPublicDataLen = point.size();
    CK_MECHANISM derive{CKM_ECDH1_DERIVE, &agreement, sizeof agreement};
    std::array wanted{attribute(CKA_CLASS, secret_class), attribute(CKA_KEY_TYPE, generic), attribute(CKA_TOKEN, no)};
    CK_OBJECT_HANDLE derived = CK_INVALID_HANDLE;
    const CK_RV rv = trial.api().C_DeriveKey(trial.session.handle(), &derive, key->handle, wanted.data(), wanted.size(),
                                             &derived);
    if (rv == CKR_OK) trial.keep(derived);
    return refused(rv);
}

Answer keeps_allowed_mechanisms(Trial& trial) {
    const auto* key = trial.subject();
    if (key == nullptr) return untried("no such key");
    const auto back = trial.session.read_up_to(key->handle, CKA_ALLOWED_MECHANISMS, 256);
    if (!back) return failed(back.error());
    const std::vector<CK_MECHANISM_TYPE> wanted = row_of(key->kind).elliptic
                                                      ? std::vector<CK_MECHANISM_TYPE>{CKM_ECDSA}
                                                      : std::vector<CK_MECHANISM_TYPE>{CKM_RSA_PKCS, CKM_RSA_PKCS_PSS};
    std::vector<CK_MECHANISM_TYPE> said(back.value().size() / sizeof(CK_MECHANISM_TYPE));
    if (!said.empty()) std::memcpy(said.data(), back.value().data(), said.size() * sizeof(CK_MECHANISM_TYPE));
    return {std::ranges::is_permutation(said, wanted), std::to_string(said.size()) + " mechanisms"};
}

Answer enforces_allowed_mechanisms(Trial& trial) {
    if (!trial.rsa) return untried("no such key");
    if (!trial.offers(CKM_SHA256_RSA_PKCS)) return untried("no other mechanism to try");
    const SecondSession second{trial};
    if (second.rv != CKR_OK) return {false, "C_OpenSession answered " + in_hex(second.rv)};
    CK_MECHANISM other{CKM_SHA256_RSA_PKCS, nullptr, 0};
    return refused(trial.api().C_SignInit(second.handle, &other, trial.rsa->handle));
}

// Any logged-in caller could make the wrapping key, so this counts for resident keys too.
Answer refuses_to_wrap(Trial& trial) {
    if (trial.subject() == nullptr) return untried("no such key");
    if (!trial.offers(CKM_AES_KEY_GEN)) return {true, "the module makes no AES keys"};
    const CK_ULONG size = 32;
    CK_MECHANISM generation{CKM_AES_KEY_GEN, nullptr, 0};
    std::array wanted{attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes), attribute(CKA_WRAP, yes),
                      attribute(CKA_ENCRYPT, yes), attribute(CKA_VALUE_LEN, size)};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    if (const CK_RV rv = trial.api().C_GenerateKey(trial.session.handle(), &generation, wanted.data(), wanted.size(),
                                                   &key);
        rv != CKR_OK)
        return {meaning_of(rv) == Meaning::bug, "no wrapping key is made: " + in_hex(rv)};
    trial.keep(key);
    constexpr CK_MECHANISM_TYPE kwp = 0x210b;
    constexpr std::array ways{kwp,
                              CK_MECHANISM_TYPE{CKM_AES_KEY_WRAP_PAD},
                              CK_MECHANISM_TYPE{CKM_AES_KEY_WRAP},
                              CK_MECHANISM_TYPE{CKM_AES_CBC_PAD},
                              CK_MECHANISM_TYPE{CKM_AES_CBC},
                              CK_MECHANISM_TYPE{CKM_AES_ECB}};
    for (const auto way : ways) {
        std::array<std::uint8_t, 16> start{};
        const bool with_start = way == CKM_AES_CBC_PAD || way == CKM_AES_CBC;
        CK_MECHANISM mechanism{way, with_start ? start.data() : nullptr, with_start ? start.size() : 0};
        Bytes out(8192);
        CK_ULONG length = out.size();
        const CK_RV rv = trial.api().C_WrapKey(trial.session.handle(), &mechanism, key, trial.subject()->handle,
                                               out.data(), &length);
        wipe(out);
        if (rv == CKR_OK) return {false, "it was wrapped by " + in_hex(way)};
    }
    return {true};
}

// A module that says "never" of every key says nothing.
Answer tells_extractable(Trial& trial) {
    const CK_ULONG size = 32;
    std::array wanted{attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes), attribute(CKA_EXTRACTABLE, yes),
                      attribute(CKA_KEY_TYPE, generic), attribute(CKA_VALUE_LEN, size)};
    CK_MECHANISM mechanism{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    const CK_RV rv = trial.api().C_GenerateKey(trial.session.handle(), &mechanism, wanted.data(), wanted.size(), &key);
    if (rv != CKR_OK) return {meaning_of(rv) == Meaning::bug, "no extractable key is made: " + in_hex(rv)};
    trial.keep(key);
    const auto never = trial.session.read_up_to(key, CKA_NEVER_EXTRACTABLE, 1);
    if (!never) return failed(never.error());
    return {never.value() == Bytes{CK_FALSE}};
}

Answer tells_imported(Trial& trial) {
    const Bytes value(32, 0x5a);
    std::array wanted{attribute(CKA_CLASS, secret_class), attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes),
                      attribute(CKA_KEY_TYPE, generic), attribute_bytes(CKA_VALUE, value)};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    const CK_RV rv = trial.api().C_CreateObject(trial.session.handle(), wanted.data(), wanted.size(), &key);
    if (rv != CKR_OK) return {meaning_of(rv) == Meaning::bug, "no key is imported: " + in_hex(rv)};
    trial.keep(key);
    const auto local = trial.session.read_up_to(key, CKA_LOCAL, 1);
    if (!local) return failed(local.error());
    return {local.value() == Bytes{CK_FALSE}};
}

Answer tells_generation(Trial& trial) {
    const auto* key = trial.subject();
    if (key == nullptr) return untried("no such key");
    const auto said = trial.session.read_up_to(key->handle, CKA_KEY_GEN_MECHANISM, sizeof(CK_MECHANISM_TYPE));
    if (!said) return failed(said.error());
    CK_MECHANISM_TYPE mechanism = 0;
    if (said.value().size() == sizeof mechanism) std::memcpy(&mechanism, said.value().data(), sizeof mechanism);
    return {mechanism == (row_of(key->kind).elliptic ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN),
            in_hex(mechanism)};
}

Answer gives_random(Trial& trial) {
    std::array<std::array<std::uint8_t, 32>, 2> drawn{};
    for (auto& each : drawn)
        if (const CK_RV rv = trial.api().C_GenerateRandom(trial.session.handle(), each.data(), each.size());
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
    const CK_RV rv = trial.api().C_CreateObject(trial.session.handle(), wanted.data(), wanted.size(), &object);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    trial.keep(object);
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
    CK_RV rv = trial.api().C_CreateObject(trial.session.handle(), wanted.data(), wanted.size(), &object);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    trial.keep(object);
    const std::string longest(Anchors::longest_label, 'a');
    auto change = attribute_bytes(CKA_LABEL, view_of(longest));
    rv = trial.api().C_SetAttributeValue(trial.session.handle(), object, &change, 1);
    if (rv != CKR_OK) return {false, in_hex(rv)};
    const auto back = trial.session.read_up_to(object, CKA_LABEL, 2 * longest.size());
    return {back && text_of(back.value()) == longest};
}

Answer ends_begun_operations(Trial& trial) {
    const auto* key = trial.subject();
    if (key == nullptr) return untried("no such key");
    const SecondSession second{trial};
    if (second.rv != CKR_OK) return {false, "C_OpenSession answered " + in_hex(second.rv)};
    SigningInput input{key->scheme(), some_hash()};
    CK_RV rv = trial.api().C_SignInit(second.handle, &input.mechanism, key->handle);
    if (rv == CKR_OK) {
        trial.destroy(key->handle);
        Bytes out(1024);
        CK_ULONG size = out.size();
        rv = trial.api().C_Sign(second.handle, input.data.data(), input.data.size(), out.data(), &size);
    }
    return {rv != CKR_OK, rv == CKR_OK ? "it is finished: sign_fenced looks again" : in_hex(rv)};
}

constexpr std::array checks{
    Check{"values-hidden", "no value of a sensitive key is read", everybody, hides_values},
    Check{"copies-refused", "CKA_COPYABLE false is kept: a head key has no twin", sam, refuses_copies},
    Check{"copies-not-weaker", "no copy is extractable or readable where the key was not", everybody,
          refuses_weaker_copies},
    Check{"changes-refused", "CKA_MODIFIABLE false is kept", everybody, refuses_changes},
    Check{"other-uses-refused", "a signing key does nothing else", everybody, refuses_other_uses},
    Check{"allowed-mechanisms-kept", "CKA_ALLOWED_MECHANISMS reads back as set", nobody, keeps_allowed_mechanisms},
    Check{"allowed-mechanisms-enforced", "an RSA key with PKCS#1 and PSS allowed takes no other mechanism", nobody,
          enforces_allowed_mechanisms},
    Check{"wrap-of-unextractable-refused", "a key that is not extractable is not wrapped", everybody, refuses_to_wrap},
    Check{"extractable-told", "CKA_NEVER_EXTRACTABLE is false where it must be", everybody, tells_extractable},
    Check{"imported-told", "CKA_LOCAL is false where it must be", everybody, tells_imported},
    Check{"generation-told", "CKA_KEY_GEN_MECHANISM says how a key was made", nobody, tells_generation},
    Check{"random", "C_GenerateRandom gives bytes", sam, gives_random},
    Check{"data-objects", "data objects hold what they are given and are found by CKA_APPLICATION", sam, keeps_data},
    Check{"labels-change", "anchors of the faster form: CKA_LABEL of a data object is written in place", nobody,
          changes_labels},
};
constexpr std::array last_checks{
    Check{"begun-operations-end", "destroying a key ends what was begun with it", nobody, ends_begun_operations}};

}  // namespace

Result<void> try_refusals(Trial& trial, std::vector<Finding>& findings) { return run(trial, checks, findings); }
Result<void> try_ending(Trial& trial, std::vector<Finding>& findings) { return run(trial, last_checks, findings); }

}  // namespace qscd::hsm::probing
