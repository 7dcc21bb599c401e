#include "hsm/provider/store.hpp"

#include <exception>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/store.h>

namespace qscd::hsm::provider {
namespace {

struct Store {
    const ModuleProvider* provider;
    KeyUri uri;
    int expected = 0;    // OSSL_STORE_INFO_…, 0: whatever there is
    bool ended = false;  // a URI names one key; after a failure too, or OpenSSL's commands would ask for ever
};

Store& at(void* store) { return *static_cast<Store*>(store); }

// OpenSSL's C frames stand between us and the caller.
template <class Job>
int guarded(Job job) {
    try {
        return job();
    } catch (const std::exception& exception) {
        return refuse({Errc::internal, std::string{"the provider's store: "} + exception.what()});
    }
}

void* open(void* provider, const char* uri) {
    Store* out = nullptr;
    guarded([&] {
        auto parsed = KeyUri::parse(uri);
        if (!parsed) return refuse(parsed.error());
        out = new Store{.provider = static_cast<const ModuleProvider*>(provider), .uri = std::move(parsed.value())};
        return 1;
    });
    return out;
}

int set_parameters(void* store, const OSSL_PARAM parameters[]) {
    const auto* expected = OSSL_PARAM_locate_const(parameters, OSSL_STORE_PARAM_EXPECT);
    return expected == nullptr || OSSL_PARAM_get_int(expected, &at(store).expected) == 1;
}

const OSSL_PARAM* settable(void*) {
    static const OSSL_PARAM all[] = {OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, nullptr), OSSL_PARAM_END};
    return all;
}

Result<SecretBytes> ask_openssl(const std::string& token, OSSL_PASSPHRASE_CALLBACK* callback, void* argument) {
    std::array<char, 256> room{};
    std::size_t size = 0;
    const std::string about = "token " + token;
    const std::array parameters{
        OSSL_PARAM_construct_utf8_string(OSSL_PASSPHRASE_PARAM_INFO, const_cast<char*>(about.c_str()), 0),
        OSSL_PARAM_construct_end()};
    const bool answered = callback != nullptr &&
                          callback(room.data(), room.size(), &size, parameters.data(), argument) == 1 && size > 0;
    SecretBytes pin{std::string_view{room.data(), std::min(size, room.size())}};
    ::explicit_bzero(room.data(), room.size());
    if (!answered)
        return Error{Errc::configuration, "no PIN for token " + token + ": give pin-source, -passin or a terminal"};
    return pin;
}

int hand_over(SharedKey key, OSSL_CALLBACK* receive, void* receiver) {
    int type = OSSL_OBJECT_PKEY;
    const std::string kind = key->elliptic ? "EC" : "RSA";
    KeyReference reference{new SharedKey{std::move(key)}};
    const std::array parameters{
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, const_cast<char*>(kind.c_str()), 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &reference, sizeof reference),
        OSSL_PARAM_construct_end(),
    };
    const int received = receive(parameters.data(), receiver);
    delete reference.key;  // nothing when KEYMGMT LOAD took it
    return received;
}

int load(void* data, OSSL_CALLBACK* receive, void* receiver, OSSL_PASSPHRASE_CALLBACK* ask, void* asked) {
    return guarded([&] {
        auto& store = at(data);
        store.ended = true;
        if (store.expected != 0 && store.expected != OSSL_STORE_INFO_PKEY && store.expected != OSSL_STORE_INFO_PUBKEY)
            return refuse({Errc::not_supported, "a token is asked for keys alone, not for certificates and the like"});
        const auto pin = [&](const std::string& token) -> Result<SecretBytes> {
            const auto source = store.uri.pin_source().value_or(store.provider->pin_source);
            return source.empty() ? ask_openssl(token, ask, asked) : pin_from(source);
        };
        const bool public_only = store.expected == OSSL_STORE_INFO_PUBKEY ||
                                 store.uri.object_class() == CK_OBJECT_CLASS{CKO_PUBLIC_KEY};
        auto key = load_key(*store.provider, store.uri, public_only, pin);
        return key ? hand_over(std::move(key.value()), receive, receiver) : refuse(key.error());
    });
}

int ended(void* store) { return at(store).ended ? 1 : 0; }

int close(void* store) {
    delete &at(store);
    return 1;
}

}  // namespace

const OSSL_ALGORITHM* stores() {
    static const OSSL_DISPATCH entries[] = {
        entry<OSSL_FUNC_store_open_fn>(OSSL_FUNC_STORE_OPEN, open),
        entry<OSSL_FUNC_store_settable_ctx_params_fn>(OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, settable),
        entry<OSSL_FUNC_store_set_ctx_params_fn>(OSSL_FUNC_STORE_SET_CTX_PARAMS, set_parameters),
        entry<OSSL_FUNC_store_load_fn>(OSSL_FUNC_STORE_LOAD, load),
        entry<OSSL_FUNC_store_eof_fn>(OSSL_FUNC_STORE_EOF, ended),
        entry<OSSL_FUNC_store_close_fn>(OSSL_FUNC_STORE_CLOSE, close),
        {0, nullptr},
    };
    static const OSSL_ALGORITHM all[] = {{"pkcs11", "provider=qscd-pkcs11", entries, "keys in PKCS#11 tokens"},
                                         {nullptr, nullptr, nullptr, nullptr}};
    return all;
}

}  // namespace qscd::hsm::provider
