// The text form of an exported log [docs/decisions/0014]: lines, each a word and its content.
//   qscd-log 1
//   genesis <base64 of the token's genesis object>
//   record <base64 of the stored bytes>                 in order of sequence, from 0
//   head <base64 of the head's text>                    directly behind its last record
//   end <records> <heads> <SHA-256 of all lines above>
// The last line tells a damaged file from a falsified log; it proves nothing. Thread rules: one owner.
#pragma once

#include "base/digest.hpp"
#include "base/openssl.hpp"

namespace qscd::audit {

inline constexpr std::string_view first_line = "qscd-log 1", genesis_word = "genesis", record_word = "record",
                                  head_word = "head", end_word = "end";

// SHA-256 of what comes piece by piece.
class RunningDigest {
public:
    RunningDigest();
    void add(std::string_view text);
    Sha256Digest value() const;  // of all so far

private:
    EvpMdCtx context_;
};

// Gives the lines in the order of its calls: begin, then records and heads, then end.
class ExportWriter {
public:
    std::string begin(ByteView genesis);
    std::string record(ByteView stored);
    std::string head(std::string_view text);
    std::string end();
    std::uint64_t records() const { return records_; }
    std::uint64_t heads() const { return heads_; }

private:
    std::string line(std::string_view word, std::string_view content);
    RunningDigest digest_;
    std::uint64_t records_ = 0, heads_ = 0;
};

}  // namespace qscd::audit
