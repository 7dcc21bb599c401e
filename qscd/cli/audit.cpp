#include "qscd/cli/audit.hpp"

#include <boost/json/serialize.hpp>
#include <iostream>

#include "base/clock.hpp"
#include "protocol/record.pb.h"
#include "protocol/sam.pb.h"
#include "qscd/cli/local.hpp"

namespace qscd::cli {
namespace {

constexpr unsigned page = 500;

void print(const Options& options, const pb::LogRecord& record) {
    boost::json::object fields;
    for (const auto& field : record.fields()) fields[field.name()] = field.value();
    const auto credential = to_hex(view_of(record.credential()));
    if (options.json) {
        std::cout << boost::json::serialize(boost::json::object{{"seq", record.seq()},
                                                                {"time", iso8601(from_unix(record.time()))},
                                                                {"type", record.type()},
                                                                {"actor", record.actor()},
                                                                {"credential", credential},
                                                                {"result", record.result()},
                                                                {"fields", fields}})
                  << "\n";
        return;
    }
    std::cout << record.seq() << "  " << iso8601(from_unix(record.time())) << "  " << record.type() << "  "
              << record.actor() << "  " << (credential.empty() ? "-" : credential) << "  " << record.result();
    for (const auto& field : record.fields()) std::cout << "  " << field.name() << "=" << field.value();
    std::cout << "\n";
}

}  // namespace

Result<void> list_records(const Options& options, const AuditList& wanted) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto samd, local.daemon("samd"));
    for (auto from = wanted.from;;) {
        pb::SamRequest request;
        request.mutable_read_log()->set_from(from);
        request.mutable_read_log()->set_count(page);
        QSCD_TRY(auto some, samd->call<pb::LogRecords>(request));
        for (const auto& bytes : some.records()) {
            QSCD_TRY(auto record, protocol::decode<pb::LogRecord>(view_of(bytes)));
            const bool shown = (wanted.closings || !record.has_closing()) &&
                               (wanted.credential.empty() || to_hex(view_of(record.credential())) == wanted.credential);
            if (shown) print(options, record);
        }
        from += static_cast<std::uint64_t>(some.records_size());
        if (some.records_size() == 0 || from >= some.size()) break;
    }
    std::cout << std::flush;
    return success();
}

}  // namespace qscd::cli
