// What a SAM wrote down, against what people received from it. Thread rules: one thread.
#pragma once

#include "qscd/audit/verifier.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {

struct Received {
    Credential credential;
    std::string document, signature;
};

inline const pb::LogRecord* intent_of(const std::vector<pb::LogRecord>& log, const pb::LogRecord& result) {
    const auto named = field(result, "intent");
    if (named.empty()) return nullptr;
    const auto seq = std::stoull(named);
    return seq < result.seq() && log.at(seq).type() == "sign-intent" ? &log.at(seq) : nullptr;
}

// The record of its result; each signature that anybody received is good, and has its intent and its result.
inline const pb::LogRecord* result_of(const std::vector<pb::LogRecord>& log, const Received& received) {
    EXPECT_TRUE(verifies(received.credential, received.document, received.signature)) << received.document;
    const auto digest = sha256(view_of(received.signature)).hex();
    const auto found = std::ranges::find_if(
        log, [&](const auto& record) { return record.type() == "signed" && field(record, "digest") == digest; });
    EXPECT_NE(found, log.end()) << received.document << " is not in the log";
    if (found == log.end()) return nullptr;
    EXPECT_TRUE(intent_of(log, *found)) << received.document << " has no intent";
    return &*found;
}

// The log as the auditor gets it.
inline audit::Report audited(TrialSam& trial) {
    audit::ExportWriter writer;
    std::string text;
    const auto log = trial.records();
    pb::LogHeads heads;
    std::size_t next = 0;
    for (std::uint64_t reached = 0;;) {
        pb::SamRequest request;
        request.mutable_read_heads()->set_from(reached + 1);
        heads = trial.running->bootstrap.call<pb::LogHeads>(request).value();
        if (text.empty()) text = writer.begin(view_of(heads.genesis()));
        for (int i = 0; i < heads.texts_size(); ++i) {
            reached = heads.sizes(i);
            while (next < std::min<std::size_t>(reached, log.size()))
                text += writer.record(protocol::encode(log[next++]));
            text += writer.head(heads.texts(i));
        }
        if (heads.texts_size() == 0) break;
    }
    text += writer.end();
    const auto key = public_key_from_der(view_of(trial.running->keys->genesis().attestation_key())).value();
    return audit::verify(text, *key);
}

inline void expect_clean_log(TrialSam& trial) {
    const auto report = audited(trial);
    EXPECT_TRUE(report.clean()) << audit::human_text(report);
    EXPECT_GT(report.heads, 0u);
}

}  // namespace qscd::sam
