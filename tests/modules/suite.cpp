#include "tests/modules/suite.hpp"

#include <algorithm>
#include <map>
#include <openssl/rsa.h>
#include <stdexcept>

#include "base/openssl.hpp"
#include "tests/modules/foreign_keys.hpp"

namespace qscd::modules {
namespace {

using hsm::Module;
using hsm::Token;

// What a finding's absence means for the suite.
struct Lack {
    std::string_view finding, words;
};
constexpr std::array lacking{
    Lack{"ec-key-pairs", "this module has no elliptic curves"},
    Lack{"ecdsa", "this module has no ECDSA"},
    Lack{"rsa-key-pairs", "this module makes no RSA keys"},
    Lack{"rsa-pkcs1", "this module has no RSA PKCS#1 signatures"},
    Lack{"rsa-pss", "this module has no RSA PSS signatures"},
    Lack{"hmac", "this module has no HMAC"},
    Lack{"secret-keys", "this module makes no secret keys"},
    Lack{"session-keys", "this module makes no session keys, so that trials cannot but write to its token"},
    Lack{"data-objects", "this module holds no data objects"},
};

// Everything stands until the last test has run, and goes in the order that PKCS#11 wants.
struct Grounds : ::testing::Environment {
    std::map<std::string_view, Ground> all;
    void TearDown() override { all.clear(); }
};
auto* const grounds = static_cast<Grounds*>(::testing::AddGlobalTestEnvironment(new Grounds));

Result<void> prepare(Ground& ground, const instruments::TestModule& which) {
    QSCD_TRY(const auto entry, instruments::entry_of(which));
    QSCD_TRY(ground.place, which.set_up(entry));
    QSCD_TRY(ground.module, Module::load(ground.place->settings()));
    QSCD_TRY(ground.place->make_token(*ground.module));
    QSCD_TRY(ground.open());
    QSCD_TRY(ground.report, hsm::probe(*ground.token));
    return ground.module->reinitialise();
}

}  // namespace

Ground& ground_of(const instruments::TestModule& which) {
    const auto [place, fresh] = grounds->all.try_emplace(which.name);
    auto& ground = place->second;
    if (fresh) {
        if (const auto ready = prepare(ground, which); !ready) ground.refusal = ready.error();
    }
    return ground;
}

Result<void> Ground::open() {
    token.reset();
    QSCD_TRY(token, Token::open(module, place->label(), instruments::ModulePlace::pin(), threads));
    return success();
}

std::string lacks(const hsm::ProbeReport& report, std::string_view finding) {
    const auto row = std::ranges::find(lacking, finding, &Lack::finding);
    if (row == lacking.end()) throw std::logic_error{"no words for the lack of " + std::string{finding}};
    const auto* probed = report.find(finding);
    if (probed == nullptr) throw std::logic_error{"nobody probes for " + std::string{finding}};
    if (probed->found) return {};
    return std::string{row->words} + (probed->detail.empty() ? "" : ": " + probed->detail);
}

void OnEveryModule::SetUp() {
    ground_ = &ground_of(tested());
    if (ground_->refusal.detail.empty()) return;
    // What nobody asked for by name may be missing on a developer's machine.
    if (ground_->refusal.code == Errc::not_supported && !instruments::chosen_by_name())
        GTEST_SKIP() << ground_->refusal.detail;
    FAIL() << describe(ground_->refusal);
}

// One module gives the same object handle twice once an object was destroyed; each test starts with fresh ones.
void OnEveryModule::TearDown() {
    if (!ground_->refusal.detail.empty()) return;
    EXPECT_TRUE(module().reinitialise());
}

std::string_view OnEveryModule::made_finding(KeyKind kind) {
    if (!row_of(kind).elliptic) return "rsa-made";
    return kind == KeyKind::p256 ? "p256-made" : "p384-made";
}

Result<OnEveryModule::Made> OnEveryModule::make_pair(KeyKind kind, const CkaId& id, const std::string& label) {
    if (found(made_finding(kind))) {
        QSCD_TRY(auto made, token().generate(kind, id, label));
        return Made{std::move(made.key), std::move(made.public_key)};
    }
    QSCD_TRY(token().private_keys());  // logs in, if nobody is
    QSCD_TRY(auto public_key, make_foreign_pair(module(), token().label(), kind, id, label));
    QSCD_TRY(auto key, token().find_private(id));
    return Made{std::move(key), std::move(public_key)};
}

Result<OnEveryModule::Made> OnEveryModule::make_hmac_key(const CkaId& id, const std::string& label) {
    if (found("hmac-key-made")) {
        QSCD_TRY(auto made, token().generate_hmac_key(id, label));
        return Made{std::move(made), {}};
    }
    QSCD_TRY(token().private_keys());  // logs in, if nobody is
    QSCD_TRY(make_foreign_hmac_key(module(), token().label(), id, label));
    QSCD_TRY(auto key, token().find_secret(id));
    return Made{std::move(key), {}};
}

KeyKind OnEveryModule::some_kind() const { return found("ec-key-pairs") ? KeyKind::p256 : KeyKind::rsa3072; }

std::string name_of(const instruments::TestModule& module) {
    std::string out{module.name};
    std::ranges::replace(out, '-', '_');
    return out;
}

bool verifies(ByteView spki, Scheme scheme, const DtbsR& dtbsr, ByteView signature) {
    const auto key = public_key_from_der(spki);
    if (!key) return false;
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.value().get(), nullptr)};
    EVP_PKEY_verify_init(context.get());
    if (scheme == Scheme::rsa_pss) EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_signature_md(context.get(), EVP_get_digestbyname(row_of(dtbsr.algorithm()).name.data()));
    if (scheme == Scheme::rsa_pss) EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST);
    return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), dtbsr.bytes().data(),
                           dtbsr.bytes().size()) == 1;
}

DtbsR hash_of(std::string_view document, HashAlgorithm algorithm) {
    return DtbsR::from(algorithm, digest(algorithm, view_of(document))).value();
}

}  // namespace qscd::modules
