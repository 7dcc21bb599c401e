#include "qscd/audit/credentials.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/bytes.hpp"

namespace qscd::audit {
namespace {

// Which types begin something whose outcome must go on record, and which tell the outcome.
constexpr std::string_view sign_intent = "sign-intent", key_intended = "key-intended", done = "signed";
struct ResultRow {
    std::string_view result, intent;
};
constexpr std::array result_rows{
    ResultRow{done, sign_intent},
    ResultRow{"sign-failed", sign_intent},
    ResultRow{"sign-outcome-unknown", sign_intent},
    ResultRow{"signature-does-not-verify", sign_intent},
    ResultRow{"key-created", key_intended},
    ResultRow{"key-swept", key_intended},
    ResultRow{key_intended, key_intended},  // the next attempt, which ends the last one
};

constexpr std::string_view intent_field = "intent";

bool has_field(const pb::LogRecord& record, std::string_view name) {
    return std::ranges::any_of(record.fields(), [&](const auto& field) { return field.name() == name; });
}

std::optional<std::uint64_t> number_in(const pb::LogRecord& record, std::string_view name) {
    for (const auto& field : record.fields()) {
        if (field.name() != name) continue;
        std::uint64_t out = 0;
        const auto* end = field.value().data() + field.value().size();
        const auto [at, failed] = std::from_chars(field.value().data(), end, out);
        return failed == std::errc{} && at == end ? std::optional{out} : std::nullopt;
    }
    return std::nullopt;
}

// A record whose credential's cell was damaged stands outside its chain and names it in a field.
bool concerns(const pb::LogRecord& record, const std::string& credential) {
    if (!record.credential().empty()) return record.credential() == credential;
    return std::ranges::any_of(record.fields(), [&](const auto& field) {
        return field.name() == "credential" && field.value() == to_hex(view_of(credential));
    });
}

Where at(const pb::LogRecord& record) { return {Place::record, record.seq()}; }

std::string numbers(const std::vector<std::uint64_t>& all) {
    std::string out;
    for (const auto each : all) (out += out.empty() ? "" : ", ") += std::to_string(each);
    return out;
}

}  // namespace

void Credentials::take(const pb::LogRecord& record) {
    chain(record);
    const auto row = std::ranges::find(result_rows, std::string_view{record.type()}, &ResultRow::result);
    const bool begins = record.type() == sign_intent || record.type() == key_intended;
    if (has_field(record, intent_field) || (row != result_rows.end() && !begins))
        conclude(record, row == result_rows.end() ? std::string_view{} : row->intent);
    if (begins) intend(record, record.type());
    if (record.type() == "authorised")
        histories_[record.credential()].unused[record.actor()] += static_cast<std::int64_t>(
            number_in(record, "hashes").value_or(0));
}

void Credentials::chain(const pb::LogRecord& record) {
    if (record.credential().empty()) {
        if (record.predecessor() != 0)
            findings_.add(Check::predecessor, at(record), "names a predecessor and no credential");
        return;
    }
    auto& history = histories_[record.credential()];
    const auto named = record.predecessor();
    // Records of what is no credential hang on no cell; those of one batch name each other.
    if (named != history.newest && !(named == 0 && !history.has_cell))
        findings_.add(Check::predecessor, at(record),
                      (named == 0 ? "names no predecessor" : "names record " + std::to_string(named - 1)) +
                          ", and the credential's record before it is " +
                          (history.newest == 0 ? "none" : std::to_string(history.newest - 1)));
    history.newest = record.seq() + 1;
    history.has_cell = history.has_cell || record.type() == "grant-accepted";
}

void Credentials::intend(const pb::LogRecord& record, std::string_view type) {
    const auto hashes = number_in(record, "hashes").value_or(0);
    if (type == sign_intent) {
        const auto history = histories_.find(record.credential());
        const bool authorised = history != histories_.end() && history->second.unused.contains(record.actor());
        if (!authorised)
            findings_.add(Check::authorisation, at(record),
                          "signing is intended for " + record.actor() + ", to whom nothing was authorised");
    }
    open_.emplace(record.seq(), Intent{type == sign_intent ? sign_intent : key_intended, record.credential(),
                                       record.actor(), hashes});
}

void Credentials::conclude(const pb::LogRecord& record, std::string_view type) {
    const auto wrong = [&](std::string what) { findings_.add(Check::intent, at(record), std::move(what)); };
    const auto named = number_in(record, intent_field);
    if (!named) return wrong("names no intent");
    const auto name = "record " + std::to_string(*named);
    const auto intent = open_.find(*named);
    if (intent == open_.end())
        return wrong(concluded_.contains(*named) ? "is a second result of " + name : name + " is no intent");
    if (intent->second.type != type || !concerns(record, intent->second.credential))
        return wrong(name + " is an intent of something else");
    if (record.type() == done) {
        if (number_in(record, "signatures") != intent->second.hashes)
            wrong("has not as many signatures as " + name + " has hashes");
        auto& unused = histories_[record.credential()].unused[intent->second.actor];
        unused -= static_cast<std::int64_t>(intent->second.hashes);
        if (unused < 0)
            findings_.add(Check::authorisation, at(record),
                          std::to_string(-unused) + " more signed than was authorised to " + intent->second.actor);
    }
    concluded_.insert(*named);
    open_.erase(intent);
}

void Credentials::compare_open(const pb::LogRecord& closing) {
    std::vector<std::uint64_t> missing, extra;
    std::map<std::uint64_t, const pb::OpenIntent*> listed;
    for (const auto& each : closing.closing().open())
        if (!listed.emplace(each.seq(), &each).second) extra.push_back(each.seq());
    for (const auto& [seq, intent] : open_)
        if (const auto found = listed.find(seq); found == listed.end() ||
                                                 found->second->credential() != intent.credential ||
                                                 found->second->key() != (intent.type == key_intended))
            missing.push_back(seq);
    for (const auto& [seq, intent] : listed)
        if (!open_.contains(seq)) extra.push_back(seq);
    if (!missing.empty())
        findings_.add_once(Check::open_intents, "missing " + numbers(missing), at(closing),
                           "intents without a result are not listed: " + numbers(missing));
    if (!extra.empty())
        findings_.add_once(Check::open_intents, "extra " + numbers(extra), at(closing),
                           "listed as intents without a result, and are not: " + numbers(extra));
}

void Credentials::note_open() {
    for (const auto& [seq, intent] : open_)
        findings_.note({Place::record, seq}, std::string{intent.type} + " has no result yet");
}

}  // namespace qscd::audit
