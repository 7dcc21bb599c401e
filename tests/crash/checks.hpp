// What must agree after any crash: the clients' view, the SAM's log, the token, the token's call log, the CA's register.
// Each function answers what contradicts, one sentence each; nothing is all well. Nobody works meanwhile, and samd is up:
// what was begun before its start has its result. Thread rules: pure.
#pragma once

#include <optional>
#include <set>

#include "tests/crash/history.hpp"

namespace qscd::crash {

using integration::Record;
using Findings = std::vector<std::string>;

// Each signature handed out has its intent and its result; each intent one result; each occurrence of a hash that the
// signer approved is used once, and nothing that nobody approved.
Findings check_signatures(const History& history, const std::vector<Record>& records);

// Tries: what was answered is in the log, wrong factors approve nothing, and no more than `tries` PINs are looked at
// between two right ones.
Findings check_tries(const History& history, const std::vector<Record>& records, unsigned tries);

// How often the module was asked for a signature by signers' keys (the call log): by SHA-256 of what it was given, in hex.
using CallsByDigest = std::map<std::string, std::size_t>;
Findings check_calls(const History& history, const std::vector<Record>& records, const CallsByDigest& calls);

// Private keys in the signers' token, as CKA_ID in hex: those that the log knows, each, and no other.
Findings check_keys(const std::vector<Record>& records, const std::set<std::string>& in_token);

struct Registered {
    Bytes certificate;
    std::string state;
};
Findings check_enrolments(const History& history, const std::vector<Record>& records,
                          const std::map<std::string, Registered>& by_credential);

// The digest by which the log names a multiset of SHA-256 hashes.
std::string hash_set_of(std::vector<Bytes> hashes);

}  // namespace qscd::crash
