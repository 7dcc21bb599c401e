#include "qscd/audit/export_form.hpp"

namespace qscd::audit {

RunningDigest::RunningDigest() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
}

void RunningDigest::add(std::string_view text) { EVP_DigestUpdate(context_.get(), text.data(), text.size()); }

Sha256Digest RunningDigest::value() const {
    const EvpMdCtx copy{EVP_MD_CTX_new()};
    std::array<std::uint8_t, Sha256Digest::size> out{};
    EVP_MD_CTX_copy_ex(copy.get(), context_.get());
    EVP_DigestFinal_ex(copy.get(), out.data(), nullptr);
    return Sha256Digest{out};
}

std::string ExportWriter::line(std::string_view word, std::string_view content) {
    std::string out{word};
    if (!content.empty()) (out += ' ') += content;
    out += '\n';
    digest_.add(out);
    return out;
}

std::string ExportWriter::begin(ByteView genesis) {
    return line(first_line, "") + line(genesis_word, to_base64(genesis));
}

std::string ExportWriter::record(ByteView stored) {
    ++records_;
    return line(record_word, to_base64(stored));
}

std::string ExportWriter::head(std::string_view text) {
    ++heads_;
    return line(head_word, to_base64(view_of(text)));
}

std::string ExportWriter::end() {
    const auto sum = digest_.value().hex();
    return line(end_word, std::to_string(records_) + " " + std::to_string(heads_) + " " + sum);
}

}  // namespace qscd::audit
