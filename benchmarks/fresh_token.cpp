#include "benchmarks/fresh_token.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

#include "base/random.hpp"

namespace qscd::benchmarks {
namespace {

constexpr std::array places{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"};
const SecretBytes so_pin{"12345678"}, pin{"1234"};

// DigestInfo of SHA-256 [RFC 8017, 9.2, note 1].
constexpr std::array<std::uint8_t, 19> digest_info{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                   0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

}  // namespace

DtbsR hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("a contract")).bytes()).value(); }

FreshToken::FreshToken(unsigned threads)
    : folder_(std::filesystem::temp_directory_path() / ("qscd-benchmark-" + std::to_string(::getpid()))),
      threads_(threads) {
    std::filesystem::create_directories(folder_ / "tokens");
    std::ofstream{folder_ / "softhsm2.conf"} << "directories.tokendir = " << (folder_ / "tokens").string()
                                             << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    const auto* library = std::filesystem::exists(places[0]) ? places[0] : places[1];
    module_ = hsm::Module::load(
                  {library, "", {{"SOFTHSM2_CONF", (folder_ / "softhsm2.conf").string()}}, folder_ / "tokens"})
                  .value();
    if (!module_->initialise_token("benchmark", so_pin, pin)) std::abort();
    token_ = hsm::Token::open(module_, "benchmark", SecretBytes{pin.reveal()}, threads_).value();
}

FreshToken::~FreshToken() {
    second_.reset();
    token_.reset();
    module_.reset();
    std::filesystem::remove_all(folder_);
}

hsm::Token& FreshToken::second() {
    if (!second_) {
        if (!module_->initialise_token("benchmark-2", so_pin, pin)) std::abort();
        second_ = hsm::Token::open(module_, "benchmark-2", SecretBytes{pin.reveal()}, threads_).value();
    }
    return *second_;
}

void FreshToken::fill(int count) {
    const auto slot = module_->find("benchmark").value().slot;
    const auto& api = module_->api();
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    if (api.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session) != CKR_OK)
        std::abort();
    constexpr std::array<std::uint8_t, 10> p256{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    for (int i = 0; i < count; ++i) {
        auto id = random_fixed<CkaId>();
        CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
        std::array in_public{CK_ATTRIBUTE{CKA_EC_PARAMS, const_cast<std::uint8_t*>(p256.data()), p256.size()},
                             CK_ATTRIBUTE{CKA_TOKEN, &no, sizeof no}};
        std::array in_private{CK_ATTRIBUTE{CKA_TOKEN, &yes, sizeof yes}, CK_ATTRIBUTE{CKA_PRIVATE, &yes, sizeof yes},
                              CK_ATTRIBUTE{CKA_SIGN, &yes, sizeof yes},
                              CK_ATTRIBUTE{CKA_ID, const_cast<std::uint8_t*>(id.bytes().data()), id.bytes().size()}};
        CK_OBJECT_HANDLE public_key = 0, private_key = 0;
        if (api.C_GenerateKeyPair(session, &mechanism, in_public.data(), in_public.size(), in_private.data(),
                                  in_private.size(), &public_key, &private_key) != CKR_OK)
            std::abort();
        api.C_DestroyObject(session, public_key);
    }
    api.C_CloseSession(session);
    ::sync();  // else what is measured next pays for writing them back
}

void FreshToken::reload() {
    if (!module_->reinitialise()) std::abort();
    for (const auto& [kind, key] : keys_)
        if (!token_->find_private(key.key->id())) std::abort();
}

const hsm::GeneratedKey& FreshToken::key(KeyKind kind) {
    const auto found = keys_.find(kind);
    if (found != keys_.end()) return found->second;
    return keys_.emplace(kind, token_->generate(kind, random_fixed<CkaId>(), "benchmark").value()).first->second;
}

FreshToken::Raw::Raw(FreshToken& owner, KeyKind kind) : api_(owner.module_->api()) {
    const auto slot = owner.module_->find("benchmark").value().slot;
    const auto id = owner.key(kind).key->id();
    api_.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session_);
    CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
    std::array wanted{CK_ATTRIBUTE{CKA_CLASS, &object_class, sizeof object_class},
                      CK_ATTRIBUTE{CKA_ID, const_cast<std::uint8_t*>(id.bytes().data()), id.bytes().size()}};
    CK_ULONG count = 0;
    api_.C_FindObjectsInit(session_, wanted.data(), wanted.size());
    api_.C_FindObjects(session_, &key_, 1, &count);
    api_.C_FindObjectsFinal(session_);
    const auto dtbsr = hash();
    input_.assign(dtbsr.bytes().begin(), dtbsr.bytes().end());
    mechanism_.mechanism = row_of(kind).elliptic ? CKM_ECDSA : CKM_RSA_PKCS;
    if (!row_of(kind).elliptic) input_.insert(input_.begin(), digest_info.begin(), digest_info.end());
}

FreshToken::Raw::~Raw() { api_.C_CloseSession(session_); }

bool FreshToken::Raw::sign() {
    std::array<std::uint8_t, 1024> signature;
    CK_ULONG size = signature.size();
    return api_.C_SignInit(session_, &mechanism_, key_) == CKR_OK &&
           api_.C_Sign(session_, input_.data(), input_.size(), signature.data(), &size) == CKR_OK;
}

}  // namespace qscd::benchmarks
