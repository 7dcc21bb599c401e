#include "base/digest.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdexcept>

namespace qscd {

Sha256Digest sha256(ByteView bytes) {
    std::array<std::uint8_t, 32> out;
    SHA256(bytes.data(), bytes.size(), out.data());
    return Sha256Digest{out};
}

Sha256Digest sha256(std::initializer_list<ByteView> parts) {
    std::size_t size = 0;
    for (const auto part : parts) size += part.size();
    if (std::array<std::uint8_t, 128> small; size <= small.size()) {  // a tree's node: no allocation for it
        auto end = small.begin();
        for (const auto part : parts) end = std::ranges::copy(part, end).out;
        return sha256(ByteView{small.data(), size});
    }
    Bytes all;
    all.reserve(size);
    for (const auto part : parts) all.insert(all.end(), part.begin(), part.end());
    return sha256(all);
}

Bytes digest(HashAlgorithm algorithm, ByteView bytes) {
    Bytes out(size_of(algorithm));
    const EVP_MD* md = algorithm == HashAlgorithm::sha256   ? EVP_sha256()
                       : algorithm == HashAlgorithm::sha384 ? EVP_sha384()
                                                            : EVP_sha512();
    if (EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, md, nullptr) != 1)
        throw std::runtime_error("EVP_Digest");
    return out;
}

}  // namespace qscd
