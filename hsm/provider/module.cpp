// The provider as a shared library, for programs that are not ours: what OpenSSL calls when it loads and unloads it.
// [provider-base(7)] Its settings come from the provider's section of openssl.cnf and, where that is silent, from the
// environment, which is not asked in a program that runs with another's rights. docs/hsm/openssl.md is the manual.
#include <cstdlib>
#include <openssl/core_names.h>
#include <openssl/provider.h>

#include "hsm/provider/store.hpp"

namespace qscd::hsm::provider {
namespace {

struct Setting {
    const char *parameter, *variable;
};
constexpr Setting module_path{"pkcs11-module-path", "QSCD_PKCS11_MODULE"};
constexpr Setting module_reserved{"pkcs11-module-reserved", "QSCD_PKCS11_RESERVED"};
constexpr Setting pin_source{"pkcs11-pin-source", "QSCD_PKCS11_PIN_SOURCE"};
// "NAME=value", several parted by ';': set before the module is loaded. No variable: it would only set variables.
constexpr Setting module_environment{"pkcs11-module-environment", nullptr};

using GetParameters = OSSL_FUNC_core_get_params_fn*;

GetParameters core_parameters(const OSSL_DISPATCH* core) {
    for (; core->function_id != 0; ++core)
        if (core->function_id == OSSL_FUNC_CORE_GET_PARAMS) return OSSL_FUNC_core_get_params(core);
    return nullptr;
}

std::string value_of(const Setting& setting, GetParameters get, const OSSL_CORE_HANDLE* handle) {
    char* text = nullptr;
    std::array parameters{OSSL_PARAM_construct_utf8_ptr(setting.parameter, &text, 0), OSSL_PARAM_construct_end()};
    if (get != nullptr && get(handle, parameters.data()) == 1 && text != nullptr) return text;
    const char* variable = setting.variable == nullptr ? nullptr : ::secure_getenv(setting.variable);
    return variable == nullptr ? "" : variable;
}

std::map<std::string, std::string> environment_in(std::string_view text) {
    std::map<std::string, std::string> out;
    while (!text.empty()) {
        const auto entry = text.substr(0, text.find(';'));
        if (const auto mark = entry.find('='); mark != std::string_view::npos)
            out.emplace(entry.substr(0, mark), entry.substr(mark + 1));
        text.remove_prefix(std::min(entry.size() + 1, text.size()));
    }
    return out;
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_cache) {
    *no_cache = 0;
    return operation == OSSL_OP_STORE ? stores() : algorithms(operation);
}

const OSSL_PARAM* gettable(void*) {
    static const OSSL_PARAM all[] = {OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, nullptr, 0),
                                     OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, nullptr, 0),
                                     OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, nullptr), OSSL_PARAM_END};
    return all;
}

int get_parameters(void*, OSSL_PARAM parameters[]) {
    const auto text = [&](const char* key, const char* value) {
        auto* p = OSSL_PARAM_locate(parameters, key);
        return p == nullptr || OSSL_PARAM_set_utf8_ptr(p, value) == 1;
    };
    auto* status = OSSL_PARAM_locate(parameters, OSSL_PROV_PARAM_STATUS);
    return text(OSSL_PROV_PARAM_NAME, "qscd: keys in PKCS#11 tokens") && text(OSSL_PROV_PARAM_VERSION, QSCD_VERSION) &&
           (status == nullptr || OSSL_PARAM_set_int(status, 1) == 1);
}

void teardown(void* data) {
    auto* provider = static_cast<ModuleProvider*>(data);
    if (provider->usual != nullptr) OSSL_PROVIDER_unload(provider->usual);
    OSSL_LIB_CTX_free(provider->surroundings.library);
    delete provider;
}

int start(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH* core, const OSSL_DISPATCH** out, void** context) {
    static const OSSL_DISPATCH entries[] = {
        entry<OSSL_FUNC_provider_query_operation_fn>(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
        entry<OSSL_FUNC_provider_gettable_params_fn>(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, gettable),
        entry<OSSL_FUNC_provider_get_params_fn>(OSSL_FUNC_PROVIDER_GET_PARAMS, get_parameters),
        entry<OSSL_FUNC_provider_teardown_fn>(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
        {0, nullptr},
    };
    const auto get = core_parameters(core);
    auto provider = std::make_unique<ModuleProvider>();
    provider->surroundings = {OSSL_LIB_CTX_new(), false};
    if (provider->surroundings.library != nullptr)
        provider->usual = OSSL_PROVIDER_load(provider->surroundings.library, "default");
    if (provider->usual == nullptr) {
        teardown(provider.release());
        return 0;
    }
    provider->settings.library = value_of(module_path, get, handle);
    provider->settings.reserved = value_of(module_reserved, get, handle);
    provider->settings.environment = environment_in(value_of(module_environment, get, handle));
    provider->pin_source = value_of(pin_source, get, handle);
    name_errors();
    *out = entries;
    *context = provider.release();
    return 1;
}

}  // namespace
}  // namespace qscd::hsm::provider

extern "C" __attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE* handle,
                                                                         const OSSL_DISPATCH* core,
                                                                         const OSSL_DISPATCH** out, void** context) {
    return qscd::hsm::provider::start(handle, core, out, context);
}
