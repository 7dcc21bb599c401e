// The probe's workbench: what its checks try their hands on, and how they answer. Private to the room.
#pragma once

#include "base/openssl.hpp"
#include "hsm/generation.hpp"
#include "hsm/probe/probe.hpp"
#include "hsm/session.hpp"
#include "hsm/token.hpp"

namespace qscd::hsm::probing {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
constexpr CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, secret_class = CKO_SECRET_KEY, data_class = CKO_DATA;
inline const std::string label = "qscd-probe";

constexpr unsigned mask(std::initializer_list<Use> uses) {
    unsigned out = 0;
    for (const auto use : uses) out |= static_cast<unsigned>(use);
    return out;
}
constexpr unsigned nobody = 0, sam = mask({Use::sam}), services = mask({Use::sam, Use::service}),
                   wrapped_keys = mask({Use::wrapped_elliptic, Use::wrapped_rsa}),
                   rsa_keys = mask({Use::rsa_signers, Use::wrapped_rsa}),
                   elliptic_keys = services | mask({Use::elliptic_signers, Use::wrapped_elliptic}),
                   everybody = services | wrapped_keys | mask({Use::elliptic_signers, Use::rsa_signers});

std::string in_hex(CK_RV rv);

struct Answer {
    bool found;
    std::string detail = {};
    bool tried = true;
};
Answer untried(std::string why);
Answer refused(CK_RV rv);  // found: the module said no, and not because it is away
Answer failed(const Error& error);

struct TrialKey {
    KeyKind kind;
    CK_OBJECT_HANDLE handle;
    EvpPkey public_key;
    Scheme scheme() const { return row_of(kind).elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1; }
};

// Destroys at its end what it was given to keep.
struct Trial {
    Trial(Session& s, CK_SLOT_ID on, Depth d, const std::vector<CK_MECHANISM_TYPE>& offered)
        : session(s), slot(on), depth(d), mechanisms(offered) {}
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;
    ~Trial();

    bool offers(CK_MECHANISM_TYPE mechanism) const;
    void keep(CK_OBJECT_HANDLE object) { kept.push_back(object); }
    void destroy(CK_OBJECT_HANDLE object);
    const CK_FUNCTION_LIST& api() const { return session.api(); }
    // Some private key: refusals do not depend on its kind.
    const TrialKey* subject() const { return p256 ? &*p256 : rsa ? &*rsa : lenient ? &*lenient : nullptr; }

    Session& session;
    CK_SLOT_ID slot;
    Depth depth;
    const std::vector<CK_MECHANISM_TYPE>& mechanisms;
    std::vector<CK_OBJECT_HANDLE> kept = {};
    // Of the keys that are made here. None: the module makes no session keys, and this probe writes nothing to the token.
    std::optional<Lifetime> lifetime = {};
    std::optional<TrialKey> p256 = {}, p384 = {}, rsa = {};
    std::optional<TrialKey> plain = {};    // P-256 with next to no rules: copyable
    std::optional<TrialKey> lenient = {};  // where none is as asked: asked all the same, and not read back
    CK_OBJECT_HANDLE secret = CK_INVALID_HANDLE;
};

// Another session of the same process on the same token.
struct SecondSession {
    explicit SecondSession(const Trial& trial);
    SecondSession(const SecondSession&) = delete;
    SecondSession& operator=(const SecondSession&) = delete;
    ~SecondSession();
    const CK_FUNCTION_LIST& api;
    CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
    CK_RV rv;
};

// With our own rules, as the product makes them; kept.
Result<TrialKey> make_key(Trial& trial, KeyKind kind, Lifetime lifetime);
// Asked for what signers' keys are, but not read back; a P-256 pair, kept. To go on with where a module fails make_key().
Result<TrialKey> make_lenient_key(Trial& trial, CK_BBOOL extractable);
// A P-256 pair with these attributes of the private half and no other; kept. `point`: CKA_EC_POINT as read.
Result<TrialKey> make_plain_pair(Trial& trial, std::span<const CK_ATTRIBUTE> wanted, Bytes& point);

// Leaves the session open when it fails, as session objects end with their session.
Result<Bytes> sign_in(const Trial& trial, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, SigningInput& input);
// Signs a hash and verifies the signature with OpenSSL.
Answer signs(const Trial& trial, const TrialKey* key, Scheme scheme, CK_SESSION_HANDLE session = CK_INVALID_HANDLE);
bool verifies(EVP_PKEY& key, Scheme scheme, const DtbsR& hash, ByteView signature);  // as C_Sign answers it
DtbsR some_hash();

struct Check {
    std::string_view name, means;
    unsigned needed_by;
    Answer (*run)(Trial&);
};
Result<void> run(Trial& trial, std::span<const Check> checks, std::vector<Finding>& findings);

// What is kept in which file. In this order: the later ones use the earlier ones' keys.
Result<void> try_keys(Trial& trial, std::vector<Finding>& findings);
Result<void> try_refusals(Trial& trial, std::vector<Finding>& findings);
Result<void> try_wrapping(Trial& trial, std::vector<Finding>& findings, std::optional<CK_MECHANISM_TYPE>& chosen);
Result<void> try_ending(Trial& trial, std::vector<Finding>& findings);  // destroys the trial's keys

}  // namespace qscd::hsm::probing
