// What was signed, as its digest: documents are only ever hashed, so that hundreds of megabytes cost no memory.
// Thread rules: pure functions.
#pragma once

#include <filesystem>
#include <functional>

#include "base/digest.hpp"

namespace qscd::ades {

// Reads in pieces. Errors: parameter_invalid naming the path, when it is no readable regular file.
Result<Bytes> digest_file(const std::filesystem::path& path, HashAlgorithm algorithm);

// The content of a detached signature: answers its digest under the algorithm that the signature turns out to use.
using Content = std::function<Result<Bytes>(HashAlgorithm)>;
Content content_in_file(std::filesystem::path path);
Content content_in_memory(ByteView bytes);  // borrowed
// For who has only the digest: under another algorithm it answers not_supported.
Content content_hashed(HashAlgorithm algorithm, Bytes digest);

}  // namespace qscd::ades
