#include "tests/integration/memory_scan.hpp"

#include <algorithm>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>
#include <unordered_map>

#include "base/bytes.hpp"
#include "base/file.hpp"

namespace qscd::integration {
namespace {

constexpr std::size_t unmistakable = 16, key_size = 6;
constexpr std::size_t piece = 4 << 20, overlap = 256;  // no form is longer than the overlap

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_'; }

struct Mapping {
    std::uint64_t from, to;
    std::string name;
};

std::vector<Mapping> mappings_of(pid_t process) {
    std::ifstream maps{"/proc/" + std::to_string(process) + "/maps"};
    std::vector<Mapping> out;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words{line};
        std::string range, rights, offset, device, inode, name;
        words >> range >> rights >> offset >> device >> inode >> name;
        const auto dash = range.find('-');
        if (rights.empty() || rights[0] != 'r' || name.starts_with("[v")) continue;  // the kernel's own pages
        out.push_back({std::stoull(range.substr(0, dash), nullptr, 16),
                       std::stoull(range.substr(dash + 1), nullptr, 16), name.empty() ? "[anonymous]" : name});
    }
    return out;
}

// All forms at once, by their first six bytes.
class Search {
public:
    explicit Search(const std::vector<Canary>& canaries) {
        for (const auto& canary : canaries)
            for (const auto& form : canary.forms) {
                if (form.size() < key_size) continue;
                forms_.emplace(key_of(form.data()), Form{&canary, form});
                seen_.set(hash_of(key_of(form.data())));
            }
    }
    void look(std::string_view text, const Mapping& mapping, std::uint64_t base, std::size_t first_new,
              std::vector<Finding>& out) const {
        for (std::size_t at = 0; at + key_size <= text.size(); ++at) {
            const auto key = key_of(text.data() + at);
            if (!seen_.test(hash_of(key))) continue;
            for (auto [each, end] = forms_.equal_range(key); each != end; ++each) {
                const auto& form = each->second.text;
                if (text.substr(at, form.size()) != form || at + form.size() <= first_new) continue;
                if (form.size() < unmistakable && !stands_alone(text, at, form.size())) continue;
                out.push_back({each->second.canary->name, place(mapping, base + at), around(text, at, form.size())});
            }
        }
    }

private:
    struct Form {
        const Canary* canary;
        std::string text;
    };
    static std::uint64_t key_of(const char* at) {
        std::uint64_t key = 0;
        std::memcpy(&key, at, key_size);
        return key;
    }
    static std::size_t hash_of(std::uint64_t key) { return (key * 0x9e3779b97f4a7c15U) >> 44; }
    static bool stands_alone(std::string_view text, std::size_t at, std::size_t size) {
        const auto end = at + size;
        return (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
    }
    static std::string place(const Mapping& mapping, std::uint64_t address) {
        std::ostringstream out;
        out << mapping.name << " " << std::hex << address;
        return out.str();
    }
    static std::string around(std::string_view text, std::size_t at, std::size_t size) {
        const auto from = at < 48 ? 0 : at - 48;
        std::string out{text.substr(from, size + 96)};
        std::ranges::replace_if(out, [](char c) { return c < 0x20 || c > 0x7e; }, '.');
        return out;
    }
    std::unordered_multimap<std::uint64_t, Form> forms_;
    std::bitset<1 << 20> seen_;
};

std::optional<std::string> raw_of_base32(std::string_view text) {
    std::string out;
    unsigned pending = 0, bits = 0;
    for (const char c : text) {
        const auto value = std::string_view{"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"}.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        pending = (pending << 5 | static_cast<unsigned>(value)) & 0xfff;
        bits += 5;
        if (bits >= 8) out += static_cast<char>(pending >> (bits -= 8));
    }
    return out;
}

}  // namespace

Canary as_text(std::string name, std::string text) { return {std::move(name), {std::move(text)}}; }

Canary as_base32_and_raw(std::string name, const std::string& base32) {
    return {std::move(name), {base32, raw_of_base32(base32).value()}};
}

Canary as_base64url_and_raw(std::string name, const std::string& base64url) {
    const auto raw = from_base64url(base64url).value();
    return {std::move(name), {base64url, std::string{text_of(raw)}, to_hex(raw)}};
}

std::ostream& operator<<(std::ostream& out, const Finding& finding) {
    return out << finding.canary << " at " << finding.place << ": " << finding.around;
}

Result<std::vector<Finding>> scan_memory(pid_t process, const std::vector<Canary>& canaries) {
    const Descriptor memory{::open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDONLY | O_CLOEXEC)};
    if (!memory) return Error{Errc::access_denied, std::string{"/proc/PID/mem: "} + std::strerror(errno)};
    const auto search = std::make_unique<Search>(canaries);
    std::vector<Finding> out;
    std::string text(piece, '\0');
    for (const auto& mapping : mappings_of(process)) {
        for (auto at = mapping.from; at < mapping.to; at += piece - overlap) {
            const auto size = std::min<std::uint64_t>(piece, mapping.to - at);
            const auto count = ::pread(memory.get(), text.data(), size, static_cast<off_t>(at));
            if (count <= 0) break;
            const bool first = at == mapping.from;
            search->look({text.data(), static_cast<std::size_t>(count)}, mapping, at, first ? 0 : overlap, out);
        }
    }
    return out;
}

}  // namespace qscd::integration
