// A disk that is full, read-only or slow under the real SQLite and the real SoftHSM2: no signature without its records, the
// asking portal hears an error, health says why, and with room again a restart goes on with nothing lost and nothing to
// repair. [AUD-06] [SAM-13] [OPS-05]
#include <fcntl.h>
#include <future>
#include <unistd.h>

#include "tests/attack/spied_trial.hpp"
#include "tests/unit/qscd/sam/state/small_disk.hpp"
#include "tests/unit/qscd/sam/state/whole_log.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t most_before_a_refusal = 60;  // signatures for which room may be left

std::size_t rounds() {
    const char* wanted = std::getenv("QSCD_FULL");
    return wanted != nullptr && std::string_view{wanted} == "1" ? 100 : 10;
}

pb::SamHealthReport health_of(TrialSam& trial) {
    pb::SamRequest request;
    request.mutable_health();
    return trial.running->bootstrap.call<pb::SamHealthReport>(request).value();
}

struct Signs : attack::SpiedTrial {
    std::optional<Credential> signer;
    std::vector<Received> received;
    std::size_t documents = 0;

    Result<void> sign_one(const std::string& sad, const std::string& document) {
        QSCD_TRY(const auto signatures, sign(*signer, sad, {document}));
        for (const auto& each : signatures.signatures()) received.push_back({*signer, document, each});
        return success();
    }
    struct Refused {
        std::string sad, document;
        Error error;
    };
    // Approves and signs until the SAM does not.
    std::optional<Refused> sign_until_refused() {
        for (std::size_t i = 0; i < most_before_a_refusal; ++i) {
            const auto document = "document-" + std::to_string(++documents);
            next_step();
            const auto sad = authorise(*signer, {.code = code(*signer), .documents = {document}});
            if (!sad) return Refused{"", document, sad.error()};
            if (auto signed_it = sign_one(sad.value().sad(), document); !signed_it)
                return Refused{sad.value().sad(), document, signed_it.error()};
        }
        return std::nullopt;
    }
    void signs_again() {
        clock.advance(90s);  // past the floor of the codes
        const auto document = "document-" + std::to_string(++documents);
        const auto done = sign_one(approved(*signer, {document}), document);
        EXPECT_TRUE(done) << describe(done.error());
    }
    // Returns once the state is taken over, or cannot be: the clock stands still meanwhile.
    pb::SamHealthReport starts() {
        start();
        return health_of(*this);
    }
    // The token signed with the signer's key as often as there are intents, and people have what the log has.
    void expect_no_signature_without_its_records() {
        const auto log = records();
        for (const auto& each : received) result_of(log, each);
        const auto count = [&](std::string_view type) {
            return static_cast<std::size_t>(std::ranges::count(log, type, &pb::LogRecord::type));
        };
        EXPECT_EQ(count("signed"), received.size());
        EXPECT_EQ(spy::signatures_by_key(calls())[field(records("key-intended").at(0), "cka_id")],
                  count("sign-intent"));
        EXPECT_EQ(count("sign-intent"), count("signed") + count("sign-outcome-unknown"));
        expect_clean_log(*this);
    }
    // SQL on samd's own connection, where samd uses it.
    void in_its_connection(const std::string& sql) {
        std::promise<void> done;
        running->core->post(
            [&](Ledger&) {
                EXPECT_TRUE(running->database->execute(sql));
                done.set_value();
            },
            [&](const Error& error) {
                ADD_FAILURE() << describe(error);
                done.set_value();
            });
        done.get_future().wait();
    }
};

// The store's file lies on a small disk, where one can be made; else SQLite is told that there is no more room.
struct NoRoom : Signs {
    std::optional<SmallDisk> disk;

    void SetUp() override {
        if (instruments::on_postgresql()) GTEST_SKIP() << "about a file";
        stop();
        disk.emplace(tokens.folder / "small");
        const auto file = tokens.folder / "samd.sqlite", there = disk->path() / "samd.sqlite";
        std::filesystem::copy_file(file, there);
        std::filesystem::remove(file);
        std::filesystem::create_symlink(there, file);
        start();
        start_counting();
        signer = enrol(anna());
    }
    ~NoRoom() override {
        stop();
        disk.reset();
    }
    void fill() {
        if (disk->made()) disk->fill();
        else in_its_connection("PRAGMA max_page_count = 1");
    }
    // Of a start that does not serve: what opening its store says, which ends samd, or its health.
    std::string why_it_does_not_serve() {
        if (const auto opened = store::Database::open(tokens.store()); !opened) return describe(opened.error());
        const auto health = starts();
        if (health.store() && health.detail().empty()) {  // its journal has old places to write to
            stop();
            return "";
        }
        EXPECT_FALSE(health.store());
        EXPECT_FALSE(authorise(*signer, {.code = code(*signer)}));
        crash();
        return health.detail();
    }
};

TEST_F(NoRoom, AUD_06_SAM_13_AFullDiskSignsNothingAndLosesNothing) {
    for (std::size_t round = 0; round < rounds(); ++round) {
        clock.advance(9h);  // more than three ends like this a day would seal it
        signs_again();
        fill();
        const auto refused = sign_until_refused();
        ASSERT_TRUE(refused) << "it never was full";
        EXPECT_EQ(refused->error.code, Errc::store_away) << describe(refused->error);
        next_step();
        EXPECT_FALSE(authorise(*signer, {.code = code(*signer)})) << "and it serves nobody else";
        EXPECT_TRUE(running->lost);
        crash();
        if (disk->made()) {
            const auto why = why_it_does_not_serve();
            if (!why.empty()) EXPECT_NE(why.find("full"), std::string::npos) << why;
            disk->empty();
        }
        starts();
        if (const auto intents = records("sign-intent").size(); !refused->sad.empty() && intents == received.size())
            EXPECT_TRUE(sign_one(refused->sad, refused->document)) << "its intent was not durable: nothing is spent";
        signs_again();
    }
    expect_no_signature_without_its_records();
}

TEST_F(NoRoom, OPS_05_AStoreThatBecomesReadOnlySignsNothing) {
    signs_again();
    in_its_connection("PRAGMA query_only = ON");
    const auto refused = sign_until_refused();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->error.code, Errc::store_away) << describe(refused->error);
    crash();
    starts();
    signs_again();
    if (disk->made()) {
        stop();
        ASSERT_TRUE(disk->set_read_only(true));
        const auto why = why_it_does_not_serve();
        EXPECT_TRUE(why.find("open") != std::string::npos || why.find("readonly") != std::string::npos) << why;
        ASSERT_TRUE(disk->set_read_only(false));
        starts();
        signs_again();
    }
    expect_no_signature_without_its_records();
}

TEST_F(NoRoom, OPS_05_ASlowStoreIsWaitedForAndAStoreThatDoesNotComeBackIsNot) {
    const auto other = store::Database::open(tokens.store()).value();
    const auto ask_while_it_is_busy = [&](const std::string& sad, const std::string& document, auto until) {
        auto busy = std::make_optional(other->begin().value());
        auto answer = std::async(std::launch::async, [&] { return sign_one(sad, document); });
        EXPECT_EQ(answer.wait_for(500ms), std::future_status::timeout) << "answered before its records were durable";
        until(answer);
        busy.reset();
        return answer.get();
    };
    EXPECT_TRUE(ask_while_it_is_busy(approved(*signer, {"slow"}), "slow", [](auto&) {}));

    const auto sad = approved(*signer, {"stuck"});
    const auto refused = ask_while_it_is_busy(sad, "stuck", [](auto& answer) { answer.wait_for(30s); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::store_away) << describe(refused.error());
    crash();
    starts();
    EXPECT_TRUE(sign_one(sad, "stuck")) << "nothing of it was durable";
    signs_again();
    expect_no_signature_without_its_records();
}

// The folder in which the software token keeps its objects.
struct NoRoomInTheToken : Signs {
    std::optional<SmallDisk> disk;

    void SetUp() override {
        stop();
        tokens.module.reset();
        const auto folder = tokens.folder / "tokens", before = tokens.folder / "before";
        std::filesystem::rename(folder, before);
        disk.emplace(folder);
        std::filesystem::copy(before, folder, std::filesystem::copy_options::recursive);
        load_spied();
        start();
        start_counting();
        signer = enrol(anna());
    }
    ~NoRoomInTheToken() override {
        stop();
        tokens.module.reset();
        disk.reset();
    }
};

// What it has to write in its turn has its place there already; only a new key wants room. A start makes one.
TEST_F(NoRoomInTheToken, SAM_13_SignsInItsOldPlacesOrNotAtAllAndLosesNothing) {
    if (!disk->made()) GTEST_SKIP() << "nobody may mount a file system here";
    signs_again();
    disk->fill();
    const auto refused = sign_until_refused();
    EXPECT_TRUE(!refused || refused->error.code == Errc::store_away) << describe(refused->error);
    crash();
    const auto health = starts();
    EXPECT_FALSE(health.tokens() && health.store());
    EXPECT_FALSE(health.detail().empty());
    EXPECT_FALSE(authorise(*signer, {.code = code(*signer)}));
    crash();
    disk->empty();
    EXPECT_TRUE(starts().store()) << health.detail();
    signs_again();
    expect_no_signature_without_its_records();
}

}  // namespace
}  // namespace qscd::sam
