// `qscd hsm keys`: what is where.
#include <boost/json/array.hpp>

#include "ca/issuing/ca_certificates.hpp"
#include "hsm/contents.hpp"
#include "hsm/deployed/deployed_modules.hpp"
#include "protocol/record.pb.h"
#include "protocol/sam.pb.h"
#include "qscd/cli/hsm.hpp"
#include "qscd/cli/hsm_homes.hpp"
#include "qscd/cli/local.hpp"
#include "qscd/genesis/genesis.hpp"

namespace qscd::cli {
namespace {

constexpr unsigned page = 500;

// Whose label, or application, begins so.
struct Purpose {
    Role role;
    std::string_view label, means;
};
const std::array purposes{
    Purpose{Role::sam, genesis::cell_key_label, "seals the cells"},
    Purpose{Role::sam, genesis::pin_key_label, "evaluates PINs"},
    Purpose{Role::sam, genesis::attestation_key_label, "signs KeyProofs, receipts and ceremonies' records"},
    Purpose{Role::sam, "head-", "signs the log's heads of one epoch"},
    Purpose{Role::sam, genesis::object_label, "names the SAM's keys"},
    Purpose{Role::sam, genesis::anchor_name, "how far the log had come"},
    Purpose{Role::signers, "qscd-shard", "says whose token this is"},
    Purpose{Role::registration, "rule", "signs Grants of LCP"},
    Purpose{Role::authority, ca::authorities[0].key_label, "issues LCP certificates"},
    Purpose{Role::authority, ca::authorities[1].key_label, "issues qualified certificates"},
};

struct Credential {
    std::string id, state, certificate;  // hexadecimal; the certificate's SHA-256, once there is one
};

// What the log says became of each key.
struct KeyRecords {
    bool known = false;  // samd answered
    std::string why;     // not
    std::map<std::string, Credential, std::less<>> by_key = {};

    const Credential* find(std::string_view key) const {
        const auto found = by_key.find(key);
        return found == by_key.end() ? nullptr : &found->second;
    }
};

// Which event of the log leaves a credential's key in which state.
struct Step {
    std::string_view event, state;
};
constexpr std::array steps{
    Step{"key-intended", "being made"},
    Step{"key-created", "without a certificate"},
    Step{"credential-active", "active"},
    Step{"credential-disabled", "disabled"},
    Step{"credential-enabled", "active"},
    Step{"credential-blocked", "blocked"},
    Step{"destruction-intended", "to be destroyed"},
    Step{"key-destroyed", "destroyed"},
    Step{"key-swept", "swept"},
};

class LogReader {
public:
    void read(const pb::LogRecord& record) {
        const auto step = std::ranges::find(steps, record.type(), &Step::event);
        const auto credential = to_hex(view_of(record.credential()));
        if (step == steps.end() || credential.empty() || record.result() != "ok") return;
        if (const auto key = field(record, "cka_id"); !key.empty()) key_of_[credential] = key;
        const auto key = key_of_.find(credential);
        if (key == key_of_.end()) return;
        auto& entry = out_[key->second];
        entry.id = credential;
        entry.state = step->state;
        if (const auto certificate = field(record, "certificate"); !certificate.empty())
            entry.certificate = certificate;
    }
    std::map<std::string, Credential, std::less<>> take() { return std::move(out_); }

private:
    static std::string field(const pb::LogRecord& record, std::string_view name) {
        for (const auto& each : record.fields())
            if (each.name() == name) return each.value();
        return {};
    }
    std::map<std::string, std::string> key_of_;
    std::map<std::string, Credential, std::less<>> out_;
};

Result<std::map<std::string, Credential, std::less<>>> records_of(const Options& options) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto samd, local.daemon("samd"));
    LogReader reader;
    for (std::uint64_t from = 0;;) {
        pb::SamRequest request;
        request.mutable_read_log()->set_from(from);
        request.mutable_read_log()->set_count(page);
        QSCD_TRY(auto some, samd->call<pb::LogRecords>(request));
        for (const auto& bytes : some.records()) {
            QSCD_TRY(const auto record, protocol::decode<pb::LogRecord>(view_of(bytes)));
            reader.read(record);
        }
        from += static_cast<std::uint64_t>(some.records_size());
        if (some.records_size() == 0 || from >= some.size()) return reader.take();
    }
}

struct Line {
    std::string purpose;
    const Credential* credential = nullptr;
    bool orphan = false;
};

bool says(const hsm::HeldObject& object, std::string_view attribute) {
    const auto found = std::ranges::find(object.attributes, attribute,
                                         [](const auto& each) -> std::string_view { return each.first; });
    return found != object.attributes.end() && found->second == "true";
}

// A key that nothing accounts for is an orphan. Data objects sign nothing.
Line line_of(const Home& home, const hsm::HeldObject& object, const KeyRecords& records) {
    Line out;
    for (const auto& each : purposes)
        if (each.role == home.role &&
            (object.label.starts_with(each.label) || object.application.starts_with(each.label)))
            out.purpose = each.means;
    if (object.kind == "data") return out;
    if (home.role != Role::signers) {
        out.orphan = out.purpose.empty();
    } else if (object.kind == "secret") {
        out.purpose = says(object, "CKA_UNWRAP") ? "wraps signers' keys" : "binds wrapped keys to their owners";
    } else {
        out.purpose = "signs for a signer";
        out.credential = records.find(object.id);
        out.orphan = records.known && (out.credential == nullptr || out.credential->state == "destroyed" ||
                                       out.credential->state == "swept");
    }
    return out;
}

std::string attributes_in(const hsm::HeldObject& object) {
    std::string out;
    for (const auto& [name, value] : object.attributes) out += " " + name.substr(4) + (value == "true" ? "=1" : "=0");
    return out;
}

std::string text_of(const hsm::HeldObject& object, const Line& line, const KeyRecords& records) {
    std::string out = "  " + object.kind + "  " + object.label;
    if (!object.application.empty()) out += "  " + object.application;
    if (!object.id.empty() && object.id != object.label) out += "  " + object.id;
    if (!line.purpose.empty()) out += "  " + line.purpose;
    if (line.credential != nullptr) out += "  credential " + line.credential->id + "  " + line.credential->state;
    else if (!records.known && line.purpose == "signs for a signer") out += "  state unknown";
    if (line.orphan) out += "  ORPHAN";
    return out + "\n   " + attributes_in(object) + "\n";
}

boost::json::object json_of(const hsm::HeldObject& object, const Line& line) {
    boost::json::object attributes;
    for (const auto& [name, value] : object.attributes) attributes[name] = value == "true";
    boost::json::object out{{"kind", object.kind},     {"label", object.label}, {"id", object.id},
                            {"purpose", line.purpose}, {"orphan", line.orphan}, {"attributes", std::move(attributes)}};
    if (line.credential != nullptr) {
        out["credential"] = line.credential->id;
        out["state"] = line.credential->state;
        out["certificate"] = line.credential->certificate;
    }
    return out;
}

}  // namespace

Result<void> list_keys(const Options& options, const std::string& token) {
    QSCD_TRY(const auto deployment, policy::Deployment::load(options.deployment));
    QSCD_TRY(const auto homes, homes_in(deployment, token));
    KeyRecords records;
    if (auto read = records_of(options)) {
        records.known = true;
        records.by_key = std::move(read).value();
    } else {
        records.why = describe(read.error());
    }
    std::string lines;
    boost::json::array tokens;
    std::size_t orphans = 0;
    for (const auto& home : homes) {
        hsm::DeployedModules modules{deployment, std::string{home.daemon}};
        QSCD_TRY(auto wired, modules.of(home.module));
        QSCD_TRY(auto pin, deployment.token_pin(home.token));
        QSCD_TRY(const auto opened, hsm::Token::open(std::move(wired.module), home.token, std::move(pin), 1));
        QSCD_TRY(const auto objects, hsm::contents(*opened));
        lines += "token " + home.token + "  of " + std::string{home.daemon} + ", module " + wired.wiring.entry.name +
                 ", " + std::to_string(objects.size()) + " objects\n";
        boost::json::array held;
        for (const auto& object : objects) {
            const auto line = line_of(home, object, records);
            if (line.orphan) ++orphans;
            lines += text_of(object, line, records);
            held.push_back(json_of(object, line));
        }
        tokens.push_back(boost::json::object{{"token", home.token},
                                             {"daemon", home.daemon},
                                             {"module", wired.wiring.entry.name},
                                             {"objects", std::move(held)}});
    }
    if (!records.known) lines += "samd does not answer, so states and orphans are unknown: " + records.why + "\n";
    lines += std::to_string(orphans) + " orphans";
    answer(options, lines, {{"tokens", std::move(tokens)}, {"states_known", records.known}, {"orphans", orphans}});
    return success();
}

}  // namespace qscd::cli
