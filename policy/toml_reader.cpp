#include "policy/toml_reader.hpp"

#include <algorithm>
#include <set>
#include <toml++/toml.h>

namespace qscd::policy {
namespace {

struct Document {
    toml::table root;
    std::string file_name;
};

// Text of the file as refusals show it: one line, whatever it holds.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 80)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    if (text.size() > 80) out += "...";
    return out;
}

std::string quoted(std::string_view text) { return "\"" + printable(text) + "\""; }

bool is_bare(std::string_view key) {
    return !key.empty() && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

std::string joined(std::string_view path, std::string_view key) {
    const std::string last = is_bare(key) ? std::string{key} : quoted(key);
    return path.empty() ? last : std::string{path} + "." + last;
}

unsigned line_of(const toml::source_region& region) { return std::max(1u, unsigned{region.begin.line}); }

std::string_view kind_of(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table: return "a table";
        case toml::node_type::array: return "a list";
        case toml::node_type::string: return "a text";
        case toml::node_type::integer: return "a whole number";
        case toml::node_type::floating_point: return "a fraction";
        case toml::node_type::boolean: return "true or false";
        default: return "a date or time";
    }
}

std::string range(std::int64_t min, std::int64_t max) { return std::to_string(min) + " to " + std::to_string(max); }

// Letters to add, drop, change or swap with their neighbour (optimal string alignment).
std::size_t distance(std::string_view left, std::string_view right) {
    std::vector cost(left.size() + 1, std::vector<std::size_t>(right.size() + 1));
    for (std::size_t i = 0; i <= left.size(); ++i) {
        for (std::size_t j = 0; j <= right.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            const std::size_t changed = left[i - 1] == right[j - 1] ? 0 : 1;
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + changed});
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[left.size()][right.size()];
}

bool close(std::string_view written, std::string_view known) {
    return written.size() <= 64 && distance(written, known) <= (known.size() < 5 ? 1u : 2u);
}

}  // namespace

struct TomlTable::State {
    std::shared_ptr<const Document> document;
    const toml::table* table;
    std::string path;
    unsigned line;
    std::set<std::string, std::less<>> asked = {};
    std::vector<std::shared_ptr<State>> handed_out = {};

    std::string place(unsigned at, std::string_view where) const {
        return document->file_name + ":" + std::to_string(at) + ": " + std::string{where};
    }
    unsigned line_at(std::string_view key) const {
        const auto found = table->find(key);
        return found == table->end() ? line : line_of(found->first.source());
    }
    Error refusal(unsigned at, std::string_view where, std::string_view problem, std::string_view remedy) const {
        auto detail = place(at, where);
        if (!where.empty()) detail.append(": ");
        detail.append(problem);
        if (!remedy.empty()) detail.append("; ").append(remedy);
        return Error{Errc::configuration, std::move(detail)};
    }
    Error refusal_at(std::string_view key, std::string_view problem, std::string_view remedy) const {
        return refusal(line_at(key), joined(path, key), problem, remedy);
    }
    Error wrong_kind(std::string_view key, const toml::node& node, std::string_view wanted) const {
        return refusal_at(key, std::string{kind_of(node)} + " is not allowed", "write " + std::string{wanted});
    }
    const toml::node* ask(std::string_view key) {
        asked.emplace(key);
        return table->get(key);
    }
    // A required key that is not there is most often one that stands there misspelt.
    Error missing(std::string_view key, std::string_view wanted) const {
        for (const auto& [name, node] : *table)
            if (!asked.contains(name.str()) && close(name.str(), key))
                return refusal_at(name.str(), "unknown key", "did you mean " + quoted(key) + "?");
        return refusal_at(key, "is missing", "write " + std::string{wanted});
    }
    Error unknown(const toml::key& key, const toml::node& node) const {
        const std::string_view problem = node.is_table() ? "unknown table" : "unknown key";
        std::string known;
        for (const auto& one : asked) {
            if (close(key.str(), one))
                return refusal(line_of(key.source()), joined(path, key.str()), problem,
                               "did you mean " + quoted(one) + "?");
            known += (known.empty() ? "" : ", ") + one;
        }
        return refusal(line_of(key.source()), joined(path, key.str()), problem, "remove it; known here: " + known);
    }
    void find_unknown(std::optional<std::pair<unsigned, Error>>& first) const {
        for (const auto& [key, node] : *table)
            if (!asked.contains(key.str()) && (!first || line_of(key.source()) < first->first))
                first.emplace(line_of(key.source()), unknown(key, node));
        for (const auto& child : handed_out) child->find_unknown(first);
    }
    std::shared_ptr<State> hand_out(const toml::table& child, std::string where, unsigned at) {
        return handed_out.emplace_back(std::make_shared<State>(State{document, &child, std::move(where), at}));
    }
};

std::string quoted_choice(const TomlTable::Choices& choices) {
    std::string out;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (i > 0) out += i + 1 == choices.size() ? " or " : ", ";
        out += quoted(choices[i]);
    }
    return out;
}

Result<TomlTable> TomlTable::parse(std::string_view text, std::string_view file_name) {
    try {
        auto document = std::make_shared<Document>(Document{toml::parse(text, file_name), std::string{file_name}});
        const auto* root = &document->root;
        return TomlTable{std::make_shared<State>(State{std::move(document), root, "", 1})};
    } catch (const toml::parse_error& fault) {
        const auto at = fault.source().begin;
        return Error{Errc::configuration, std::string{file_name} + ":" + std::to_string(at.line) + ":" +
                                              std::to_string(at.column) +
                                              ": this is not TOML: " + printable(fault.description())};
    }
}

Result<std::string> TomlTable::string(std::string_view key) {
    QSCD_TRY(auto text, optional_string(key));
    if (!text) return state_->missing(key, "a text in quotes");
    return std::move(*text);
}
Result<std::string> TomlTable::string_or(std::string_view key, std::string_view otherwise) {
    QSCD_TRY(auto text, optional_string(key));
    return text ? std::move(*text) : std::string{otherwise};
}
Result<std::optional<std::string>> TomlTable::optional_string(std::string_view key) {
    const auto* node = state_->ask(key);
    if (!node) return std::optional<std::string>{};
    if (const auto* text = node->as_string()) return std::optional{text->get()};
    return state_->wrong_kind(key, *node, "a text in quotes");
}

Result<std::int64_t> TomlTable::integer(std::string_view key, std::int64_t min, std::int64_t max) {
    const auto* node = state_->ask(key);
    if (!node) return state_->missing(key, range(min, max));
    const auto* number = node->as_integer();
    if (!number) return state_->wrong_kind(key, *node, range(min, max));
    if (number->get() < min || number->get() > max)
        return error_at(key, std::to_string(number->get()) + " is not allowed", "write " + range(min, max));
    return number->get();
}
Result<std::int64_t> TomlTable::integer_or(std::string_view key, std::int64_t otherwise, std::int64_t min,
                                           std::int64_t max) {
    if (!state_->ask(key)) return otherwise;
    return integer(key, min, max);
}

Result<bool> TomlTable::boolean(std::string_view key) {
    const auto* node = state_->ask(key);
    if (!node) return state_->missing(key, "true or false");
    if (const auto* flag = node->as_boolean()) return flag->get();
    return state_->wrong_kind(key, *node, "true or false");
}
Result<bool> TomlTable::boolean_or(std::string_view key, bool otherwise) {
    if (!state_->ask(key)) return otherwise;
    return boolean(key);
}

Result<std::optional<std::chrono::year_month_day>> TomlTable::optional_date(std::string_view key) {
    const auto* node = state_->ask(key);
    if (!node) return std::optional<std::chrono::year_month_day>{};
    const auto* date = node->as_date();
    if (!date) return state_->wrong_kind(key, *node, "a date without quotes, such as 2030-12-31");
    return std::optional{std::chrono::year{date->get().year} / date->get().month / date->get().day};
}

Result<std::vector<std::string>> TomlTable::strings(std::string_view key) {
    const auto* node = state_->ask(key);
    if (!node) return state_->missing(key, "a list of texts in quotes");
    const auto* list = node->as_array();
    if (!list) return state_->wrong_kind(key, *node, "a list of texts in quotes");
    std::vector<std::string> out;
    for (const auto& element : *list) {
        const auto* text = element.as_string();
        if (!text) return state_->wrong_kind(key, element, "a list of texts in quotes");
        out.push_back(text->get());
    }
    return out;
}
Result<std::vector<std::string>> TomlTable::strings_or(std::string_view key, std::vector<std::string> otherwise) {
    if (!state_->ask(key)) return otherwise;
    return strings(key);
}

Result<std::optional<std::vector<std::int64_t>>> TomlTable::optional_integers(std::string_view key, std::int64_t min,
                                                                              std::int64_t max) {
    const auto* node = state_->ask(key);
    if (!node) return std::optional<std::vector<std::int64_t>>{};
    const std::string wanted = "a list of numbers from " + range(min, max);
    const auto* list = node->as_array();
    if (!list) return state_->wrong_kind(key, *node, wanted);
    std::vector<std::int64_t> out;
    for (const auto& element : *list) {
        const auto* number = element.as_integer();
        if (!number) return state_->wrong_kind(key, element, wanted);
        if (number->get() < min || number->get() > max)
            return error_at(key, std::to_string(number->get()) + " is not allowed", "write " + range(min, max));
        out.push_back(number->get());
    }
    return std::optional{std::move(out)};
}

Result<std::string> TomlTable::one_of(std::string_view key, const Choices& choices) {
    const auto* node = state_->ask(key);
    if (!node) return state_->missing(key, quoted_choice(choices));
    const auto* text = node->as_string();
    if (!text) return state_->wrong_kind(key, *node, quoted_choice(choices));
    if (std::ranges::find(choices, text->get()) == choices.end())
        return error_at(key, quoted(text->get()) + " is not allowed", "write " + quoted_choice(choices));
    return text->get();
}
Result<std::string> TomlTable::one_of_or(std::string_view key, std::string_view otherwise, const Choices& choices) {
    if (!state_->ask(key)) return std::string{otherwise};
    return one_of(key, choices);
}

Result<std::vector<std::string>> TomlTable::some_of(std::string_view key, const Choices& choices) {
    const std::string wanted = "a list of " + quoted_choice(choices);
    const auto* node = state_->ask(key);
    if (!node) return state_->missing(key, wanted);
    if (!node->is_array()) return state_->wrong_kind(key, *node, wanted);
    QSCD_TRY(auto words, strings(key));
    if (words.empty()) return error_at(key, "an empty list is not allowed", "write " + wanted);
    for (auto word = words.begin(); word != words.end(); ++word) {
        if (std::ranges::find(choices, *word) == choices.end())
            return error_at(key, quoted(*word) + " is not allowed", "write " + wanted);
        if (std::find(words.begin(), word, *word) != word)
            return error_at(key, quoted(*word) + " stands there twice", "write it once");
    }
    return words;
}
Result<std::vector<std::string>> TomlTable::some_of_or(std::string_view key, std::vector<std::string> otherwise,
                                                       const Choices& choices) {
    if (!state_->ask(key)) return otherwise;
    return some_of(key, choices);
}

Result<std::optional<TomlTable>> TomlTable::table(std::string_view key) {
    const auto* node = state_->ask(key);
    if (!node) return std::optional<TomlTable>{};
    const auto* child = node->as_table();
    if (!child) return state_->wrong_kind(key, *node, "a table");
    const auto at = line_of(state_->table->find(key)->first.source());
    return std::optional{TomlTable{state_->hand_out(*child, joined(path(), key), at)}};
}

Result<std::vector<TomlTable>> TomlTable::tables(std::string_view key) {
    std::vector<TomlTable> out;
    const auto* node = state_->ask(key);
    if (!node) return out;
    const auto* list = node->as_array();
    if (!list) return state_->wrong_kind(key, *node, "a list of tables");
    for (const auto& element : *list) {
        const auto* child = element.as_table();
        if (!child) return state_->wrong_kind(key, element, "a list of tables");
        const auto where = joined(path(), key) + "[" + std::to_string(out.size() + 1) + "]";
        out.push_back(TomlTable{state_->hand_out(*child, where, line_of(child->source()))});
    }
    return out;
}

bool TomlTable::has(std::string_view key) const { return state_->table->contains(key); }

std::vector<std::string> TomlTable::keys() const {
    std::vector<std::string> out;
    for (const auto& [key, node] : *state_->table) out.emplace_back(key.str());
    return out;
}

const std::string& TomlTable::path() const { return state_->path; }

Result<void> TomlTable::nothing_else() const {
    std::optional<std::pair<unsigned, Error>> first;
    state_->find_unknown(first);
    if (first) return std::move(first->second);
    return success();
}

std::string TomlTable::place(std::string_view key) const {
    return state_->place(state_->line_at(key), joined(state_->path, key));
}
Error TomlTable::error_at(std::string_view key, std::string_view problem, std::string_view remedy) const {
    return state_->refusal_at(key, problem, remedy);
}
Error TomlTable::error(std::string_view problem, std::string_view remedy) const {
    return state_->refusal(state_->line, state_->path, problem, remedy);
}

}  // namespace qscd::policy
