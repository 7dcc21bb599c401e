#include "tests/instruments/pkcs11_spy/spy_instance.hpp"

#include <cstdlib>
#include <dlfcn.h>

namespace qscd::spy {
namespace {

template <class Function>
void find(void* library, const char* name, Function& out) {
    out = reinterpret_cast<Function>(::dlsym(library, name));
    if (out == nullptr) std::abort();
}

}  // namespace

Instance::Instance(const std::filesystem::path& library) {
    void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) std::abort();
    find(handle, "qscd_spy_calls", calls_);
    find(handle, "qscd_spy_open_sessions", open_sessions_);
    find(handle, "qscd_spy_command", command_);
}

}  // namespace qscd::spy
