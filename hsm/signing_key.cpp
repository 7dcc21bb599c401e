#include "hsm/signing_key.hpp"

namespace qscd::hsm {
namespace {

class ResidentKey final : public SigningKey {
public:
    ResidentKey(Token& token, const CkaId& id)
        : token_(token), key_(std::make_shared<KeyObject>(id, CKO_PRIVATE_KEY)) {}
    void sign_all(Scheme scheme, std::vector<DtbsR> hashes, Done done) override {
        token_.sign_all(key_, scheme, std::move(hashes), std::move(done));
    }

private:
    Token& token_;
    std::shared_ptr<KeyObject> key_;
};

}  // namespace

std::shared_ptr<SigningKey> resident_key(Token& token, const CkaId& id) {
    return std::make_shared<ResidentKey>(token, id);
}

}  // namespace qscd::hsm
