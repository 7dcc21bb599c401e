#include "tests/instruments/pkcs11_spy/faults.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "base/file.hpp"
#include "tests/instruments/pkcs11_spy/functions.hpp"

namespace qscd::spy {
namespace {

struct AttributeName {
    std::string_view name;
    CK_ATTRIBUTE_TYPE type;
};
constexpr std::array attribute_names{
    AttributeName{"CKA_TOKEN", CKA_TOKEN},
    AttributeName{"CKA_PRIVATE", CKA_PRIVATE},
    AttributeName{"CKA_LABEL", CKA_LABEL},
    AttributeName{"CKA_VALUE", CKA_VALUE},
    AttributeName{"CKA_ID", CKA_ID},
    AttributeName{"CKA_SENSITIVE", CKA_SENSITIVE},
    AttributeName{"CKA_ENCRYPT", CKA_ENCRYPT},
    AttributeName{"CKA_DECRYPT", CKA_DECRYPT},
    AttributeName{"CKA_WRAP", CKA_WRAP},
    AttributeName{"CKA_UNWRAP", CKA_UNWRAP},
    AttributeName{"CKA_SIGN", CKA_SIGN},
    AttributeName{"CKA_SIGN_RECOVER", CKA_SIGN_RECOVER},
    AttributeName{"CKA_VERIFY", CKA_VERIFY},
    AttributeName{"CKA_DERIVE", CKA_DERIVE},
    AttributeName{"CKA_MODULUS", CKA_MODULUS},
    AttributeName{"CKA_EXTRACTABLE", CKA_EXTRACTABLE},
    AttributeName{"CKA_LOCAL", CKA_LOCAL},
    AttributeName{"CKA_NEVER_EXTRACTABLE", CKA_NEVER_EXTRACTABLE},
    AttributeName{"CKA_ALWAYS_SENSITIVE", CKA_ALWAYS_SENSITIVE},
    AttributeName{"CKA_MODIFIABLE", CKA_MODIFIABLE},
    AttributeName{"CKA_COPYABLE", CKA_COPYABLE},
    AttributeName{"CKA_EC_POINT", CKA_EC_POINT},
    AttributeName{"CKA_CLASS", CKA_CLASS},
    AttributeName{"CKA_KEY_TYPE", CKA_KEY_TYPE},
    AttributeName{"CKA_APPLICATION", CKA_APPLICATION},
    AttributeName{"CKA_PUBLIC_EXPONENT", CKA_PUBLIC_EXPONENT},
    AttributeName{"CKA_ALLOWED_MECHANISMS", CKA_ALLOWED_MECHANISMS},
    AttributeName{"CKA_UNWRAP_TEMPLATE", CKA_UNWRAP_TEMPLATE},
    AttributeName{"CKA_WRAP_WITH_TRUSTED", CKA_WRAP_WITH_TRUSTED},
    AttributeName{"CKA_TRUSTED", CKA_TRUSTED},
    AttributeName{"CKA_KEY_GEN_MECHANISM", CKA_KEY_GEN_MECHANISM},
};

[[noreturn]] void unreadable(std::string_view line) {
    (void)std::fprintf(stderr, "pkcs11 spy: cannot read the fault \"%.*s\"\n", static_cast<int>(line.size()),
                       line.data());
    std::abort();
}

unsigned long number_in(std::string_view text, std::string_view line) {
    const int base = text.starts_with("0x") ? 16 : 10;
    if (base == 16) text.remove_prefix(2);
    unsigned long out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc{} || end != text.data() + text.size()) unreadable(line);
    return out;
}

CK_ATTRIBUTE_TYPE attribute_in(std::string_view text, std::string_view line) {
    const auto known = std::ranges::find(attribute_names, text, &AttributeName::name);
    return known != attribute_names.end() ? known->type : number_in(text, line);
}

Bytes bytes_in(std::string_view text, std::string_view line) {
    auto out = from_hex(text);
    if (!out || out->empty()) unreadable(line);
    return *std::move(out);
}

struct TokenField {
    std::string_view name;
    void (*set)(CK_TOKEN_INFO&, CK_ULONG);
};
constexpr std::array token_fields{
    TokenField{"ulMaxSessionCount", [](CK_TOKEN_INFO& info, CK_ULONG value) { info.ulMaxSessionCount = value; }},
    TokenField{"ulMaxRwSessionCount", [](CK_TOKEN_INFO& info, CK_ULONG value) { info.ulMaxRwSessionCount = value; }},
    TokenField{"firmwareVersion",
               [](CK_TOKEN_INFO& info, CK_ULONG value) {
                   info.firmwareVersion = {static_cast<CK_BYTE>(value >> 8), static_cast<CK_BYTE>(value)};
               }},
};

template <std::size_t N>
void set_text(CK_UTF8CHAR (&field)[N], std::string_view text) {
    std::ranges::fill(field, ' ');
    std::ranges::copy(text.substr(0, N), field);
}
struct TokenWord {
    std::string_view name;
    void (*set)(CK_TOKEN_INFO&, std::string_view);
};
constexpr std::array token_word_fields{
    TokenWord{"model", [](CK_TOKEN_INFO& info, std::string_view text) { set_text(info.model, text); }},
    TokenWord{"manufacturerID",
              [](CK_TOKEN_INFO& info, std::string_view text) { set_text(info.manufacturerID, text); }},
};

std::string token_field_in(const std::string& text, std::string_view line) {
    if (std::ranges::find(token_fields, text, &TokenField::name) == token_fields.end()) unreadable(line);
    return text;
}

}  // namespace

// A line's first word, how many words it has, and what it does. What begins otherwise is a rule for calls.
struct Faults::Directive {
    std::string_view name;
    std::size_t words;
    void (*apply)(Faults&, const Words&, std::string_view line);
};
const std::vector<Faults::Directive>& Faults::directives() {
    using Line = std::string_view;
    static const std::vector<Directive> all{
        {"delay", 3,
         [](Faults& f, const Words& w, Line l) { f.delays_[w[1]] = std::chrono::milliseconds{number_in(w[2], l)}; }},
        {"hold", 3, [](Faults& f, const Words& w, Line) { f.holds_[w[1]] = w[2]; }},
        {"corrupt-signature", 1, [](Faults& f, const Words&, Line) { f.corrupt_ = true; }},
        {"corrupt-signature-of", 2, [](Faults& f, const Words& w, Line) { f.corrupt_keys_.insert(w[1]); }},
        {"permute-handles", 1, [](Faults& f, const Words&, Line) { f.permute_ = true; }},
        {"lie-attribute", 3,
         [](Faults& f, const Words& w, Line l) { f.lies_[attribute_in(w[1], l)] = bytes_in(w[2], l); }},
        {"drop-attribute", 2, [](Faults& f, const Words& w, Line l) { f.dropped_.insert(attribute_in(w[1], l)); }},
        {"token-info", 3,
         [](Faults& f, const Words& w, Line l) {
             if (std::ranges::count(token_word_fields, w[1], &TokenWord::name) == 1) f.token_words_[w[1]] = w[2];
             else f.token_info_[token_field_in(w[1], l)] = number_in(w[2], l);
         }},
        {"stuck-random", 2,
         [](Faults& f, const Words& w, Line l) {
             if (w[1] == "repeat") f.repeat_random_ = true;
             else f.stuck_random_ = bytes_in(w[1], l);
         }},
    };
    return all;
}

void Faults::read(std::string_view text) {
    rules_.clear();
    delays_.clear();
    holds_.clear();
    lies_.clear();
    dropped_.clear();
    corrupt_keys_.clear();
    token_info_.clear();
    token_words_.clear();
    corrupt_ = permute_ = repeat_random_ = false;
    stuck_random_.reset();
    std::istringstream lines{std::string{text}};
    for (std::string line; std::getline(lines, line);) {
        line.erase(std::ranges::find(line, '#'), line.end());
        std::istringstream stream{line};
        Words words;
        for (std::string word; stream >> word;) words.push_back(word);
        if (words.empty()) continue;
        const auto known = std::ranges::find(directives(), words[0], &Directive::name);
        if (known == directives().end()) add_rule(std::move(words), line);
        else if (words.size() == known->words) known->apply(*this, words, line);
        else unreadable(line);
    }
}

void Faults::add_rule(Words words, std::string_view line) {
    const bool named = words[0] == "*" || std::ranges::count(function_names, words[0]) == 1;
    const bool after = words.size() == 4 && words[3] == "after";
    if (!named || (words.size() != 3 && !after)) unreadable(line);
    const bool later = words[1].ends_with('+');
    if (later) words[1].pop_back();
    Verdict verdict;
    if (words[2] == "lose-sessions") verdict.sessions_lost = true;
    else if (words[2] == "log-out") verdict.logged_out = true;
    else verdict.fault = Fault{number_in(words[2], line), after};
    rules_.push_back({words[0], number_in(words[1], line), later, verdict});
}

void Faults::refresh() {
    if (file_.empty()) return;
    struct ::stat now{};
    const bool there = ::stat(file_.c_str(), &now) == 0;
    if (!there) now = {};
    if (now.st_ino == known_.st_ino && now.st_size == known_.st_size && now.st_mtim.tv_sec == known_.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == known_.st_mtim.tv_nsec)
        return;
    known_ = now;
    read(there ? read_file(file_).value() : std::string{});
}

Verdict Faults::next(std::string_view function) {
    const std::lock_guard guard{lock_};
    refresh();
    Verdict out;
    const bool of_a_device = function != "C_Initialize" && function != "C_Finalize";
    for (auto& rule : rules_) {
        if (rule.function != function && !(rule.function == "*" && of_a_device)) continue;
        ++rule.seen;
        if (rule.seen != rule.first && !(rule.and_later && rule.seen > rule.first)) continue;
        if (rule.verdict.fault) out.fault = rule.verdict.fault;
        out.sessions_lost |= rule.verdict.sessions_lost;
        out.logged_out |= rule.verdict.logged_out;
    }
    return out;
}

void Faults::command(std::string_view lines) {
    const std::lock_guard guard{lock_};
    refresh();  // what the file says now is what these lines take the place of
    read(lines);
}

void Faults::wait(std::string_view function) {
    std::unique_lock guard{lock_};
    const auto delay = delays_.find(function);
    const auto pause = delay != delays_.end() ? delay->second : std::chrono::milliseconds{0};
    const auto hold = holds_.find(function);
    const auto gate = hold != holds_.end() ? hold->second : std::filesystem::path{};
    guard.unlock();
    if (pause.count() != 0) std::this_thread::sleep_for(pause);  // the delay is the fault itself
    // A file, since the test that opens the gate may be another process; looked at often enough to cost nobody time.
    while (!gate.empty() && !std::filesystem::exists(gate)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

bool Faults::corrupts_signature_of(const std::string& id) {
    const std::lock_guard guard{lock_};
    return corrupt_ || corrupt_keys_.contains(id);
}

bool Faults::permutes_handles() {
    const std::lock_guard guard{lock_};
    return permute_;
}

std::optional<Bytes> Faults::lie(CK_ATTRIBUTE_TYPE type) {
    const std::lock_guard guard{lock_};
    const auto found = lies_.find(type);
    return found != lies_.end() ? std::optional{found->second} : std::nullopt;
}

bool Faults::drops(CK_ATTRIBUTE_TYPE type) {
    const std::lock_guard guard{lock_};
    return dropped_.contains(type);
}

void Faults::falsify(CK_TOKEN_INFO& info) {
    const std::lock_guard guard{lock_};
    for (const auto& [name, value] : token_info_)
        for (const auto& field : token_fields)
            if (field.name == name) field.set(info, value);
    for (const auto& [name, text] : token_words_)
        for (const auto& field : token_word_fields)
            if (field.name == name) field.set(info, text);
}

void Faults::spoil_random(std::span<std::uint8_t> out) {
    const std::lock_guard guard{lock_};
    const auto* source = stuck_random_ ? &*stuck_random_ : repeat_random_ ? &last_random_ : nullptr;
    if (source == nullptr || source->empty()) {
        last_random_.assign(out.begin(), out.end());
        return;
    }
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = (*source)[i % source->size()];
}

}  // namespace qscd::spy
