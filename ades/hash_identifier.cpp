#include "ades/hash_identifier.hpp"

#include <openssl/objects.h>

#include "base/der.hpp"

namespace qscd::ades {
namespace {

struct Row {
    HashAlgorithm hash;
    int nid;
};
constexpr std::array rows{
    Row{HashAlgorithm::sha256, NID_sha256},
    Row{HashAlgorithm::sha384, NID_sha384},
    Row{HashAlgorithm::sha512, NID_sha512},
};

}  // namespace

Bytes hash_identifier(HashAlgorithm hash) { return der::sequence({der::object_identifier(nid_of(hash))}); }

std::optional<HashAlgorithm> hash_numbered(int nid) {
    for (const auto& row : rows)
        if (row.nid == nid) return row.hash;
    return std::nullopt;
}

int nid_of(HashAlgorithm hash) { return rows[static_cast<std::size_t>(hash) - 1].nid; }

}  // namespace qscd::ades
