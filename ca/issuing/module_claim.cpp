#include "ca/issuing/module_claim.hpp"

namespace qscd::ca {
namespace {

struct Wanted {
    std::string_view name, value;
};
constexpr std::array wanted{
    Wanted{"CKA_TOKEN", "true"},    Wanted{"CKA_PRIVATE", "true"},          Wanted{"CKA_SENSITIVE", "true"},
    Wanted{"CKA_LOCAL", "true"},    Wanted{"CKA_ALWAYS_SENSITIVE", "true"}, Wanted{"CKA_NEVER_EXTRACTABLE", "true"},
    Wanted{"CKA_SIGN", "true"},     Wanted{"CKA_EXTRACTABLE", "false"},     Wanted{"CKA_MODIFIABLE", "false"},
    Wanted{"CKA_DECRYPT", "false"}, Wanted{"CKA_UNWRAP", "false"},          Wanted{"CKA_DERIVE", "false"},
};

const std::string* find(const protocol::KeyProof& proof, std::string_view name) {
    const auto found = std::ranges::find(proof.attributes, name,
                                         [](const auto& each) { return std::string_view{each.first}; });
    return found == proof.attributes.end() ? nullptr : &found->second;
}

Error refused(std::string what) { return {Errc::paper_refused, std::move(what)}; }

bool is_strong_rsa(const EVP_PKEY& key) {  // odd, 2^16 < e < 2^256 [TS 119 312, 6.2.2.1]
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(&key, "e", &raw) != 1) return false;
    const BigNum exponent{raw};
    return BN_is_odd(exponent.get()) == 1 && BN_num_bits(exponent.get()) > 16 && BN_num_bits(exponent.get()) <= 256;
}

bool is_of_kind(const EVP_PKEY& key, const KeyKindRow& row) {
    if (EVP_PKEY_get_bits(&key) != static_cast<int>(row.bits)) return false;
    if (!row.elliptic) return EVP_PKEY_get_base_id(&key) == EVP_PKEY_RSA && is_strong_rsa(key);
    std::array<char, 64> group{};
    return EVP_PKEY_get_base_id(&key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(&key, group.data(), group.size(), nullptr) == 1 && row.group == group.data();
}

}  // namespace

Result<void> check_attributes(const protocol::KeyProof& proof) {
    for (const auto& [name, value] : wanted) {
        const auto count = std::ranges::count_if(proof.attributes,
                                                 [&](const auto& each) { return each.first == name; });
        const auto* said = find(proof, name);
        if (count != 1 || *said != value)
            return refused("the KeyProof does not say " + std::string{name} + " = " + std::string{value} +
                           " [QSCD-02]");
    }
    return success();
}

Result<void> check_public_key(const protocol::KeyProof& proof) {
    QSCD_TRY(const auto key, public_key_from_der(proof.public_key));
    if (der_of(*key, i2d_PUBKEY) != proof.public_key) return refused("the public key is not in its canonical form");
    if (!is_of_kind(*key, row_of(proof.key_kind)))
        return refused("the public key is not of the kind the KeyProof names");
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
    if (EVP_PKEY_public_check(context.get()) != 1) return refused("the public key is no good key: " + openssl_reason());
    return success();
}

Result<void> check_counts_as_qscd(const protocol::KeyProof& proof, const policy::ModuleRegistry& registry,
                                  TimePoint now, bool issuer_says_test) {
    const auto denied = [](std::string what) { return Error{Errc::access_denied, std::move(what) + " [QSCD-03]"}; };
    const auto* entry = registry.find(proof.module_entry);
    if (entry == nullptr) return denied("the module registry does not know the KeyProof's module");
    if (!entry->qscd) return denied("the module has no [qscd] entry");
    const auto said = [&](std::string_view name) -> std::optional<std::string> {
        const auto* found = find(proof, name);
        return found == nullptr ? std::nullopt : std::optional{*found};
    };
    // A certified combination must be attested field by field. A trial may leave fields unsaid: what it says must
    // match.
    const bool trial = entry->qscd->trial;
    const auto model = said(attested_model), firmware = said(attested_firmware);
    const auto build_text = said(attested_sam_build), configuration_text = said(attested_configuration);
    if (!trial && (!model || !firmware || !build_text || !configuration_text))
        return denied("the KeyProof does not attest model, firmware, SAM build and configuration");
    const auto digest_said = [](const std::optional<std::string>& text, const std::optional<Sha256Digest>& unsaid) {
        return text ? Sha256Digest::from_hex(*text) : std::optional{unsaid.value_or(sha256(ByteView{}))};
    };
    const auto build = digest_said(build_text, entry->qscd->sam_build);
    const auto configuration = digest_said(configuration_text, entry->qscd->configuration);
    if (!build || !configuration) return denied("the KeyProof attests a digest that is none");
    const policy::ObservedModule observed{
        model.value_or(entry->model), firmware.value_or(entry->qscd->firmware.value_or("")), *build, *configuration};
    if (!entry->counts_as_qscd(observed, now, issuer_says_test))
        return denied(trial && !issuer_says_test ? "a trial entry counts only under a CA whose name says TEST"
                                                 : "the module registry's [qscd] entry does not cover this key");
    return success();
}

}  // namespace qscd::ca
