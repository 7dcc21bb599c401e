// One owner of a samd's state on a real token and a real store, and the ways in which it may end.
#pragma once

#include "protocol/message.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {

// The state as one process has it: its own token sessions, its own connection to the store.
struct Owner {
    std::unique_ptr<hsm::Token> token;
    std::unique_ptr<store::Database> database;
    std::unique_ptr<SqlStateStore> state;
    std::unique_ptr<ModuleKeys> keys;
    std::unique_ptr<Ledger> ledger;
};

struct StateTest : ::testing::Test {
    TrialModule tokens;
    FixedClock clock{noon};
    Owner owner;

    StateTest() { tokens.open_sam(sha256(view_of("policy"))); }

    Result<void> take_over(Owner& by, const std::optional<Unseal>& unseal = {}) {
        by.ledger.reset();
        if (!by.token) by.token = tokens.open("qscd-sam");
        if (!by.database) by.database = store::Database::open(tokens.store()).value();
        by.state = std::make_unique<SqlStateStore>(*by.database);
        QSCD_TRY(by.keys, ModuleKeys::unlock(*by.token));
        QSCD_TRY(by.ledger, Ledger::open(*by.state, *by.keys, clock, {unseal, {}, {}}));
        return by.ledger->commit();
    }
    void start(const std::optional<Unseal>& unseal = {}) {
        const auto taken = take_over(owner, unseal);
        ASSERT_TRUE(taken) << describe(taken.error());
    }
    // The record of a clean stop, and then the end.
    void stop() {
        owner.ledger->record({Event::stopped, "samd"});
        commit();
        owner = {};
    }
    void crash() { owner = {}; }
    void restart() {
        stop();
        start();
    }
    void commit() {
        const auto committed = owner.ledger->commit();
        ASSERT_TRUE(committed) << describe(committed.error());
    }
    // What somebody who owns the store does to it while nobody has it open.
    void mutate(const std::string& sql, std::vector<store::Value> values = {}) {
        const auto database = store::Database::open(tokens.store()).value();
        const auto changed = database->execute(instruments::spelt_for(tokens.store(), sql), values);
        ASSERT_TRUE(changed) << changed.error().detail;
        EXPECT_GT(changed.value(), 0u) << sql;
    }
    Errc refused_start(const std::optional<Unseal>& unseal = {}) {
        const auto taken = take_over(owner, unseal);
        EXPECT_FALSE(taken);
        if (!taken) why = taken.error().detail;
        owner = {};
        return taken ? Errc{} : taken.error().code;
    }
    std::string why;  // of the last refused start

    // The store as it is now; and put back.
    instruments::Contents snapshot() const { return instruments::contents_of(tokens.store()); }
    void restore(const instruments::Contents& contents) { instruments::put_back(tokens.store(), contents); }

    static cell::Credential credential(const CredentialId& id, const std::string& profile = "totp") {
        cell::Credential out;
        out.set_id(std::string{text_of(id.bytes())});
        out.set_profile(profile);
        return out;
    }
    static cell::Device phone(const DeviceId& id, const std::string& number) {
        cell::Device out;
        out.set_id(std::string{text_of(id.bytes())});
        out.set_phone(number);
        return out;
    }
    CredentialId put(const std::string& profile = "totp") {
        const auto id = random_fixed<CredentialId>();
        owner.ledger->put(credential(id, profile));
        owner.ledger->record({Event::grant_accepted, "bootstrap", id});
        return id;
    }
    void change(const CredentialId& id, const std::string& profile) {
        owner.ledger->put(credential(id, profile));
        owner.ledger->record({Event::key_created, "samd", id});
    }
    DeviceId put_phone(const std::string& number) {
        const auto id = random_fixed<DeviceId>();
        owner.ledger->put(phone(id, number));
        owner.ledger->record({Event::grant_accepted, "bootstrap"});
        return id;
    }
    std::vector<pb::LogRecord> records() {
        std::vector<pb::LogRecord> out;
        const auto all = owner.ledger->records(0, 100'000, 100'000'000);
        for (const auto& bytes : all.value()) out.push_back(protocol::decode<pb::LogRecord>(bytes).value());
        return out;
    }
    std::vector<pb::LogRecord> records(std::string_view type) {
        auto all = records();
        std::erase_if(all, [&](const auto& record) { return record.type() != type; });
        return all;
    }
};

}  // namespace qscd::sam
