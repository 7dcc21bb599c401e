// The operator's policy file: TOML in, validated types out, or one sentence that names file, line, key and what would
// be right. Thread rules: values; immutable.
#pragma once

#include <filesystem>
#include <functional>
#include <map>

#include "base/digest.hpp"
#include "policy/profile.hpp"

namespace qscd::policy {

class Policy {
public:
    using Profiles = std::map<std::string, Profile, std::less<>>;

    // `file_name` appears in refusals. load() takes the path as it is written; at most 1 MiB.
    static Result<Policy> parse(std::string_view text, std::string_view file_name);
    static Result<Policy> load(const std::filesystem::path& path);

    // SHA-256 of the file as loaded, every byte of it: Grants and records name the policy they were made under by it.
    const Sha256Digest& version() const { return version_; }
    // What the URLs in certificates start with: "http://pki.tsp.example", without a slash at its end [CA-46].
    const std::string& public_base() const { return public_base_; }
    const Profiles& profiles() const { return profiles_; }  // not empty
    const Profile* find(std::string_view name) const;
    // Some profile runs under the regime `trial`: info, health and log say so.
    bool has_trial() const;

private:
    Policy(Sha256Digest version, std::string public_base, Profiles profiles)
        : version_(version), public_base_(std::move(public_base)), profiles_(std::move(profiles)) {}
    Sha256Digest version_;
    std::string public_base_;
    Profiles profiles_;
};

}  // namespace qscd::policy
