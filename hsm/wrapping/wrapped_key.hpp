// A signer's key outside the module: a blob that one key-encryption key of one token opens, and a MAC of that token
// which says whose it is. The blob alone is bound to nobody, and not every module authenticates it. [QSCD-30]
// Thread rules: values; pure functions.
#pragma once

#include <p11-kit/pkcs11.h>
#include <string>
#include <vector>

#include "base/identifier.hpp"
#include "base/key_kind.hpp"

namespace qscd::hsm {

// Whom the key serves; for the SAM, the credential.
using KeyOwner = FixedBytes<struct KeyOwnerTag, 16>;
using BindingMac = FixedBytes<struct BindingMacTag, 32>;  // HMAC-SHA-256

struct WrappedContents {
    CkaId kek;  // the key-encryption key, in the token
    CkaId id;   // the key's own; the token shows it only while the key is open
    KeyKind kind;
    CK_MECHANISM_TYPE mechanism;  // 0x210A means different paddings on different modules: a blob stays in its family
    Bytes public_key;             // SubjectPublicKeyInfo, DER
    Bytes blob;
    std::vector<std::pair<std::string, std::string>> attributes;  // of the key as generated, read back

    bool operator==(const WrappedContents&) const = default;
};
struct WrappedKey : WrappedContents {
    BindingMac mac;  // over bound_bytes

    bool operator==(const WrappedKey&) const = default;
};

// What the MAC covers: all of the key and its owner, in fields of fixed length.
Bytes bound_bytes(const WrappedContents& key, const KeyOwner& owner);

// For the store. One encoding only; decoding refuses everything else with Errc::parameter_invalid. At most 16 KiB.
Bytes encode(const WrappedKey& key);
Result<WrappedKey> decode_wrapped_key(ByteView encoded);

}  // namespace qscd::hsm
