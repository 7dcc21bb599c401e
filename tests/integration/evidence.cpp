#include "tests/integration/evidence.hpp"

#include "base/file.hpp"
#include "protocol/sam.pb.h"

namespace qscd::integration {
namespace {

constexpr std::size_t longest = 100'000;

std::vector<json::Object> lines_of(std::string_view text) {
    std::vector<json::Object> out;
    while (!text.empty()) {
        const auto end = text.find('\n');
        if (end == std::string_view::npos) break;
        out.push_back(
            required(json::Object::parse(text.substr(0, end)), "a line of a log: " + std::string{text.substr(0, end)}));
        text.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Record& record) {
    out << record.seq << " " << record.type << " " << record.actor << " " << record.credential << " " << record.result
        << " " << record.request;
    for (const auto& [name, value] : record.fields) out << " " << name << "=" << value;
    return out;
}
std::ostream& operator<<(std::ostream& out, const GatewayLine& line) {
    return out << line.event << " " << line.status << " " << line.error << " " << line.client;
}

Evidence::Evidence(RunningDeployment& deployment) : deployment_(deployment) {
    pb::SamRequest health;
    health.mutable_health();
    first_ = required(deployment_.ask<pb::SamHealthReport>("samd", health), "samd's health").log_size();
    log_size_ = fs::file_size(deployment_.in("log/gatewayd.log"));
}

std::vector<Record> Evidence::records() const {
    const auto said = deployment_.qscd({"--json", "audit", "list", "--from", std::to_string(first_)});
    require(said.exit_code == 0, "qscd audit list: " + said.err);
    std::vector<Record> out;
    for (const auto& line : lines_of(said.out)) {
        Record record{static_cast<std::uint64_t>(line.integer("seq").value()),
                      line.string("type", longest).value(),
                      line.string("actor", longest).value(),
                      line.string("credential", longest).value(),
                      line.string("result", longest).value(),
                      line.string("request_id", longest).value(),
                      {}};
        const auto fields = line.object("fields").value();
        for (const auto& [name, value] : fields.members())
            record.fields.emplace(std::string{name}, std::string{value.as_string()});
        out.push_back(std::move(record));
    }
    return out;
}

std::size_t Evidence::count(std::string_view type) const {
    return static_cast<std::size_t>(std::ranges::count(records(), type, &Record::type));
}

std::vector<GatewayLine> Evidence::gateway() const {
    const auto text = required(read_file(deployment_.in("log/gatewayd.log")), "the gateway's log");
    std::vector<GatewayLine> out;
    for (const auto& line : lines_of(std::string_view{text}.substr(log_size_))) {
        const auto word = [&](const char* name) { return line.optional_string(name, longest).value().value_or(""); };
        const bool watching = word("method") == "GET" && word("path").starts_with("/health");  // ours, to see it ready
        if (word("event").starts_with("request") && !watching)
            out.push_back({word("event"), word("status"), word("error"), word("client")});
    }
    return out;
}

}  // namespace qscd::integration
