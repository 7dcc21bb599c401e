#include "ades/content.hpp"

#include <cerrno>
#include <cstdio>
#include <openssl/evp.h>
#include <system_error>

#include "base/openssl.hpp"

namespace qscd::ades {
namespace {

using File = std::unique_ptr<std::FILE, FreeWith<std::fclose>>;
constexpr std::size_t piece = 1 << 18;

const EVP_MD* implementation_of(HashAlgorithm algorithm) {
    constexpr std::array implementations{EVP_sha256, EVP_sha384, EVP_sha512};
    return implementations[static_cast<std::size_t>(algorithm) - 1]();
}

Error unreadable(const std::filesystem::path& path, int error) {
    return {Errc::parameter_invalid, path.string() + ": " + std::generic_category().message(error)};
}

}  // namespace

Result<Bytes> digest_file(const std::filesystem::path& path, HashAlgorithm algorithm) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return unreadable(path, EISDIR);
    const File file{std::fopen(path.c_str(), "rb")};
    if (!file) return unreadable(path, errno);
    const EvpMdCtx state{EVP_MD_CTX_new()};
    if (!state || EVP_DigestInit_ex2(state.get(), implementation_of(algorithm), nullptr) != 1)
        return Error{Errc::internal, "EVP_DigestInit: " + openssl_reason()};
    Bytes buffer(piece);
    std::size_t size = 0;
    do {
        size = std::fread(buffer.data(), 1, piece, file.get());
        if (EVP_DigestUpdate(state.get(), buffer.data(), size) != 1) return Error{Errc::internal, openssl_reason()};
    } while (size == piece);  // less comes only at the end, or when reading failed
    if (std::ferror(file.get()) != 0) return unreadable(path, errno);
    Bytes out(size_of(algorithm));
    if (EVP_DigestFinal_ex(state.get(), out.data(), nullptr) != 1) return Error{Errc::internal, openssl_reason()};
    return out;
}

Content content_in_file(std::filesystem::path path) {
    return [path = std::move(path)](HashAlgorithm algorithm) { return digest_file(path, algorithm); };
}

Content content_in_memory(ByteView bytes) {
    return [bytes](HashAlgorithm algorithm) -> Result<Bytes> { return digest(algorithm, bytes); };
}

Content content_hashed(HashAlgorithm algorithm, Bytes digest) {
    return [algorithm, digest = std::move(digest)](HashAlgorithm asked) -> Result<Bytes> {
        if (asked != algorithm)
            return Error{Errc::not_supported, "the signature is over the content's " + std::string{row_of(asked).name}};
        return digest;
    };
}

}  // namespace qscd::ades
