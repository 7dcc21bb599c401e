#include "hsm/wrapping/key_encryption_key.hpp"

#include <algorithm>

namespace qscd::hsm {
namespace {

constexpr CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, secret_class = CKO_SECRET_KEY;
constexpr CK_KEY_TYPE aes = CKK_AES;
constexpr CK_ULONG key_size = 32;

constexpr std::array kek_rules{
    AttributeRule{CKA_TOKEN, "CKA_TOKEN", rule_yes, true, false},
    AttributeRule{CKA_PRIVATE, "CKA_PRIVATE", rule_yes, true, false},
    AttributeRule{CKA_SENSITIVE, "CKA_SENSITIVE", rule_yes, true, false},
    AttributeRule{CKA_EXTRACTABLE, "CKA_EXTRACTABLE", rule_no, true, false},
    AttributeRule{CKA_MODIFIABLE, "CKA_MODIFIABLE", rule_no, true, false},
    AttributeRule{CKA_COPYABLE, "CKA_COPYABLE", rule_no, true, false},
    AttributeRule{CKA_WRAP, "CKA_WRAP", rule_yes, true, false},
    AttributeRule{CKA_UNWRAP, "CKA_UNWRAP", rule_yes, true, false},
    AttributeRule{CKA_ENCRYPT, "CKA_ENCRYPT", rule_no, true, false},
    AttributeRule{CKA_DECRYPT, "CKA_DECRYPT", rule_no, true, false},
    AttributeRule{CKA_SIGN, "CKA_SIGN", rule_no, true, false},
    AttributeRule{CKA_VERIFY, "CKA_VERIFY", rule_no, true, false},
    AttributeRule{CKA_DERIVE, "CKA_DERIVE", rule_no, true, false},
    AttributeRule{CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", rule_yes, false, false},
    AttributeRule{CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", rule_yes, false, false},
    AttributeRule{CKA_LOCAL, "CKA_LOCAL", rule_yes, false, false},
};

// An array attribute is read in three calls: its length, the types and lengths in it, then the values [pkcs11 2.40, 5.7].
Result<Evidence> read_back_unwrap_template(Session& session, CK_OBJECT_HANDLE kek) {
    const auto read = [&](CK_ATTRIBUTE& wanted) -> Result<void> {
        const CK_RV rv = session.api().C_GetAttributeValue(session.handle(), kek, &wanted, 1);
        if (rv != CKR_OK) return error_of(rv, "C_GetAttributeValue of CKA_UNWRAP_TEMPLATE");
        return success();
    };
    const Error differs{Errc::internal, "the token says otherwise of CKA_UNWRAP_TEMPLATE"};
    CK_ATTRIBUTE whole{CKA_UNWRAP_TEMPLATE, nullptr, 0};
    QSCD_TRY(read(whole));
    std::array<CK_ATTRIBUTE, opened_key_rules.size() + 1> inner{};  // and CKA_CLASS
    if (whole.ulValueLen != sizeof inner) return differs;
    whole.pValue = inner.data();
    QSCD_TRY(read(whole));
    std::array<CK_OBJECT_CLASS, inner.size()> values{};  // the longest of them is the class
    for (std::size_t i = 0; i < inner.size(); ++i) {
        if (inner[i].ulValueLen > sizeof values[i]) return differs;
        inner[i].pValue = &values[i];
    }
    QSCD_TRY(read(whole));

    const auto find = [&](CK_ATTRIBUTE_TYPE type) { return std::ranges::find(inner, type, &CK_ATTRIBUTE::type); };
    const auto object_class = find(CKA_CLASS);
    if (object_class == inner.end() || object_class->ulValueLen != sizeof private_class ||
        std::memcmp(object_class->pValue, &private_class, sizeof private_class) != 0)
        return differs;
    Evidence evidence{{"CKA_UNWRAP_TEMPLATE.CKA_CLASS", "CKO_PRIVATE_KEY"}};
    for (const auto& rule : opened_key_rules) {
        const auto found = find(rule.type);
        if (found == inner.end() || found->ulValueLen != 1 || *static_cast<CK_BBOOL*>(found->pValue) != rule.value)
            return differs;
        evidence.emplace_back("CKA_UNWRAP_TEMPLATE." + std::string{rule.name},
                              rule.value == CK_TRUE ? "true" : "false");
    }
    return evidence;
}

Result<Evidence> read_back_all(Session& session, CK_OBJECT_HANDLE kek) {
    QSCD_TRY(auto evidence, read_back(session, kek, kek_rules, true));
    QSCD_TRY(auto more, read_back_unwrap_template(session, kek));
    std::ranges::move(more, std::back_inserter(evidence));
    return evidence;
}

}  // namespace

Result<MadeKek> generate_kek(Session& session, const CkaId& id, const std::string& label, CK_MECHANISM_TYPE wraps_by) {
    auto opened = template_of(opened_key_rules, true);
    opened.push_back(attribute(CKA_CLASS, private_class));
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    CK_RV rv = CKR_OK;
    for (bool with_mechanisms = true;; with_mechanisms = false) {
        auto wanted = template_of(kek_rules, true);
        wanted.push_back(attribute(CKA_CLASS, secret_class));
        wanted.push_back(attribute(CKA_KEY_TYPE, aes));
        wanted.push_back(attribute(CKA_VALUE_LEN, key_size));
        wanted.push_back(attribute_bytes(CKA_ID, id.bytes()));
        wanted.push_back(attribute_bytes(CKA_LABEL, view_of(label)));
        wanted.push_back({CKA_UNWRAP_TEMPLATE, opened.data(), opened.size() * sizeof(CK_ATTRIBUTE)});
        if (with_mechanisms) wanted.push_back(attribute(CKA_ALLOWED_MECHANISMS, wraps_by));
        rv = session.api().C_GenerateKey(session.handle(), &mechanism, wanted.data(), wanted.size(), &handle);
        if (rv != CKR_ATTRIBUTE_TYPE_INVALID || !with_mechanisms) break;
    }
    if (rv != CKR_OK) return error_of(rv, "C_GenerateKey of a key-encryption key");
    auto evidence = read_back_all(session, handle);
    if (!evidence) {
        if (session.handle() != CK_INVALID_HANDLE) session.api().C_DestroyObject(session.handle(), handle);
        return evidence.error();
    }
    auto key = std::make_shared<KeyObject>(id, secret_class);
    session.remember(*key, handle);
    return MadeKek{std::move(key), std::move(evidence.value())};
}

}  // namespace qscd::hsm
