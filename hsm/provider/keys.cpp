// KEYMGMT of the provider [provider-keymgmt(7)]. The names OpenSSL knows are essential: CMS and PKCS#7 ask whether a
// key "is a" RSA or EC. A private part never leaves, since there is none.
#include <openssl/core_names.h>

#include "hsm/provider/tables.hpp"

namespace qscd::hsm::provider {
namespace {

KeyData& key_at(const void* data) { return **static_cast<const SharedKey*>(data); }

template <bool Elliptic>
void* create(void* surroundings) {
    auto key = std::make_shared<KeyData>();
    key->surroundings = static_cast<const Surroundings*>(surroundings);
    key->elliptic = Elliptic;
    return new SharedKey{std::move(key)};
}

template <bool Elliptic>
void* load(const void* reference, std::size_t size) {
    if (size != sizeof(KeyReference)) return nullptr;
    auto& offered = static_cast<KeyReference*>(const_cast<void*>(reference))->key;
    if (offered == nullptr || (*offered)->elliptic != Elliptic) return nullptr;
    return std::exchange(offered, nullptr);
}

void release(void* data) { delete static_cast<SharedKey*>(data); }

int has(const void* data, int selection) {
    const auto& key = key_at(data);
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !key.signer) return 0;
    return key.public_key ? 1 : 0;
}

int import_key(void* data, int selection, const OSSL_PARAM parameters[]) {
    auto& key = key_at(data);
    if (const auto* given = OSSL_PARAM_locate_const(parameters, handover_parameter)) {
        if (!key.surroundings->takes_handover || given->data_type != OSSL_PARAM_OCTET_STRING ||
            given->data_size != sizeof(Handover))
            return 0;
        const auto& handover = *static_cast<const Handover*>(given->data);
        if (EVP_PKEY_up_ref(handover.public_key) != 1) return 0;
        key.public_key.reset(handover.public_key);
        key.signer = handover.signer;
        return 1;
    }
    // A certificate's key comes this way to be compared with ours. A private key in memory stays with its own
    // provider: OpenSSL offers it to us where it met our SIGNATURE first, and goes back when we refuse.
    if (OSSL_PARAM_locate_const(parameters, OSSL_PKEY_PARAM_PRIV_KEY) != nullptr ||
        OSSL_PARAM_locate_const(parameters, OSSL_PKEY_PARAM_RSA_D) != nullptr)
        return 0;
    const EvpPkeyCtx context{
        EVP_PKEY_CTX_new_from_name(key.surroundings->library, key.elliptic ? "EC" : "RSA", default_provider)};
    EVP_PKEY* out = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &out, selection & ~OSSL_KEYMGMT_SELECT_PRIVATE_KEY,
                          const_cast<OSSL_PARAM*>(parameters)) != 1)
        return 0;
    key.public_key.reset(out);
    return 1;
}

// OpenSSL asks for the private part before each signature, to let the default provider sign. Giving it the public part
// alone would make that provider try, and fail; the plain refusal makes it come back to us. A key without a signer is a
// public one and hides nothing, whatever it is asked for.
int export_key(void* data, int selection, OSSL_CALLBACK* receive, void* receiver) {
    const auto& key = key_at(data);
    if (!key.public_key || (key.signer && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)) return 0;
    return EVP_PKEY_export(key.public_key.get(), selection & ~OSSL_KEYMGMT_SELECT_PRIVATE_KEY, receive, receiver);
}

template <bool Elliptic>
const OSSL_PARAM* public_parameters(int selection) {
    static const OSSL_PARAM ec[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
                                    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0), OSSL_PARAM_END};
    static const OSSL_PARAM rsa[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
                                     OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0), OSSL_PARAM_END};
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0)
        return nullptr;
    return Elliptic ? ec : rsa;
}

int match(const void* left, const void* right, int selection) {
    const auto &a = key_at(left), &b = key_at(right);
    if (a.elliptic != b.elliptic || !a.public_key || !b.public_key) return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0) return EVP_PKEY_eq(a.public_key.get(), b.public_key.get()) == 1;
    return !a.elliptic || EVP_PKEY_parameters_eq(a.public_key.get(), b.public_key.get()) == 1;
}

// Bits, security bits, size and default digest are mandatory: without a size, signing fails.
int get_parameters(void* data, OSSL_PARAM parameters[]) {
    const auto& key = key_at(data);
    return key.public_key ? EVP_PKEY_get_params(key.public_key.get(), parameters) : 0;
}

const OSSL_PARAM* gettable_parameters(void*) {
    static const OSSL_PARAM all[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0),
        OSSL_PARAM_END,
    };
    return all;
}

template <bool Elliptic>
const char* operation_name(int operation) {
    if (operation != OSSL_OP_SIGNATURE) return nullptr;
    return Elliptic ? "ECDSA" : "RSA";
}

template <bool Elliptic>
const OSSL_DISPATCH* table() {
    static const OSSL_DISPATCH entries[] = {
        entry<OSSL_FUNC_keymgmt_new_fn>(OSSL_FUNC_KEYMGMT_NEW, create<Elliptic>),
        entry<OSSL_FUNC_keymgmt_load_fn>(OSSL_FUNC_KEYMGMT_LOAD, load<Elliptic>),
        entry<OSSL_FUNC_keymgmt_free_fn>(OSSL_FUNC_KEYMGMT_FREE, release),
        entry<OSSL_FUNC_keymgmt_has_fn>(OSSL_FUNC_KEYMGMT_HAS, has),
        entry<OSSL_FUNC_keymgmt_import_fn>(OSSL_FUNC_KEYMGMT_IMPORT, import_key),
        entry<OSSL_FUNC_keymgmt_import_types_fn>(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, public_parameters<Elliptic>),
        entry<OSSL_FUNC_keymgmt_export_fn>(OSSL_FUNC_KEYMGMT_EXPORT, export_key),
        entry<OSSL_FUNC_keymgmt_export_types_fn>(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, public_parameters<Elliptic>),
        entry<OSSL_FUNC_keymgmt_match_fn>(OSSL_FUNC_KEYMGMT_MATCH, match),
        entry<OSSL_FUNC_keymgmt_get_params_fn>(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_parameters),
        entry<OSSL_FUNC_keymgmt_gettable_params_fn>(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_parameters),
        entry<OSSL_FUNC_keymgmt_query_operation_name_fn>(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,
                                                         operation_name<Elliptic>),
        {0, nullptr},
    };
    return entries;
}

}  // namespace

const OSSL_DISPATCH* rsa_key_management() { return table<false>(); }
const OSSL_DISPATCH* ec_key_management() { return table<true>(); }

}  // namespace qscd::hsm::provider
