#include "qscd/audit/epochs.hpp"

#include "qscd/audit/limits.hpp"

namespace qscd::audit {
namespace {

bool equal(const std::string& bytes, const Sha256Digest& digest) {
    return std::ranges::equal(view_of(bytes), digest.bytes());
}

}  // namespace

Epochs::Epochs(EVP_PKEY& attestation_key, Findings& findings) : findings_(findings) {
    EVP_PKEY_up_ref(&attestation_key);
    trusted_.add(protocol::Issuer::attestation_key, EvpPkey{&attestation_key});
}

const Epoch* Epochs::start(const pb::LogRecord& record, const std::optional<Sha256Digest>& genesis,
                           const Before& before) {
    const Where here{Place::record, record.seq()};
    const auto wrong = [&](std::string what) { findings_.add(Check::epoch, here, std::move(what)); };
    const auto paper = protocol::verify_epoch_start(record.start(), trusted_);
    if (!paper) {
        wrong("the paper of its epoch: " + paper.error().detail);
        return nullptr;
    }
    const auto& start = *paper.value();
    const auto name = "epoch " + std::to_string(start.epoch());
    auto key = public_key_from_der(view_of(start.head_key()));
    if (!key) {
        wrong(name + " names a head key that is none");
        return nullptr;
    }
    if (genesis && !equal(start.genesis(), *genesis)) wrong(name + " is of another genesis");
    if (start.epoch() == 0 || (newest() != nullptr && start.epoch() <= newest()->number)) {
        wrong(name + " comes after epoch " + std::to_string(newest() == nullptr ? 0 : newest()->number));
        return nullptr;
    }
    for (const auto& [number, other] : epochs_)
        if (EVP_PKEY_eq(other.head_key.get(), key.value().get()) == 1)
            wrong(name + " has the head key of epoch " + std::to_string(number));
    if (start.accepted_size() != before.size)
        wrong(name + " went on from " + std::to_string(start.accepted_size()) + " records and stands behind " +
              std::to_string(before.size));
    else if (before.size == 0 ? !start.accepted_head().empty() : !before.head)
        wrong(before.size == 0 ? name + " went on from a head, and there was none"
                               : "the head that " + name + " went on from does not stand after record " +
                                     std::to_string(before.size - 1));
    else if (before.head && !equal(start.accepted_head(), *before.head))
        wrong(name + " went on from another head than the one after record " + std::to_string(before.size - 1));
    if (start.anchored_size() > start.accepted_size() && start.unsealed().empty())
        wrong(name + " went on from " + std::to_string(start.accepted_size()) + " records though the token knew of " +
              std::to_string(start.anchored_size()) + ", and nobody accepted that");
    if (static_cast<std::size_t>(start.unclean_size()) > unclean_starts_a_day)
        wrong(name + " is unclean start number " + std::to_string(start.unclean_size()) +
              " of a day, and nobody accepted that");
    if (std::abs(start.time() - record.time()) > clock_tolerance.count())
        wrong(name + " began at another time than its record says");
    if (!start.unsealed().empty()) findings_.note(here, name + " was let go on by people: " + start.unsealed());
    const auto [at, fresh] = epochs_.emplace(
        start.epoch(), Epoch{start.epoch(), start.accepted_size(), start.anchored_size(), std::move(key.value()),
                             !start.unsealed().empty()});
    return &at->second;
}

const Epoch* Epochs::find(std::uint64_t number) const {
    const auto found = epochs_.find(number);
    return found == epochs_.end() ? nullptr : &found->second;
}

const Epoch* Epochs::after(std::uint64_t number) const {
    const auto found = epochs_.upper_bound(number);
    return found == epochs_.end() ? nullptr : &found->second;
}

}  // namespace qscd::audit
