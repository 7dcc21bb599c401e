#include "qscd/audit/findings.hpp"

namespace qscd::audit {

void Findings::add(Check check, Where where, std::string what) {
    if (off_.contains(check)) return;
    if (findings_.size() >= most_) ++untold_;
    else findings_.push_back({check, where, line_, std::move(what)});
}

void Findings::add_once(Check check, const std::string& cause, Where where, std::string what) {
    if (off_.contains(check)) return;
    const auto [at, fresh] = followers_.try_emplace({check, cause}, Followers{findings_.size(), 0, where});
    if (fresh) return add(check, where, std::move(what));
    ++at->second.count;
    at->second.last = where;
}

void Findings::note(Where where, std::string what) {
    if (notes_.size() < most_) notes_.push_back({where, std::move(what)});
}

void Findings::move_into(Report& report) {
    for (const auto& [cause, followers] : followers_)
        if (followers.count != 0 && followers.first < findings_.size())
            findings_[followers.first].what += "; the same at " + std::to_string(followers.count) + " more, up to " +
                                               describe(followers.last);
    report.findings = std::move(findings_);
    report.untold = untold_;
    report.notes = std::move(notes_);
}

}  // namespace qscd::audit
