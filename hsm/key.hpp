// Keys in a token, as we name and remember them. Thread rules: KeyObject is safe to share; its cached handle is renewed by
// whoever finds it stale.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <p11-kit/pkcs11.h>
#include <string>
#include <vector>

#include "base/identifier.hpp"
#include "base/key_kind.hpp"

namespace qscd::hsm {

// A private or secret key, by CKA_ID. The handle is never stored and never searched for per signature; it is void when
// the module's generation has moved on.
class KeyObject {
public:
    KeyObject(CkaId id, CK_OBJECT_CLASS object_class) : id_(id), class_(object_class) {}
    const CkaId& id() const { return id_; }
    CK_OBJECT_CLASS object_class() const { return class_; }

private:
    friend class Token;
    friend class Session;
    CkaId id_;
    CK_OBJECT_CLASS class_;
    std::mutex lock_;  // a handle is never seen with another's generation
    CK_OBJECT_HANDLE handle_ = CK_INVALID_HANDLE;
    std::uint64_t generation_ = 0;  // 0: not known
};

// What a listing tells of a key.
struct NamedKey {
    CkaId id;
    std::string label;
    CK_OBJECT_CLASS object_class;  // CKO_PRIVATE_KEY or CKO_SECRET_KEY
};

// A key pair made in the token: the public half, and what the token says of the private one [QSCD-01] [QSCD-02].
struct GeneratedKey {
    std::shared_ptr<KeyObject> key;
    Bytes public_key;                                             // SubjectPublicKeyInfo, DER
    std::vector<std::pair<std::string, std::string>> attributes;  // read back: name, "true" or "false" or a number
};

}  // namespace qscd::hsm
