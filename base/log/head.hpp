// The signed head of a log: a checkpoint in the transparency-log form, one format for store, anchor and outside.
//   origin \n size \n base64(root) \n \n — key-name base64(key id (4 bytes) | signature) \n
// The key that signs is handed in. Thread rules: values.
#pragma once

#include <functional>

#include "base/digest.hpp"
#include "base/openssl.hpp"

namespace qscd::log {

struct Head {
    std::string origin;  // names the log: genesis digest and shard
    std::uint64_t size;
    Sha256Digest root;
};

// What is signed.
std::string body_of(const Head& head);

// `key_id` is SHA-256 of the head key's SubjectPublicKeyInfo; its first four bytes stand in the text.
std::string with_signature(const Head& head, std::string_view key_name, const Sha256Digest& key_id, ByteView signature);

// "head-7" in the signature line; empty for a text that is no head. Says which key to look for, proves nothing.
std::string_view key_name_of(std::string_view text);

// Parses and verifies. Errc::paper_refused for form, origin, key or signature.
Result<Head> verified_head(std::string_view text, std::string_view origin, std::string_view key_name, EVP_PKEY& key);

}  // namespace qscd::log
