#include "key_token.hpp"

#include "base/openssl.hpp"
#include "hsm/session.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

struct Wanted {
    std::string label;
    std::uint8_t id;
    CK_MECHANISM_TYPE mechanism;
    Bytes curve;
    CK_ULONG bits;
    CK_BBOOL signs;
};
const std::vector<Wanted> wanted{
    {"p256", 1, CKM_EC_KEY_PAIR_GEN, *from_hex("06082a8648ce3d030107"), 0, yes},
    {"p384", 2, CKM_EC_KEY_PAIR_GEN, *from_hex("06052b81040022"), 0, yes},
    {"rsa", 3, CKM_RSA_PKCS_KEY_PAIR_GEN, {}, 3072, yes},
    {"mute", 4, CKM_EC_KEY_PAIR_GEN, *from_hex("06082a8648ce3d030107"), 0, no},
    {"small", 5, CKM_RSA_PKCS_KEY_PAIR_GEN, {}, 2048, yes},
    {"ed", 6, CK_MECHANISM_TYPE{CKM_EC_EDWARDS_KEY_PAIR_GEN}, *from_hex("06032b6570"), 0, yes},
};

void generate(const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, const Wanted& key) {
    const Bytes id{key.id}, exponent{1, 0, 1};
    std::vector<CK_ATTRIBUTE> open{attribute(CKA_TOKEN, yes), attribute(CKA_VERIFY, yes), attribute_bytes(CKA_ID, id),
                                   attribute_bytes(CKA_LABEL, view_of(key.label))};
    if (key.curve.empty()) {
        open.push_back(attribute(CKA_MODULUS_BITS, key.bits));
        open.push_back(attribute_bytes(CKA_PUBLIC_EXPONENT, exponent));
    } else {
        open.push_back(attribute_bytes(CKA_EC_PARAMS, key.curve));
    }
    std::vector<CK_ATTRIBUTE> secret{attribute(CKA_TOKEN, yes),
                                     attribute(CKA_PRIVATE, yes),
                                     attribute(CKA_SENSITIVE, yes),
                                     attribute(CKA_EXTRACTABLE, no),
                                     attribute(CKA_SIGN, key.signs),
                                     attribute_bytes(CKA_ID, id),
                                     attribute_bytes(CKA_LABEL, view_of(key.label))};
    CK_MECHANISM mechanism{key.mechanism, nullptr, 0};
    CK_OBJECT_HANDLE public_handle = 0, private_handle = 0;
    const CK_RV rv = api.C_GenerateKeyPair(session, &mechanism, open.data(), open.size(), secret.data(), secret.size(),
                                           &public_handle, &private_handle);
    if (rv != CKR_OK) throw std::runtime_error("C_GenerateKeyPair: " + std::to_string(rv));
}

}  // namespace

KeyToken::KeyToken(const std::string& name) : SpiedToken(name) {
    const auto module = load().value();
    const SecretBytes secret{pin};
    (void)module->initialise_token("signing", SecretBytes{"12345678"}, secret).value();
    const auto slot = module->find("signing").value().slot;
    const auto& api = module->api();
    CK_SESSION_HANDLE session = 0;
    api.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
    api.C_Login(session, CKU_USER, const_cast<CK_UTF8CHAR*>(secret.reveal().data()), secret.size());
    for (const auto& key : wanted) generate(api, session, key);
    api.C_CloseSession(session);
    const auto token = Token::open(module, "signing", SecretBytes{pin}, 1).value();
    const auto id = *CkaId::from_hex("00112233445566778899aabbccddeeff");
    const auto own = token->generate(KeyKind::p256, id, "own").value();
    (void)write_file(own_public_key(), pem_of_public(*public_key_from_der(own.public_key).value())).value();
    (void)write_file(pin_file(), std::string{pin} + "\n", 0600).value();
}

}  // namespace qscd::hsm
