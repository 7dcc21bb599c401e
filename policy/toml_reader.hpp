// Operators' TOML, read into checked values. Every refusal is Errc::configuration and reads
//     policy.toml:12: profile.qscd.pin.tries: 11 is not allowed; write 1 to 10
// that is file:line: key: what is wrong; what would be right. What stands in the file and nobody asked for is refused
// too, so a misspelt key cannot silently leave a default in force. Keys in lists of tables count from 1: pds[2].url.
// A refusal shows numbers and the words of a fixed choice; other text (it may be a secret) never.
// Thread rules: one thread a file; the tables of one file share what has been asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qscd::policy {

class TomlTable {
public:
    // TOML 1.0. Duplicate keys and syntax errors read file:line:column. `file_name` appears in every refusal.
    static Result<TomlTable> parse(std::string_view text, std::string_view file_name);

    // Each call marks its key as known. Without "_or" or "optional_" the key must be there.
    Result<std::string> string(std::string_view key);
    Result<std::string> string_or(std::string_view key, std::string_view otherwise);
    Result<std::optional<std::string>> optional_string(std::string_view key);
    Result<std::int64_t> integer(std::string_view key, std::int64_t min, std::int64_t max);
    Result<std::int64_t> integer_or(std::string_view key, std::int64_t otherwise, std::int64_t min, std::int64_t max);
    Result<bool> boolean(std::string_view key);
    Result<bool> boolean_or(std::string_view key, bool otherwise);
    Result<std::optional<std::chrono::year_month_day>> optional_date(std::string_view key);  // expires = 2030-12-31
    Result<std::vector<std::string>> strings(std::string_view key);
    Result<std::vector<std::string>> strings_or(std::string_view key, std::vector<std::string> otherwise);
    Result<std::optional<std::vector<std::int64_t>>> optional_integers(std::string_view key, std::int64_t min,
                                                                       std::int64_t max);
    using Choices = std::vector<std::string_view>;
    // One word of `choices`; some of them, at least one, none twice.
    Result<std::string> one_of(std::string_view key, const Choices& choices);
    Result<std::string> one_of_or(std::string_view key, std::string_view otherwise, const Choices& choices);
    Result<std::vector<std::string>> some_of(std::string_view key, const Choices& choices);
    Result<std::vector<std::string>> some_of_or(std::string_view key, std::vector<std::string> otherwise,
                                                const Choices& choices);
    Result<std::optional<TomlTable>> table(std::string_view key);
    Result<std::vector<TomlTable>> tables(std::string_view key);  // a list of tables; empty when the key is absent

    bool has(std::string_view key) const;   // does not mark
    std::vector<std::string> keys() const;  // in alphabetical order; does not mark
    const std::string& path() const;        // "profile.qscd.pin"; empty for the whole file

    // Refuses the first key, in this table and in those handed out from it, that nobody has asked for.
    Result<void> nothing_else() const;

    std::string place(std::string_view key) const;  // policy.toml:12: profile.qscd.pin.tries

    // For rules of the caller's own: a refusal at the line of `key` (of the table, when the key is not there) ...
    Error error_at(std::string_view key, std::string_view problem, std::string_view remedy) const;
    // ... and one about the table as a whole.
    Error error(std::string_view problem, std::string_view remedy) const;

private:
    struct State;
    explicit TomlTable(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

// "a", "b" or "c": the words of a choice as refusals write them.
std::string quoted_choice(const TomlTable::Choices& choices);

}  // namespace qscd::policy
