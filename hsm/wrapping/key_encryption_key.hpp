// The keys under which signers' keys leave the module. Private to the room. [QSCD-30] [pkcs11-and-hsm, section 3]
#pragma once

#include "hsm/attribute_rules.hpp"

namespace qscd::hsm {

// Not in the header of PKCS#11 2.40 [pkcs11 3.0, 2.10].
inline constexpr CK_MECHANISM_TYPE key_wrap_kwp = 0x210B;

// What every key that a key-encryption key opens is, whoever asks: the module compares the caller's template with this.
// Without it anybody with the login would open a blob as a readable key. SoftHSM2 refuses CKA_MODIFIABLE here.
inline constexpr CK_BBOOL rule_yes = CK_TRUE, rule_no = CK_FALSE;
inline constexpr std::array opened_key_rules{
    AttributeRule{CKA_TOKEN, "CKA_TOKEN", rule_no, true, false},
    AttributeRule{CKA_PRIVATE, "CKA_PRIVATE", rule_yes, true, false},
    AttributeRule{CKA_SENSITIVE, "CKA_SENSITIVE", rule_yes, true, false},
    AttributeRule{CKA_EXTRACTABLE, "CKA_EXTRACTABLE", rule_no, true, false},
    AttributeRule{CKA_COPYABLE, "CKA_COPYABLE", rule_no, true, false},
    AttributeRule{CKA_SIGN, "CKA_SIGN", rule_yes, true, false},
    AttributeRule{CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", rule_no, true, false},
    AttributeRule{CKA_DECRYPT, "CKA_DECRYPT", rule_no, true, false},
    AttributeRule{CKA_UNWRAP, "CKA_UNWRAP", rule_no, true, false},
    AttributeRule{CKA_DERIVE, "CKA_DERIVE", rule_no, true, false},
};

struct MadeKek {
    std::shared_ptr<KeyObject> key;
    Evidence attributes;  // read back, those of its unwrap template as "CKA_UNWRAP_TEMPLATE.CKA_…"
};

// AES-256, a private token object that wraps and unwraps by `mechanism` and does nothing else. The caller holds the
// module's gate and syncs afterwards. A key whose attributes read back differently is destroyed.
Result<MadeKek> generate_kek(Session& session, const CkaId& id, const std::string& label, CK_MECHANISM_TYPE mechanism);

}  // namespace qscd::hsm
