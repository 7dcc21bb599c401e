#include "hsm/library.hpp"

#include <dlfcn.h>

namespace qscd::hsm {
namespace {

// dlsym looks in the libraries that a library needs, too: any one that needs libp11-kit would offer all modules that
// p11-kit knows, in place of the one that was asked for.
CK_C_GetFunctionList own_function_list(void* library, const std::filesystem::path& path) {
    void* const found = ::dlsym(library, "C_GetFunctionList");
    ::Dl_info about{};
    std::error_code failed;
    if (found == nullptr || ::dladdr(found, &about) == 0 || about.dli_fname == nullptr ||
        !std::filesystem::equivalent(about.dli_fname, path, failed))
        return nullptr;
    return reinterpret_cast<CK_C_GetFunctionList>(found);
}

}  // namespace

Result<const CK_FUNCTION_LIST*> load_library(const std::filesystem::path& path) {
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return Error{Errc::configuration, "cannot load " + path.string()};
    const auto list = own_function_list(library, path);
    CK_FUNCTION_LIST* api = nullptr;
    if (list == nullptr || list(&api) != CKR_OK || api == nullptr)
        return Error{Errc::configuration, path.string() + " is not a PKCS#11 module"};
    return api;
}

}  // namespace qscd::hsm
