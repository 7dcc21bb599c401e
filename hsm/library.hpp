// A vendor's PKCS#11 library, loaded into this process. Never unloaded: some leave threads or exit handlers behind.
// Private to the room. [pkcs11 2.40, 5.4]
#pragma once

#include <filesystem>
#include <p11-kit/pkcs11.h>

#include "base/result.hpp"

namespace qscd::hsm {

// The library's own functions. Errc::configuration when it cannot be loaded or is no PKCS#11 module.
Result<const CK_FUNCTION_LIST*> load_library(const std::filesystem::path& path);

}  // namespace qscd::hsm
