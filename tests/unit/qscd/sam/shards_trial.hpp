// A SAM on two shards, and what an operator may do to their tokens' folders. Thread rules: one thread.
#pragma once

#include <filesystem>

#include "base/file.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {

namespace fs = std::filesystem;

inline const std::vector<ShardSettings> two{one_shard, {.number = 2, .token = "qscd-signers-2", .module = "softhsm2"}};

inline bool eventually(const std::function<bool()>& happens) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!happens()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(10ms);  // what we wait for happens on threads that tell nobody
    }
    return true;
}

struct ShardsTest : TrialSam {
    ShardsTest() : TrialSam(two) {}

    hsm::Token& token(unsigned shard) { return running->shards.all().at(shard - 1)->token(); }
    std::vector<CkaId> keys_in(unsigned shard) { return token(shard).private_keys().value(); }
    bool holds(unsigned shard, const CkaId& key) { return std::ranges::count(keys_in(shard), key) == 1; }

    std::string created(const Credential& credential, std::string_view name) {
        for (const auto& record : records("key-created"))
            if (record.credential() == text_of(credential.id.bytes())) return field(record, name);
        return "";
    }
    unsigned shard_of(const Credential& credential) {
        return static_cast<unsigned>(std::stoul(created(credential, "shard")));
    }
    CkaId key_of(const Credential& credential) { return *CkaId::from_hex(created(credential, "cka_id")); }

    bool signs(const Credential& credential) {
        const auto signatures = sign(credential, approved(credential));
        return signatures && verifies(credential, "contract", signatures.value().signatures(0));
    }
    // Of the kind that names this key, or of any.
    std::size_t findings(std::string_view finding, const CkaId* key = nullptr) {
        return static_cast<std::size_t>(std::ranges::count_if(records("shard-finding"), [&](const auto& record) {
            return field(record, "finding") == finding && (key == nullptr || field(record, "cka_id") == key->hex());
        }));
    }
    pb::SamHealthReport health() {
        pb::SamRequest request;
        (void)request.mutable_health();
        return running->gateway.call<pb::SamHealthReport>(request).value();
    }

    // The folder in which SoftHSM2 keeps a token.
    fs::path folder_of(const std::string& label) {
        for (const auto& each : fs::directory_iterator{tokens.folder / "tokens"})
            if (read_file(each.path() / "token.object").value().find(label) != std::string::npos) return each.path();
        ADD_FAILURE() << label;
        return {};
    }
    fs::path folder_of(unsigned shard) { return folder_of("qscd-signers-" + std::to_string(shard)); }
    // An older copy of a token in its place, as an operator restores a backup: while nobody uses it.
    void restore(unsigned shard, const fs::path& copy) {
        const auto folder = folder_of(shard);
        fs::remove_all(folder);
        fs::copy(copy, folder, fs::copy_options::recursive);
    }
    fs::path copy_of(unsigned shard) {
        const auto copy = tokens.folder / ("copy-" + std::to_string(shard));
        fs::remove_all(copy);
        fs::copy(folder_of(shard), copy, fs::copy_options::recursive);
        return copy;
    }
    void change_cell(const Credential& credential, const std::function<void(cell::Credential&)>& change) {
        in_store([&](Ledger& ledger) {
            auto cell = *ledger.credential(credential.id).value();
            change(cell);
            ledger.put(cell);
            ledger.record({Event::refused, "portal", credential.id, "internal", {{"request", "test"}}});
        });
    }
    Errc refusal_of_signing(const Credential& credential) {
        const auto signatures = sign(credential, approved(credential));
        return signatures ? Errc{} : signatures.error().code;
    }
};

}  // namespace qscd::sam
