#include "protocol/message.hpp"
#include "qscd/sam/state/ledger.hpp"

namespace qscd::sam {

Result<std::size_t> Ledger::walk_credentials(std::size_t from, std::size_t count, const CredentialVisit& visit) {
    const auto read = [&](std::size_t index, const CellKey& key) -> Result<cell::Credential> {
        SecretBytes plain{std::string_view{}};
        if (staged_.contains(key) || cache_.contains(key)) {
            QSCD_TRY(auto known, plain_of(key));
            plain = std::move(*known);
        } else {  // not into the cache: it would hold every cell
            QSCD_TRY(auto blob, store_.blob(index));
            QSCD_TRY(plain, unsealed(index, blob ? *blob : SealedBlob{}));
        }
        return protocol::decode<cell::Credential>(plain.reveal());
    };
    for (; count > 0 && from < leaves_.size(); --count, ++from) {
        const auto& leaf = leaves_[from];
        if (leaf.kind != CellKind::credential) continue;
        const auto cell = read(from, {leaf.kind, leaf.id});
        if (!cell && cell.error().code != Errc::internal) return cell.error();
        visit(cell);
    }
    return from;
}

}  // namespace qscd::sam
