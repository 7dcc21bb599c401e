#include "hsm/wrapping/wrapping.hpp"

#include <algorithm>

#include "hsm/wrapping/key_encryption_key.hpp"
#include "hsm/wrapping/opened_key.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;

// Authenticated, and for keys of any length [NIST SP 800-38F]. CKM_AES_CBC_PAD opens a blob that was altered.
constexpr std::array mechanisms{key_wrap_kwp, CK_MECHANISM_TYPE{CKM_AES_KEY_WRAP_PAD}};

}  // namespace

Result<WrapPermit> may_wrap(const ProbeReport& report) {
    const bool elliptic = report.fit(Use::wrapped_elliptic);
    // At start RSA keys are not tried where elliptic ones were: what the module enforces does not depend on the kind.
    const bool rsa = report.fit(Use::wrapped_rsa) || (elliptic && report.unfit_for(Use::wrapped_rsa).empty());
    const auto refused = [&](std::string_view why) {
        return Error{Errc::not_supported,
                     "token " + report.token.label + " is not fit for wrapped keys: " + std::string{why}};
    };
    if (!elliptic && !rsa) {
        std::string missing = "the probe misses";
        for (const auto name : report.lacking(Use::wrapped_elliptic)) missing += " " + std::string{name};
        return refused(missing);
    }
    if (!report.wrap_mechanism || std::ranges::find(mechanisms, *report.wrap_mechanism) == mechanisms.end())
        return refused("it wraps neither by CKM_AES_KEY_WRAP_KWP nor by CKM_AES_KEY_WRAP_PAD");
    return WrapPermit{*report.wrap_mechanism, elliptic, rsa};
}

std::shared_ptr<KeyObject> Wrapping::Shared::kek(const CkaId& id) {
    const std::lock_guard guard{lock};
    auto& key = keks[id];
    if (!key) key = std::make_shared<KeyObject>(id, secret_class);
    return key;
}

Wrapping::Wrapping(Token& token, const WrapPermit& permit, std::shared_ptr<KeyObject> binding)
    : token_(token), permit_(permit), shared_(std::make_shared<Shared>()) {
    shared_->binding = std::move(binding);
}

Result<KeyEncryptionKey> Wrapping::make_kek(const CkaId& id, const std::string& label) {
    std::optional<MadeKek> made;
    QSCD_TRY(token_.on_session([&](Session& session) -> Result<void> {
        QSCD_TRY(made, generate_kek(session, id, label, permit_.mechanism()));
        return success();
    }));
    QSCD_TRY(token_.module().make_durable());
    const std::lock_guard guard{shared_->lock};
    shared_->keks.insert_or_assign(id, std::move(made->key));
    return KeyEncryptionKey{id, std::move(made->attributes)};
}

Result<void> Wrapping::destroy_kek(const CkaId& id) {
    QSCD_TRY(token_.destroy(id));
    const std::lock_guard guard{shared_->lock};
    shared_->keks.erase(id);
    return success();
}

Result<WrappedKey> Wrapping::generate(KeyKind kind, const CkaId& kek, const CkaId& id, const KeyOwner& owner) {
    if (!permit_.allows(kind))
        return Error{Errc::not_supported,
                     "token " + token_.label() + " does not wrap " + std::string{row_of(kind).name}};
    const auto wrapping_key = shared_->kek(kek);
    std::optional<WrappedKey> made;
    QSCD_TRY(token_.on_session([&](Session& session) -> Result<void> {
        QSCD_TRY(made,
                 make_wrapped_key(session, {*wrapping_key, *shared_->binding}, permit_.mechanism(), kind, id, owner));
        return success();
    }));
    return *std::move(made);
}

Result<void> Wrapping::verify(const WrappedKey& key, const KeyOwner& owner) {
    return token_.on_session([&](Session& session) { return verify_binding(session, *shared_->binding, key, owner); });
}

class WrappedSigningKey final : public SigningKey {
public:
    WrappedSigningKey(Token& token, std::shared_ptr<Wrapping::Shared> shared, WrappedKey key, const KeyOwner& owner)
        : token_(token),
          shared_(std::move(shared)),
          key_(std::make_shared<const WrappedKey>(std::move(key))),
          owner_(owner) {}

    void sign_all(Scheme scheme, std::vector<DtbsR> hashes, Done done) override {
        const auto outcomes = std::make_shared<std::vector<Token::Outcome>>();
        token_.post(
            [=, shared = shared_, key = key_, owner = owner_,
             hashes = std::move(hashes)](Session& session) -> Result<void> {
                const auto kek = shared->kek(key->kek);
                *outcomes = sign_opened(session, {*kek, *shared->binding}, *key, owner, scheme, hashes);
                if (!outcomes->empty() && !outcomes->back().signature) return outcomes->back().signature.error();
                return success();
            },
            [=, done = std::move(done)](const Result<void>& ran) {
                if (!ran && outcomes->empty()) outcomes->push_back({ran.error(), false});
                done(std::move(*outcomes));
            });
    }

private:
    Token& token_;
    std::shared_ptr<Wrapping::Shared> shared_;
    std::shared_ptr<const WrappedKey> key_;
    KeyOwner owner_;
};

std::shared_ptr<SigningKey> Wrapping::signing_key(WrappedKey key, const KeyOwner& owner) {
    return std::make_shared<WrappedSigningKey>(token_, shared_, std::move(key), owner);
}

}  // namespace qscd::hsm
