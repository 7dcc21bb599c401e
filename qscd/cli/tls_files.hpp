// A private CA and a certificate for localhost, for the first start of a deployment; an operator replaces both. The CA's
// key is not kept.
#pragma once

#include <filesystem>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace qscd::cli {

// Writes ca.pem, gateway.pem and gateway.key (0600) into `folder`.
Result<void> make_tls_files(const std::filesystem::path& folder, TimePoint now);

}  // namespace qscd::cli
