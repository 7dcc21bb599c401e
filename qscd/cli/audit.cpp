#include "qscd/cli/audit.hpp"

#include <boost/json/serialize.hpp>
#include <iostream>

#include "base/clock.hpp"
#include "protocol/record.pb.h"
#include "protocol/sam.pb.h"
#include "qscd/audit/export_form.hpp"
#include "qscd/cli/local.hpp"
#include "qscd/cli/whole_file.hpp"

namespace qscd::cli {
namespace {

constexpr unsigned page = 500;

void print(const Options& options, const pb::LogRecord& record) {
    boost::json::object fields;
    for (const auto& field : record.fields()) fields[field.name()] = field.value();
    const auto credential = to_hex(view_of(record.credential())), request = to_hex(view_of(record.request_id()));
    if (options.json) {
        std::cout << boost::json::serialize(boost::json::object{{"seq", record.seq()},
                                                                {"time", iso8601(from_unix(record.time()))},
                                                                {"type", record.type()},
                                                                {"actor", record.actor()},
                                                                {"credential", credential},
                                                                {"result", record.result()},
                                                                {"request_id", request},
                                                                {"fields", fields}})
                  << "\n";
        return;
    }
    std::cout << record.seq() << "  " << iso8601(from_unix(record.time())) << "  " << record.type() << "  "
              << record.actor() << "  " << (credential.empty() ? "-" : credential) << "  " << record.result();
    for (const auto& field : record.fields()) std::cout << "  " << field.name() << "=" << field.value();
    if (!request.empty()) std::cout << "  request_id=" << request;
    std::cout << "\n";
}

Result<pb::LogRecords> records_from(protocol::Client& samd, std::uint64_t from, std::uint64_t count) {
    pb::SamRequest request;
    request.mutable_read_log()->set_from(from);
    request.mutable_read_log()->set_count(static_cast<std::uint32_t>(std::min<std::uint64_t>(count, page)));
    return samd.call<pb::LogRecords>(request);
}

Result<pb::LogHeads> heads_from(protocol::Client& samd, std::uint64_t size) {
    pb::SamRequest request;
    request.mutable_read_heads()->set_from(size);
    QSCD_TRY(auto heads, samd.call<pb::LogHeads>(request));
    if (heads.texts_size() != heads.sizes_size()) return Error{Errc::internal, "samd's heads lack their sizes"};
    return heads;
}

}  // namespace

Result<void> list_records(const Options& options, const AuditList& wanted) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto samd, local.daemon("samd"));
    for (auto from = wanted.from;;) {
        QSCD_TRY(auto some, records_from(*samd, from, page));
        for (const auto& bytes : some.records()) {
            QSCD_TRY(auto record, protocol::decode<pb::LogRecord>(view_of(bytes)));
            const bool shown = (wanted.closings || !record.has_closing()) &&
                               (wanted.credential.empty() ||
                                to_hex(view_of(record.credential())) == wanted.credential) &&
                               (wanted.request.empty() || to_hex(view_of(record.request_id())) == wanted.request);
            if (shown) print(options, record);
        }
        from += static_cast<std::uint64_t>(some.records_size());
        if (some.records_size() == 0 || from >= some.size()) break;
    }
    std::cout << std::flush;
    return success();
}

// Head by head: a head that was read is signed for good, and all records that it covers are in the store.
Result<void> export_log(const Options& options, const std::filesystem::path& file) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto samd, local.daemon("samd"));
    QSCD_TRY(auto heads, heads_from(*samd, 1));
    const auto goal = heads.size();
    QSCD_TRY(auto out, WholeFile::create(file));
    audit::ExportWriter writer;
    QSCD_TRY(out.write(writer.begin(view_of(heads.genesis()))));
    std::uint64_t reached = 0;
    while (heads.texts_size() > 0) {
        for (int i = 0; i < heads.texts_size(); ++i) {
            reached = heads.sizes(i);
            while (writer.records() < reached) {
                QSCD_TRY(auto some, records_from(*samd, writer.records(), reached - writer.records()));
                if (some.records_size() == 0)
                    return Error{Errc::store_away, "record " + std::to_string(writer.records()) + " is missing"};
                for (const auto& record : some.records()) {
                    QSCD_TRY(out.write(writer.record(view_of(record))));
                }
            }
            QSCD_TRY(out.write(writer.head(heads.texts(i))));
        }
        if (reached >= goal) break;  // newer ones go on coming
        QSCD_TRY(heads, heads_from(*samd, reached + 1));
    }
    QSCD_TRY(out.write(writer.end()));
    QSCD_TRY(out.finish());
    answer(options,
           file.string() + ": " + std::to_string(writer.records()) + " records, " + std::to_string(writer.heads()) +
               " heads",
           {{"file", file.string()}, {"records", writer.records()}, {"heads", writer.heads()}});
    return success();
}

Result<void> write_checkpoint(const Options& options, const std::filesystem::path& file) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto samd, local.daemon("samd"));
    QSCD_TRY(auto heads, heads_from(*samd, std::numeric_limits<std::int64_t>::max()));
    QSCD_TRY(heads, heads_from(*samd, heads.size()));
    if (heads.texts_size() == 0) return Error{Errc::store_away, "the log has no head"};
    const auto& text = *heads.texts().rbegin();
    const auto size = *heads.sizes().rbegin();
    if (!file.empty()) {
        QSCD_TRY(write_file(file, text));
        answer(options, file.string() + ": " + std::to_string(size) + " records",
               {{"file", file.string()}, {"size", size}, {"checkpoint", text}});
    } else if (options.json) {
        answer(options, "", {{"size", size}, {"checkpoint", text}});
    } else {
        std::cout << text << std::flush;
    }
    return success();
}

}  // namespace qscd::cli
