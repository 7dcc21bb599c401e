// What happened in a run: counted by kind, drawn together into one digest, and the last of it kept to be told.
// Thread rules: one owner.
#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace qscd::sam::simulation {

enum class Kind : std::uint8_t {
    enrolled,
    challenge_asked,
    message_came,
    authorise_asked,
    sad_given,
    authorise_refused,
    sign_asked,
    signatures_given,
    sign_refused,
    module_entered,
    module_failed,
    pin_evaluated,
    batch,
    anchored,
    takeover,
    start_failed,
    sealed,
    unsealed,
    fenced,
    owner_lost,
    killed,
    power_cut,
    twin,
    stopped,
    fault,
    token_away,
    token_back,
    snapshot,
    restored,
    put_back,
    clock_moved,
    vouched,
    nobody_serves,
};
inline constexpr std::array<std::string_view, 33> kind_names{
    "enrolled",    "challenge asked",  "message came", "authorise asked", "SAD given",     "authorise refused",
    "sign asked",  "signatures given", "sign refused", "module entered",  "module failed", "PIN evaluated",
    "batch",       "anchored",         "takeover",     "start failed",    "sealed",        "unsealed",
    "fenced",      "owner lost",       "killed",       "power cut",       "twin",          "stopped",
    "fault",       "token away",       "token back",   "snapshot",        "restored",      "put back",
    "clock moved", "vouched",          "nobody serves"};
static_assert(static_cast<std::size_t>(Kind::nobody_serves) + 1 == kind_names.size());

struct Happened {
    std::uint64_t step;
    std::int64_t at;  // milliseconds of the run
    Kind kind;
    unsigned owner;
    std::uint64_t what, more;  // who, how many, which error
};
std::string told(const Happened& event);

class Events {
public:
    explicit Events(bool trace) : trace_(trace) {}
    void happened(const Happened& event) {
        ++counts_[static_cast<std::size_t>(event.kind)];
        for (const auto number :
             {event.step, static_cast<std::uint64_t>(event.at), static_cast<std::uint64_t>(event.kind),
              std::uint64_t{event.owner}, event.what, event.more})
            digest_ = (digest_ ^ number) * 0x100000001b3 + (digest_ >> 29);
        last_[count_++ % last_.size()] = event;
        if (trace_) std::puts(told(event).c_str());
    }
    std::uint64_t digest() const { return digest_; }
    std::uint64_t of(Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
    const std::array<std::uint64_t, kind_names.size()>& counts() const { return counts_; }
    std::string last() const;  // oldest first, one a line

private:
    bool trace_;
    std::uint64_t digest_ = 0xcbf29ce484222325, count_ = 0;
    std::array<std::uint64_t, kind_names.size()> counts_{};
    std::array<Happened, 50> last_{};
};

}  // namespace qscd::sam::simulation
