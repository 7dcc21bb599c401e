#include "tests/instruments/pkcs11_spy/faults.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "base/file.hpp"

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

}  // namespace

void Faults::read(std::string_view text) {
    rules_.clear();
    delays_.clear();
    holds_.clear();
    lies_.clear();
    corrupt_ = permute_ = repeat_random_ = false;
    stuck_random_.reset();
    std::istringstream lines{std::string{text}};
    for (std::string line; std::getline(lines, line);) {
        line.erase(std::ranges::find(line, '#'), line.end());
        std::istringstream stream{line};
        std::vector<std::string> words;
        for (std::string word; stream >> word;) words.push_back(word);
        if (words.empty()) continue;
        const auto is = [&](std::string_view name, std::size_t count) {
            return words[0] == name && words.size() == count;
        };
        if (is("delay", 3)) delays_[words[1]] = std::chrono::milliseconds{number_in(words[2], line)};
        else if (is("hold", 3)) holds_[words[1]] = words[2];
        else if (is("corrupt-signature", 1)) corrupt_ = true;
        else if (is("permute-handles", 1)) permute_ = true;
        else if (is("lie-attribute", 3)) lies_[attribute_in(words[1], line)] = bytes_in(words[2], line);
        else if (is("stuck-random", 2) && words[1] == "repeat") repeat_random_ = true;
        else if (is("stuck-random", 2)) stuck_random_ = bytes_in(words[1], line);
        else if (words[0].starts_with("C_") && (words.size() == 3 || (words.size() == 4 && words[3] == "after"))) {
            const bool later = words[1].ends_with('+');
            if (later) words[1].pop_back();
            rules_.push_back(
                {words[0], number_in(words[1], line), later, {number_in(words[2], line), words.size() == 4}});
        } else {
            unreadable(line);
        }
    }
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

std::optional<Fault> Faults::next(std::string_view function) {
    const std::lock_guard guard{lock_};
    refresh();
    std::optional<Fault> out;
    for (auto& rule : rules_) {
        if (rule.function != function) continue;
        ++rule.seen;
        if (rule.seen == rule.first || (rule.and_later && rule.seen > rule.first)) out = rule.fault;
    }
    return out;
}

void Faults::wait(std::string_view function) {
    std::unique_lock guard{lock_};
    const auto delay = delays_.find(function);
    const auto pause = delay != delays_.end() ? delay->second : std::chrono::milliseconds{0};
    const auto hold = holds_.find(function);
    const auto gate = hold != holds_.end() ? hold->second : std::filesystem::path{};
    guard.unlock();
    if (pause.count() != 0) std::this_thread::sleep_for(pause);
    while (!gate.empty() && !std::filesystem::exists(gate)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

bool Faults::corrupts_signatures() {
    const std::lock_guard guard{lock_};
    return corrupt_;
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
