// Verifies an exported log with the attestation key's public half and nothing else: no server, no secret. Reads line by
// line, keeps the edge of the tree and what the records say of each credential. [sam-state 5] [AUD-04] [AUD-08] [AUD-14]
// Thread rules: one owner.
#pragma once

#include <google/protobuf/stubs/logging.h>

#include "base/log/array_tree.hpp"
#include "base/log/head.hpp"
#include "base/log/log_tree.hpp"
#include "qscd/audit/credentials.hpp"
#include "qscd/audit/epochs.hpp"
#include "qscd/audit/export_form.hpp"
#include "qscd/audit/limits.hpp"

namespace qscd::audit {

struct Options {
    std::optional<std::string> checkpoint = {};  // a head's text that the auditor has from elsewhere
    std::size_t most_findings = audit::most_findings;
    std::set<Check> off = {};  // to prove that the others do not do its work; no program sets it
};

class Verifier {
public:
    explicit Verifier(EVP_PKEY& attestation_key, Options options = {});
    void take(std::string_view text);  // the next piece of the export, cut anywhere
    Report finish();                   // once, at the end

private:
    void line(std::string_view text);
    void genesis(std::string_view content);
    void record(std::string_view content);
    void head(std::string_view content);
    void end(std::string_view content);

    void parts_of(const pb::LogRecord& record);
    void number(const pb::LogRecord& record);
    void time(const pb::LogRecord& record);
    void judge_time();
    void place_in_batch(const pb::LogRecord& record);
    void close(const pb::LogRecord& record);
    void cells(const pb::LogRecord& record);
    bool abandoned(const Epoch& epoch, std::uint64_t size) const;
    void compare_with_checkpoint();
    void judge_checkpoint();

    EVP_PKEY& attestation_key_;
    Options options_;
    Findings findings_;
    Epochs epochs_;
    Credentials credentials_;

    std::string pending_;  // the line whose end has not come
    RunningDigest digest_;
    std::uint64_t lines_ = 0, record_lines_ = 0, head_lines_ = 0;

    std::optional<Sha256Digest> genesis_;
    std::string origin_;

    log::LogTree tree_;
    log::ArrayTree cells_;
    std::uint64_t next_ = 0;  // number that the next record must have
    std::int64_t newest_time_ = 0;
    struct Step {
        std::uint64_t record;
        std::int64_t seconds;
    };
    struct Batch {
        std::uint64_t begin = 0;   // number of its first record
        std::optional<Step> back;  // of the clock, when no start of this batch accounts for it
        unsigned starts = 0;
        bool open = false, time_accepted = false;  // by people
    };
    Batch batch_;
    std::uint64_t unsynchronised_ = 0, first_unsynchronised_ = 0;  // closing records that say so

    struct SignedHead {
        std::uint64_t size;
        Sha256Digest digest;  // of its text
    };
    std::optional<SignedHead> signed_head_;  // the newest that its epoch signed here, whatever its root
    std::optional<Checkpoint> newest_;       // the newest good one
    std::uint64_t good_heads_ = 0, covered_ = 0;
    std::optional<log::Head> checkpoint_;  // as it is written; whether it is signed shows at the end
    std::optional<Sha256Digest> root_at_checkpoint_;
    bool overlong_ = false, ended_ = false, trial_ = false, closed_ = false;  // closed_: by the record just read
    google::protobuf::LogSilencer silencer_;                                  // what is wrong is in the report
};

Report verify(std::string_view text, EVP_PKEY& attestation_key, Options options = {});

}  // namespace qscd::audit
