#include "tests/crash/powercut/possible_disk.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <set>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace qscd::crash {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t page = 4096, sector = 512;

std::string content_of(const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

class Cut {
public:
    Cut(const Shadow& shadow, std::mt19937_64& random) : shadow_(shadow), random_(random) {}

    Loss make() {
        auto folders = shadow_.roots();
        for (const auto& root : shadow_.roots())
            for (const auto& each : fs::recursive_directory_iterator{root})
                if (each.is_directory() && !each.is_symlink()) folders.push_back(each.path());
        for (const auto& folder : folders)
            for (const auto& [name, entry] : Shadow::names_in(folder))
                if (!entry.folder) current_[entry.id] = folder / name;
        std::vector<Made> made;
        for (const auto& folder : folders) plan(folder, made);
        // All contents are in memory now: what is there may go.
        for (const auto& folder : folders)
            for (const auto& [name, entry] : Shadow::names_in(folder))
                if (!entry.folder) fs::remove(folder / name);
        for (const auto& file : made) write(file);
        fs::remove_all(shadow_.place() / "data");
        fs::remove_all(shadow_.place() / "names");
        if (!shadow_.sync_all()) throw std::runtime_error{"the shadow cannot be written"};
        return loss_;
    }

private:
    struct Made {
        fs::path path;
        Name entry;
        std::string content;
    };
    bool heads() { return (random_() & 1U) != 0; }

    // Names that share a file, before or now, live or die together: a rename is whole or not there.
    void plan(const fs::path& folder, std::vector<Made>& made) {
        const auto durable = shadow_.durable_names(folder), now = Shadow::names_in(folder);
        std::set<std::string> open;
        for (const auto* names : {&durable, &now})
            for (const auto& [name, entry] : *names)
                if (!entry.folder) open.insert(name);
        while (!open.empty()) {
            std::set<std::string> group{*open.begin()};
            for (std::size_t before = 0; before != group.size();) {
                before = group.size();
                std::set<std::string> ids;
                for (const auto* names : {&durable, &now})
                    for (const auto& name : group)
                        if (const auto found = names->find(name); found != names->end()) ids.insert(found->second.id);
                for (const auto* names : {&durable, &now})
                    for (const auto& [name, entry] : *names)
                        if (!entry.folder && ids.contains(entry.id)) group.insert(name);
            }
            const bool synced = std::ranges::all_of(group, [&](const auto& name) {
                const auto was = durable.find(name), is = now.find(name);
                return was != durable.end() && is != now.end() && was->second.id == is->second.id;
            });
            const bool old = !synced && heads();
            if (old) ++loss_.names;
            for (const auto& name : group) {
                open.erase(name);
                const auto& from = old ? durable : now;
                if (const auto found = from.find(name); found != from.end())
                    made.push_back({folder / name, found->second, mixed(found->second.id)});
            }
        }
    }

    std::string mixed(const std::string& id) {
        const auto known = shadow_.durable_content(id);
        const auto durable = known ? content_of(*known) : std::string{};
        const auto written = current_.find(id);
        if (written == current_.end()) return durable;  // removed since: its pages are gone
        const auto now = content_of(written->second);
        if (durable == now) return now;
        auto out = now;
        if (durable.size() != now.size() && heads()) {
            out = durable;
            ++loss_.lengths;
        }
        // Sometimes nothing was written back yet, sometimes all of it; mostly some.
        const auto temper = random_() % 4;
        const auto pick = [&](std::size_t at, std::size_t length, bool old) {
            const auto& from = old ? durable : now;
            for (std::size_t i = at; i < std::min(at + length, out.size()); ++i)
                out[i] = i < from.size() ? from[i] : '\0';
        };
        const auto same = [&](std::size_t at) {
            return at < durable.size() && at < now.size() && durable.compare(at, page, now, at, page) == 0;
        };
        for (std::size_t at = 0; at < out.size(); at += page) {
            if (same(at)) continue;
            if (temper < 2 || random_() % 4 != 0) {
                const bool old = temper == 0 || (temper != 1 && heads());
                pick(at, page, old);
                loss_.pages += old ? 1U : 0U;
                continue;
            }
            ++loss_.torn;
            ++loss_.pages;
            for (std::size_t part = at; part < at + page; part += sector) pick(part, sector, heads());
        }
        return out;
    }

    static void write(const Made& file) {
        const int out = ::open(file.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        bool good = out >= 0;
        for (std::size_t at = 0; good && at < file.content.size();) {
            const auto count = ::write(out, file.content.data() + at, file.content.size() - at);
            good = count > 0;
            at += good ? static_cast<std::size_t>(count) : 0;
        }
        good = good && ::fchmod(out, file.entry.mode) == 0 &&
               (::geteuid() != 0 || ::fchown(out, file.entry.user, file.entry.group) == 0);
        if (out >= 0) ::close(out);
        if (!good) throw std::runtime_error{"cannot write " + file.path.string()};
    }

    const Shadow& shadow_;
    std::mt19937_64& random_;
    std::map<std::string, fs::path> current_;  // file by id
    Loss loss_;
};

}  // namespace

Loss cut_power(const Shadow& shadow, std::mt19937_64& random) { return Cut{shadow, random}.make(); }

}  // namespace qscd::crash
