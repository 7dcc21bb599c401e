#include "hsm/provider/provider.hpp"

#include <array>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include "hsm/provider/tables.hpp"

namespace qscd::hsm {
namespace provider {
namespace {

std::optional<Error>& error_of_this_thread() {
    thread_local std::optional<Error> error;
    return error;
}

// Reason codes of OpenSSL's own are below 100.
constexpr int reason_of(Errc code) { return 100 + static_cast<int>(code); }

int error_library() {
    static const int library = ERR_get_next_error_library();
    return library;
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_cache) {
    *no_cache = 0;
    return algorithms(operation);
}

int start(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** out, void** context) {
    static const OSSL_DISPATCH entries[] = {
        entry<OSSL_FUNC_provider_query_operation_fn>(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
        {0, nullptr},
    };
    static const Surroundings built_in;
    *out = entries;
    *context = const_cast<Surroundings*>(&built_in);
    return 1;
}

// The default provider is loaded first and by name: OpenSSL takes it by itself only while no other is loaded. Of two
// equal offers it takes the one that it met first, which is not always the one loaded first: so the default provider
// is preferred by name, and public keys stay with it. Neither is unloaded: keys may outlive whatever could do it.
Result<void> load() {
    // Another one of this name would take our keys' place: they are for the one in this binary alone.
    if (OSSL_PROVIDER_available(nullptr, name) == 1)
        return Error{Errc::configuration,
                     "OpenSSL's configuration loads the module qscd-pkcs11 into this process, "
                     "which brings its own: take it out of the openssl.cnf that OPENSSL_CONF names"};
    static OSSL_PROVIDER* const usual = OSSL_PROVIDER_load(nullptr, "default");
    static OSSL_PROVIDER* const ours = OSSL_PROVIDER_add_builtin(nullptr, name, start) == 1
                                           ? OSSL_PROVIDER_load(nullptr, name)
                                           : nullptr;
    if (usual == nullptr || ours == nullptr || EVP_set_default_properties(nullptr, "?provider=default") != 1)
        return Error{Errc::internal, "loading the provider qscd-pkcs11: " + openssl_reason()};
    name_errors();
    return success();
}

Result<void> loaded_once() {
    static const Result<void> outcome = load();
    return outcome;
}

Result<void> check_kind(const ProviderKey& key, const EVP_PKEY& public_key) {
    if (kind_of(public_key) == key.kind) return success();
    return Error{Errc::internal, "the public key is not " + std::string{row_of(key.kind).name}};
}

}  // namespace

const OSSL_ALGORITHM* algorithms(int operation) {
    static const OSSL_ALGORITHM keys[] = {
        {"RSA:rsaEncryption", "provider=qscd-pkcs11", rsa_key_management(), "RSA keys in a token"},
        {"EC:id-ecPublicKey", "provider=qscd-pkcs11", ec_key_management(), "EC keys in a token"},
        {nullptr, nullptr, nullptr, nullptr},
    };
    static const OSSL_ALGORITHM schemes[] = {
        {"RSA:rsaEncryption", "provider=qscd-pkcs11", signatures(), "RSA signatures by a token"},
        {"ECDSA", "provider=qscd-pkcs11", signatures(), "ECDSA signatures by a token"},
        {nullptr, nullptr, nullptr, nullptr},
    };
    if (operation == OSSL_OP_KEYMGMT) return keys;
    return operation == OSSL_OP_SIGNATURE ? schemes : nullptr;
}

std::optional<KeyKind> kind_of(const EVP_PKEY& public_key) {
    std::array<char, 40> group{};
    const bool elliptic = EVP_PKEY_is_a(&public_key, "EC") == 1;
    if (elliptic ? EVP_PKEY_get_group_name(&public_key, group.data(), group.size(), nullptr) != 1
                 : EVP_PKEY_is_a(&public_key, "RSA") != 1)
        return std::nullopt;
    for (const auto& row : key_kind_rows)
        if (row.elliptic == elliptic &&
            (elliptic ? row.group == group.data() : EVP_PKEY_get_bits(&public_key) == static_cast<int>(row.bits)))
            return row.kind;
    return std::nullopt;
}

void name_errors() {
    constexpr auto last = static_cast<std::size_t>(last_errc);
    static std::array<ERR_STRING_DATA, last + 2> texts{};  // OpenSSL keeps pointers into it
    texts[0] = {ERR_PACK(error_library(), 0, 0), name};
    for (std::size_t code = 1; code <= last; ++code)
        texts[code] = {ERR_PACK(error_library(), 0, reason_of(static_cast<Errc>(code))),
                       // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): names are literals
                       name_of(static_cast<Errc>(code)).data()};
    ERR_load_strings(error_library(), texts.data());
}

int refuse(Error error) {
    ERR_new();
    ERR_set_debug("hsm/provider/provider.cpp", OPENSSL_LINE, name);
    ERR_set_error(error_library(), reason_of(error.code), "%s", describe(error).c_str());
    error_of_this_thread() = std::move(error);
    return 0;
}

void forget_error() { error_of_this_thread().reset(); }

}  // namespace provider

Result<void> load_provider() { return provider::loaded_once(); }

Result<EvpPkey> make_evp_pkey(std::shared_ptr<const ProviderKey> key) {
    QSCD_TRY(load_provider());
    QSCD_TRY(const auto public_key, public_key_from_der(key->spki));
    QSCD_TRY(provider::check_kind(*key, *public_key));
    const char* type = row_of(key->kind).elliptic ? "EC" : "RSA";
    provider::Handover handover{std::move(key), public_key.get()};
    std::array parameters{
        OSSL_PARAM_construct_octet_string(provider::handover_parameter, &handover, sizeof handover),
        OSSL_PARAM_construct_end(),
    };
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(nullptr, type, "provider=qscd-pkcs11")};
    EVP_PKEY* out = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &out, EVP_PKEY_KEYPAIR, parameters.data()) != 1)
        return Error{Errc::internal, "EVP_PKEY_fromdata: " + openssl_reason()};
    return EvpPkey{out};
}

std::optional<Error> last_signing_error() { return provider::error_of_this_thread(); }

Result<void> signing(std::string_view call, const std::function<bool()>& run) {
    provider::forget_error();
    ERR_clear_error();
    if (run()) return success();
    if (auto error = last_signing_error()) {
        ERR_clear_error();
        return *std::move(error);
    }
    return Error{Errc::internal, std::string{call} + ": " + openssl_reason()};
}

}  // namespace qscd::hsm
