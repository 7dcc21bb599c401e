#include "tests/crash/checks.hpp"

#include <algorithm>

#include "base/digest.hpp"

namespace qscd::crash {
namespace {

using Key = std::pair<std::string, std::string>;  // credential, and what of it

std::string field(const Record& record, const std::string& name) {
    const auto found = record.fields.find(name);
    return found == record.fields.end() ? std::string{} : found->second;
}

std::int64_t time_of(const Record& record) {
    const auto text = field(record, "time");
    return text.empty() ? 0 : std::stoll(text);
}

// An unclean start spends the app codes of that time: a failure soon after it says nothing about the PIN.
constexpr std::int64_t spent_by_a_start = 300;

std::string name_of(const Record& record) { return "record " + std::to_string(record.seq) + " (" + record.type + ")"; }

struct Intent {
    Record record;
    std::vector<Record> results;
    bool may_have_signed() const {  // everything but "C_Sign was not entered"
        return std::ranges::none_of(results, [](const auto& each) { return each.type == "sign-failed"; });
    }
};

constexpr std::array result_types{"signed", "sign-failed", "sign-outcome-unknown", "signature-does-not-verify"};

std::map<std::uint64_t, Intent> intents_in(const std::vector<Record>& records, Findings& out) {
    std::map<std::uint64_t, Intent> intents;
    for (const auto& record : records) {
        if (record.type == "sign-intent") intents[record.seq].record = record;
        if (std::ranges::count(result_types, record.type) == 0) continue;
        const auto seq = field(record, "intent");
        const auto found = seq.empty() ? intents.end() : intents.find(std::stoull(seq));
        if (found == intents.end()) out.push_back(name_of(record) + " has no intent before it");
        else found->second.results.push_back(record);
    }
    return intents;
}

std::map<std::string, std::vector<Bytes>> asked_sets(const History& history) {
    std::map<std::string, std::vector<Bytes>> out;
    for (const auto& each : history.signings) out[hash_set_of(each.hashes)] = each.hashes;
    return out;
}

std::map<std::pair<std::string, Bytes>, std::size_t> approved_occurrences(const History& history) {
    std::map<std::pair<std::string, Bytes>, std::size_t> out;
    for (const auto& each : history.approvals)
        if (each.right_pin && each.fate != Fate::refused)
            for (const auto& hash : each.hashes) ++out[{each.credential, hash}];
    return out;
}

std::string digest_of(const std::vector<Bytes>& signatures) {
    Bytes all;
    for (const auto& each : signatures) all.insert(all.end(), each.begin(), each.end());
    return sha256(all).hex();
}

}  // namespace

std::string hash_set_of(std::vector<Bytes> hashes) {
    std::ranges::sort(hashes);
    Bytes all{static_cast<std::uint8_t>(HashAlgorithm::sha256)};
    for (const auto& each : hashes) all.insert(all.end(), each.begin(), each.end());
    return sha256(all).hex();
}

Findings check_signatures(const History& history, const std::vector<Record>& records) {
    Findings out;
    const auto intents = intents_in(records, out);
    const auto sets = asked_sets(history);
    std::map<Key, std::multiset<std::string>> results;  // credential and hash set: digests of what was signed
    std::map<std::pair<std::string, Bytes>, std::size_t> uses;
    for (const auto& [seq, intent] : intents) {
        if (intent.results.size() != 1)
            out.push_back(name_of(intent.record) + " has " + std::to_string(intent.results.size()) + " results");
        for (const auto& result : intent.results) {
            if (result.type == "signature-does-not-verify") out.push_back(name_of(result) + ": a wrong signature");
            if (result.type == "signed")
                results[{intent.record.credential, field(intent.record, "hash_set")}].insert(field(result, "digest"));
        }
        const auto asked = sets.find(field(intent.record, "hash_set"));
        if (asked == sets.end()) {
            out.push_back(name_of(intent.record) + " is for hashes that nobody asked for");
            continue;
        }
        if (intent.may_have_signed())
            for (const auto& hash : asked->second) ++uses[{intent.record.credential, hash}];
    }
    for (const auto& each : history.signings) {
        if (each.fate != Fate::done) continue;
        auto& known = results[{each.credential, hash_set_of(each.hashes)}];
        const auto found = known.find(digest_of(each.signatures));
        if (found == known.end())
            out.push_back("signatures were handed out for credential " + each.credential + ", hash set " +
                          hash_set_of(each.hashes) + ", that no result is recorded for");
        else known.erase(found);  // another request needs another result
    }
    const auto approved = approved_occurrences(history);
    for (const auto& [what, count] : uses) {
        const auto found = approved.find(what);
        const auto most = found == approved.end() ? 0 : found->second;
        if (count > most)
            out.push_back("hash " + to_hex(what.second) + " of credential " + what.first + " was used " +
                          std::to_string(count) + " times and approved " + std::to_string(most) + " times");
    }
    return out;
}

Findings check_tries(const History& history, const std::vector<Record>& records, unsigned tries) {
    Findings out;
    // A request that nobody got an answer to may have waited until its code was too old: it counts as no try at the PIN.
    std::map<std::string, std::size_t> unanswered;
    for (const auto& each : history.approvals)
        if (!each.right_pin && each.fate == Fate::unknown) ++unanswered[each.credential];
    std::set<std::string> blocked;
    std::map<Key, std::size_t> authorised;
    std::int64_t codes_count_from = 0;
    std::map<std::string, std::size_t> failed, looked_at;  // looked_at: since the last right one
    for (const auto& record : records) {
        if (record.type == "authorised") {
            ++authorised[{record.credential, field(record, "hash_set")}];
            looked_at[record.credential] = 0;
        }
        if (record.type == "started") codes_count_from = time_of(record) + spent_by_a_start;
        if (record.type == "authorisation-failed") ++failed[record.credential];
        const bool code_was_right = time_of(record) >= codes_count_from;
        if (record.type == "credential-blocked") blocked.insert(record.credential);
        if (record.type == "authorised" && blocked.contains(record.credential))
            out.push_back("credential " + record.credential + " is blocked, and approves in " + name_of(record));
        if (record.type == "authorisation-failed" && code_was_right &&
            ++looked_at[record.credential] == tries + unanswered[record.credential] + 1)
            out.push_back("credential " + record.credential + ": more than " + std::to_string(tries) +
                          " tries since its PIN was right, up to " + name_of(record));
    }
    std::map<Key, std::size_t> right, answered;
    std::map<std::string, std::size_t> wrong;
    for (const auto& each : history.approvals) {
        const Key what{each.credential, hash_set_of(each.hashes)};
        if (!each.right_pin) {
            if (each.fate == Fate::done) ++wrong[each.credential];
            if (authorised.contains(what))
                out.push_back("credential " + each.credential + ": wrong factors approved hash set " + what.second);
            continue;
        }
        ++right[what];
        if (each.fate == Fate::done) ++answered[what];
    }
    for (const auto& [what, count] : answered)
        if (authorised[what] < count)
            out.push_back("a SAD token of credential " + what.first + " was handed out, and no record says so");
    for (const auto& [what, count] : authorised)
        if (count > right[what])
            out.push_back("credential " + what.first + ": authorised more often than anybody asked");
    for (const auto& [credential, count] : wrong)
        if (failed[credential] < count)
            out.push_back("credential " + credential + ": " + std::to_string(count) + " wrong PINs were answered, " +
                          std::to_string(failed[credential]) + " are recorded: tries were regained");
    return out;
}

Findings check_calls(const History& history, const std::vector<Record>& records, const CallsByDigest& calls) {
    Findings out;
    const auto intents = intents_in(records, out);
    const auto sets = asked_sets(history);
    CallsByDigest allowed, needed;
    for (const auto& [seq, intent] : intents) {
        const auto asked = sets.find(field(intent.record, "hash_set"));
        if (asked == sets.end()) continue;  // check_signatures says so
        const bool made = std::ranges::any_of(intent.results, [](const auto& each) { return each.type == "signed"; });
        for (const auto& hash : asked->second) {
            const auto name = sha256(hash).hex();
            ++allowed[name];
            if (made) ++needed[name];
        }
    }
    for (const auto& [digest, count] : calls)
        if (count > allowed[digest])
            out.push_back("the token signed what hashes to " + digest + " " + std::to_string(count) + " times, with " +
                          std::to_string(allowed[digest]) + " intents");
    for (const auto& [digest, count] : needed) {
        const auto found = calls.find(digest);
        if (found == calls.end() || found->second < count)
            out.push_back("what hashes to " + digest + " counts as signed, and the token was not asked");
    }
    return out;
}

Findings check_keys(const std::vector<Record>& records, const std::set<std::string>& in_token) {
    Findings out;
    std::set<std::string> made, intended;
    for (const auto& record : records) {
        const auto id = field(record, "cka_id");
        if (record.type == "key-intended") intended.insert(id);
        if (record.type == "key-created") made.insert(id);
        if (record.type == "key-swept") intended.erase(id);
    }
    for (const auto& id : made) {
        intended.erase(id);
        if (!in_token.contains(id)) out.push_back("key " + id + " is recorded, and not in the token");
    }
    for (const auto& id : in_token)
        if (!made.contains(id) && !intended.contains(id))
            out.push_back("key " + id + " is in the token, and nobody knows it");
    return out;
}

Findings check_enrolments(const History& history, const std::vector<Record>& records,
                          const std::map<std::string, Registered>& by_credential) {
    Findings out;
    std::set<Key> known;
    for (const auto& record : records) {
        if (record.type == "grant-accepted") known.insert({record.type, field(record, "enrolment")});
        if (record.type == "key-created") known.insert({record.type, field(record, "public_key")});
        if (record.type == "factors-set" || record.type == "credential-active")
            known.insert({record.type, record.credential});
    }
    const auto stands = [&](const Enrolled& each, const char* type, const std::string& what) {
        if (!known.contains({type, what})) out.push_back("enrolment " + each.enrolment + ": no record " + type);
    };
    for (const auto& each : history.enrolments) {
        if (each.reserved) stands(each, "grant-accepted", each.enrolment);
        if (each.factors) stands(each, "factors-set", each.credential);
        if (!each.public_key.empty()) stands(each, "key-created", sha256(each.public_key).hex());
        if (each.receipt) stands(each, "credential-active", each.credential);
        const auto found = by_credential.find(each.credential);
        if (!each.certificate.empty() &&
            (found == by_credential.end() || found->second.certificate != each.certificate))
            out.push_back("enrolment " + each.enrolment + ": its certificate is not the register's");
        if (each.receipt && found != by_credential.end() && found->second.state != "active")
            out.push_back("enrolment " + each.enrolment + ": its receipt was taken, and the register does not know");
    }
    return out;
}

}  // namespace qscd::crash
