#include "qscd/gateway/csc/hashes.hpp"

namespace qscd::gateway {

Result<std::vector<Bytes>> hashes_in(const json::Object& body, std::string_view spelled) {
    constexpr auto unlimited = static_cast<std::size_t>(-1);  // the body's own limit bounds both
    auto texts = body.strings("hashes", unlimited, unlimited);
    if (!texts) {
        auto error = std::move(texts).error();
        error.parameter.name = spelled;
        return error;
    }
    if (texts.value().empty()) return Error{Errc::hashes_empty};
    if (texts.value().size() > most_hashes) return Error{Errc::too_many_signatures};
    std::vector<Bytes> out;
    for (const auto& text : texts.value()) {
        auto bytes = from_base64(text);
        if (!bytes) return Error{Errc::hash_not_base64};
        out.push_back(std::move(*bytes));
    }
    return out;
}

Result<void> check_lengths(const std::vector<Bytes>& hashes, HashAlgorithm algorithm) {
    for (const auto& hash : hashes) {
        QSCD_TRY(DtbsR::from(algorithm, hash));
    }
    return success();
}

Result<void> check_count(std::int64_t signatures, unsigned most) {
    if (signatures < 1) return Error{Errc::signature_count_invalid};
    if (signatures > most) return Error{Errc::too_many_signatures};
    return success();
}

}  // namespace qscd::gateway
