// A log as samd writes it, made from software keys: batches, epochs, cells, heads. Each part can be made to lie while all
// the rest, signatures and roots included, still fits; and the export can be taken apart line by line.
#pragma once

#include <functional>

#include "base/log/array_tree.hpp"
#include "base/log/head.hpp"
#include "base/log/log_tree.hpp"
#include "protocol/papers.hpp"
#include "qscd/audit/verifier.hpp"

namespace qscd::audit {

using Fields = std::vector<std::pair<std::string, std::string>>;

class LogBuilder {
public:
    explicit LogBuilder(bool trial = true);

    // One batch with the start of an epoch; `more` is staged before it.
    struct Start {
        std::string unsealed = {};
        std::function<void(pb::EpochStart&)> lie = {};
        EVP_PKEY* signed_by = nullptr;  // else the attestation key
    };
    void start() { start(Start{}); }
    void start(const Start& how);

    // Stages a record; its number.
    std::uint64_t record(const std::string& type, const std::string& actor = "samd", const std::string& credential = "",
                         const Fields& fields = {}, const std::string& result = "ok");
    void close(bool with_head = true);  // ends the batch

    // A credential's life, in as many batches as samd makes of it; `sparse`: with one head at its end.
    bool sparse = false;
    void enrol(const std::string& credential);
    void sign(const std::string& credential, const std::string& portal = "portal", unsigned hashes = 1);

    // Called for each of its kind before it is hashed or signed.
    std::function<void(pb::LogRecord&)> lie_in_record = [](auto&) {};
    std::function<void(pb::Closing&)> lie_in_closing = [](auto&) {};
    std::function<void(log::Head&)> lie_in_head = [](auto&) {};
    EVP_PKEY* head_signer = nullptr;  // else the epoch's key

    std::vector<std::string> lines() const { return lines_; }  // without the last
    std::string text() const { return sealed(lines_); }
    static std::string sealed(const std::vector<std::string>& lines);  // with a last line that fits

    EVP_PKEY& attestation_key() { return *attestation_; }
    EVP_PKEY& head_key(std::uint64_t of) { return *head_keys_.at(of); }
    std::string head_over(std::uint64_t covered, const Sha256Digest& root, std::uint64_t by);
    std::string newest_head() const { return head_; }
    std::uint64_t size() const { return log_.size(); }
    Sha256Digest root() const { return log_.root(); }
    std::uint64_t epoch = 0;
    std::int64_t now = 1'795'000'000;
    void add_line(std::string line) { lines_.push_back(std::move(line)); }
    Report verify(Options options = {}) { return audit::verify(text(), *attestation_, std::move(options)); }

private:
    void add(pb::LogRecord record);
    EvpPkey attestation_ = generate_p256();
    std::map<std::uint64_t, EvpPkey> head_keys_;
    pb::Genesis genesis_;
    Bytes genesis_bytes_;
    std::vector<std::string> lines_;
    log::LogTree log_;
    log::ArrayTree cells_;
    std::map<std::string, std::size_t> index_;
    std::map<std::string, std::uint64_t> newest_;
    std::map<std::uint64_t, pb::OpenIntent> open_;
    std::vector<std::string> touched_;  // credentials, in this batch
    std::uint64_t staged_ = 0;
    std::string head_;
};

inline const std::string anna(16, 'a'), boris(16, 'b');

}  // namespace qscd::audit
