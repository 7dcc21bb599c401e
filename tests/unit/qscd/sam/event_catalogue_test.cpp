// Each type of record is produced on one SAM, and each record is what docs/audit.md says: fields, shapes, no secret; and
// the log of it all verifies with the attestation key alone. [AUD-01] [AUD-02] [AUD-14]
#include <gmock/gmock.h>
#include <regex>
#include <set>

#include "base/file.hpp"
#include "protocol/message.hpp"
#include "qscd/audit/verifier.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

struct Gathered {
    std::vector<pb::LogRecord> records;
    std::string text, attestation_key;  // the export; SubjectPublicKeyInfo
    std::set<std::string> secrets;
};

class Everything : public TrialSam {
public:
    static Gathered gather() {
        Everything sam;
        sam.happen();
        return sam.written_down();
    }

private:
    void TestBody() override {}

    Credential person(Person who, const std::string& profile = "totp") {
        remember(who.phone);
        remember(who.subject.surname);
        auto out = enrol(who, profile);
        remember(qscd::text_of(out.totp_secret));
        remember("48151623");
        return out;
    }
    void remember(std::string_view secret) {
        if (secret.empty()) return;
        secrets_.insert(std::string{secret});
        secrets_.insert(to_hex(view_of(secret)));
        secrets_.insert(to_base64(view_of(secret)));
        secrets_.insert(to_base64url(view_of(secret)));
    }
    std::string sad_of(const Credential& credential, const std::vector<std::string>& documents = {"contract"}) {
        auto out = approved(credential, documents);
        remember(out);
        for (const auto& document : documents) remember(document);
        return out;
    }
    std::string key_of(const Credential& credential) {
        for (const auto& record : records("key-created"))
            if (record.credential() == qscd::text_of(credential.id.bytes())) return field(record, "cka_id");
        return "";
    }

    void happen() {
        const auto signer = person(anna());
        EXPECT_TRUE(sign(signer, sad_of(signer)));
        EXPECT_TRUE(set_disabled(signer, true));
        EXPECT_TRUE(set_disabled(signer, false));
        EXPECT_FALSE(sign(signer, "no token of ours"));

        const auto begun = grant_for(boris(), "sms");  // and never finished
        EXPECT_TRUE(begin(desk.sign(begun)));
        remember(last_sms(boris().phone));
        EXPECT_FALSE(set_factors(begun.enrolment, "48151623", wrong(last_code(boris().phone))));

        const auto by_sms = person(boris(), "sms");
        EXPECT_TRUE(challenge(by_sms, {"contract"}));
        remember(last_sms(by_sms.phone));

        const auto blocked = person(anna());
        for (int i = 0; i < 3; ++i) {
            next_step();
            EXPECT_FALSE(authorise(blocked, {.pin = "00000000", .code = code(blocked)}));
        }

        const auto keyless = person(anna());
        const auto keyless_sad = sad_of(keyless);
        EXPECT_TRUE(running->signer_token->destroy(*CkaId::from_hex(key_of(keyless))));
        EXPECT_FALSE(sign(keyless, keyless_sad));

        const auto exchanged = person(anna());
        const auto exchanged_sad = sad_of(exchanged);
        const auto id = *CkaId::from_hex(key_of(exchanged));
        EXPECT_TRUE(running->signer_token->destroy(id));
        EXPECT_TRUE(running->signer_token->generate(KeyKind::p256, id, "another key in its place"));
        EXPECT_FALSE(sign(exchanged, exchanged_sad));

        EXPECT_TRUE(destroy(person(anna())));
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (records("shard-finding").empty() && std::chrono::steady_clock::now() < deadline)
            std::this_thread::yield();  // the roll call claims the token
        killed_while_it_worked(signer);
        rotated();
        stop();
        clock.advance(-1h);
        start();
        EXPECT_TRUE(unseal("the clock was an hour ahead"));
        dead_generator(signer);
    }

    void dead_generator(const Credential& signer) {
        stop();
        tokens.flows_a_seed = 1;
        start();
        EXPECT_FALSE(records().empty());  // it is open, and has drawn what it needs for that
        running->dead_generator = true;
        next_step();
        EXPECT_FALSE(authorise(signer, {.code = code(signer)}));
    }

    // An intent to sign, authorised, and an intent to make a key; then nothing.
    void killed_while_it_worked(const Credential& signer) {
        const auto sad = sad_of(signer);
        const auto grant = grant_for(anna());
        EXPECT_TRUE(begin(desk.sign(grant)));
        EXPECT_TRUE(set_factors(grant.enrolment, "48151623", last_code(anna().phone)));
        stop();
        const RequestScope scope{new_request_id()};
        in_store([&](Ledger& ledger) {
            auto cell = *ledger.credential(ledger.credential_of(grant.enrolment)).value();
            cell.set_state(cell::Credential::KEY_INTENDED);
            cell.set_token("qscd-signers-1");
            cell.set_shard(1);
            ledger.put(cell);
            ledger.record(
                {Event::key_intended,
                 "bootstrap",
                 CredentialId::from(view_of(cell.id())),
                 "ok",
                 {{"cka_id", CkaId::from(view_of(cell.cka_id()))->hex()}, {"token", cell.token()}, {"shard", "1"}}});
            ledger.record({Event::sign_intent,
                           "portal",
                           signer.id,
                           "ok",
                           {{"hashes", "1"}, {"hash_set", sha256(view_of("x")).hex()}}});
        });
        start();
    }

    void rotated() {
        EXPECT_TRUE(rotate_keys("once a year"));
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (records("key-destroyed").empty() && std::chrono::steady_clock::now() < deadline)
            std::this_thread::yield();  // cells are sealed anew between requests
    }

    Gathered written_down() {
        Gathered out{records(), "", running->keys->genesis().attestation_key(), secrets_};
        std::map<std::uint64_t, std::string> heads;
        pb::LogHeads some;
        do {
            pb::SamRequest request;
            request.mutable_read_heads()->set_from(heads.empty() ? 1 : heads.rbegin()->first + 1);
            some = running->bootstrap.call<pb::LogHeads>(request).value();
            for (int i = 0; i < some.texts_size(); ++i) heads[some.sizes(i)] = some.texts(i);
        } while (some.texts_size() > 0);
        audit::ExportWriter writer;
        out.text = writer.begin(view_of(some.genesis()));
        for (const auto& record : out.records) {
            if (record.seq() >= heads.rbegin()->first) break;
            out.text += writer.record(protocol::encode(record));
            if (const auto head = heads.find(record.seq() + 1); head != heads.end())
                out.text += writer.head(head->second);
        }
        out.text += writer.end();
        return out;
    }
    std::set<std::string> secrets_;
};

const Gathered& everything() {
    static const Gathered out = Everything::gather();
    return out;
}

// What docs/audit.md says: the fields of each type.
const std::map<std::string, std::set<std::string>>& documented() {
    static const auto out = [] {
        std::map<std::string, std::set<std::string>> rows;
        auto text = read_file(std::string{QSCD_SOURCE_DIR} + "/docs/audit.md").value();
        text = text.substr(text.find("## Events"));
        text.resize(text.find("\n## ", 1));
        const std::regex row{R"(\| `([a-z-]+)` \|[^|\n]*\|([^|\n]*)\|)"}, name{"`([a-z_]+)`"};
        for (std::sregex_iterator each{text.begin(), text.end(), row}, end; each != end; ++each) {
            const std::string fields = (*each)[2];
            auto& known = rows[(*each)[1]];
            for (std::sregex_iterator at{fields.begin(), fields.end(), name}; at != end; ++at) known.insert((*at)[1]);
        }
        return rows;
    }();
    return out;
}

// What a field may hold. Nothing of it is free but what people give as reason.
const std::map<std::string, std::string>& shapes() {
    static const std::string digest = "[0-9a-f]{64}", id = "[0-9a-f]{32}", number = "[0-9]{1,19}",
                             words = "[A-Za-z][A-Za-z0-9 ,'-]{0,80}";
    static const std::map<std::string, std::string> out{
        {"digest", digest},
        {"grant", digest},
        {"acceptance", digest},
        {"public_key", digest},
        {"certificate", digest},
        {"hash_set", digest},
        {"policy", digest},
        {"enrolment", id},
        {"cka_id", id},
        {"cell_key", id},
        {"pin_key", id},
        {"credential", id},
        {"epoch", number},
        {"intent", number},
        {"hashes", number},
        {"signatures", number},
        {"anchored_size", number},
        {"shard", number},
        {"finding", words},
        {"accepted_size", number},
        {"after", words},
        {"granted_by", words},
        {"factors", words},
        {"factor", words},
        {"request", words},
        {"token", words},
        {"profile", words},
        {"trial", "true|false"},
        {"sealed", words},
        {"reason", "[^\n]{0,200}"},
        {"document_code", "[0-9A-HJKMNP-TV-Z]{8}"},
    };
    return out;
}

struct AnEvent : ::testing::TestWithParam<EventRow> {};
INSTANTIATE_TEST_SUITE_P(Catalogue, AnEvent, ::testing::ValuesIn(event_rows), [](const auto& test) {
    std::string name{test.param.name};
    std::ranges::replace(name, '-', '_');
    return name;
});

TEST_P(AnEvent, AUD_01_IsProducedAsDocumented) {
    const std::string type{GetParam().name};
    ASSERT_TRUE(documented().contains(type)) << "docs/audit.md has no row";
    const auto& known = documented().at(type);
    std::size_t count = 0;
    for (const auto& record : everything().records) {
        if (record.type() != type) continue;
        ++count;
        EXPECT_EQ(record.salt().size(), 16U);
        EXPECT_GT(record.time(), 0);
        EXPECT_THAT((std::set<std::string>{"samd", "bootstrap", "portal", "stranger"}),
                    testing::Contains(record.actor()));
        EXPECT_EQ(record.has_closing(), type == "closing");
        EXPECT_EQ(record.has_start(), type == "started");
        std::set<std::string> seen;
        for (const auto& field : record.fields()) {
            EXPECT_TRUE(known.contains(field.name())) << field.name();
            EXPECT_TRUE(seen.insert(field.name()).second) << field.name();
            ASSERT_TRUE(shapes().contains(field.name())) << field.name();
            EXPECT_TRUE(std::regex_match(field.value(), std::regex{shapes().at(field.name())}))
                << field.name() << " = " << field.value();
        }
        static const std::set<std::string> only_some{"intent", "credential", "reason", "policy"};
        if (type == "shard-finding" && known.contains("cka_id")) seen.insert("cka_id");  // of a key, where there is one
        if (type == "key-destroyed" && record.credential().empty()) seen.insert("shard");  // of the SAM's own token
        for (const auto& name : known) EXPECT_TRUE(only_some.contains(name) || seen.contains(name)) << name;
    }
    EXPECT_GT(count, 0U);
}

// What samd does by itself; a start may be the end of a command.
const std::set<std::string> housekeeping{
    "genesis", "started", "stopped", "closing", "key-swept", "key-destroyed", "sign-outcome-unknown", "shard-finding"};

TEST_P(AnEvent, AUD_02_NamesTheRequestThatCausedIt) {
    for (const auto& record : everything().records) {
        if (record.type() != GetParam().name) continue;
        if (record.has_closing() || !record.request_id().empty()) {
            EXPECT_EQ(record.request_id().size(), record.has_closing() ? 0U : 16U) << record.ShortDebugString();
            continue;
        }
        EXPECT_TRUE(housekeeping.contains(record.type())) << record.ShortDebugString();
    }
}

TEST(Catalogue, AUD_01_DocumentsNoEventThatDoesNotExist) {
    for (const auto& [type, fields] : documented())
        EXPECT_NE(std::ranges::find(event_rows, type, &EventRow::name), event_rows.end()) << type;
}

TEST(Catalogue, AUD_01_HasNoRecordOfAnUnknownType) {
    for (const auto& record : everything().records)
        EXPECT_NE(std::ranges::find(event_rows, record.type(), &EventRow::name), event_rows.end()) << record.type();
}

TEST(Catalogue, AUD_02_HoldsNoSecretAndNothingOfADocument) {
    ASSERT_GT(everything().secrets.size(), 20U);
    for (const auto& record : everything().records) {
        const auto bytes = protocol::encode(record);
        for (const auto& secret : everything().secrets)
            EXPECT_EQ(qscd::text_of(bytes).find(secret), std::string_view::npos) << record.ShortDebugString();
    }
}

TEST(Catalogue, AUD_02_TheSearchForSecretsFinds) {
    pb::LogRecord record;
    record.set_actor("48151623");
    EXPECT_TRUE(std::ranges::any_of(everything().secrets, [&](const std::string& secret) {
        return qscd::text_of(protocol::encode(record)).find(secret) != std::string_view::npos;
    }));
}

TEST(Catalogue, AUD_02_WhichFactorFailedIsSealed) {
    for (const auto& record : everything().records)
        EXPECT_EQ(!record.sealed().empty(), record.type() == "authorisation-failed") << record.type();
}

TEST(Catalogue, AUD_14_TheLogOfAllThatVerifies) {
    const auto key = public_key_from_der(view_of(everything().attestation_key)).value();
    const auto report = audit::verify(everything().text, *key);
    EXPECT_TRUE(report.clean()) << audit::human_text(report);
    EXPECT_GE(report.epochs, 4U);
}

}  // namespace
}  // namespace qscd::sam
