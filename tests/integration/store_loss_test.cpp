// The store's server goes away while portals sign, and comes back: 503 meanwhile, nothing acknowledged is lost, work
// goes on without anybody's help. On PostgreSQL: a file does not go away.
#include <atomic>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <gmock/gmock.h>
#include <mutex>
#include <thread>

#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

using Stop = instruments::Cluster::Stop;

[[maybe_unused]] const int chosen = ::setenv("QSCD_TEST_STORE", "postgresql", 1);
[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

constexpr unsigned workers = 3, hashes_of_one = 100;
constexpr std::chrono::minutes past_the_floor{5};  // of an earlier takeover: older app codes count no more
constexpr std::size_t before_and_after = 12;       // signatures that are enough to say that it works

struct Acknowledged {
    std::string body, key, answer;
};

// Portals that sign one hash after the other until told to stop, and write down what they were told.
class Load {
public:
    Load(Cast& cast, std::string round) : cast_(cast), round_(std::move(round)) {
        cast.deployment.advance(past_the_floor);
        std::vector<Bytes> hashes;
        for (unsigned i = 0; i < hashes_of_one; ++i) hashes.push_back(hash_numbered(i));
        for (unsigned i = 0; i < workers; ++i) {
            const auto& credential = i % 2 == 0 ? cast.anna_qscd : cast.anna_lcp;
            const auto sad = cast.portal_1.sad_for(cast.anna, credential, hashes);
            threads_.emplace_back(
                [this, i, credential, sad](const std::stop_token& stop) { work(i, credential.id, sad, stop); });
        }
    }

    std::size_t acknowledged() const { return count_of(200); }
    std::size_t count_of(unsigned status) const {
        const std::lock_guard one{lock_};
        const auto found = statuses_.find(status);
        return found == statuses_.end() ? 0 : found->second;
    }
    std::vector<Acknowledged> end() {
        for (auto& thread : threads_) thread.request_stop();
        threads_.clear();
        return std::move(acknowledged_);
    }
    std::map<unsigned, std::size_t> statuses() const {
        const std::lock_guard one{lock_};
        return statuses_;
    }

private:
    // A hash whose answer was 503 is asked for again, a few times; what was used up meanwhile is refused and left.
    void work(unsigned worker, const std::string& credential, const std::string& sad, const std::stop_token& stop) {
        auto client = cast_.deployment.another_client();
        for (unsigned i = 0; i < hashes_of_one && !stop.stop_requested(); ++i) {
            const auto body = boost::json::serialize(SigningRequest{credential, sad, {hash_numbered(i)}}.body());
            const auto key = round_ + "-" + std::to_string(worker) + "-" + std::to_string(i);
            while (!stop.stop_requested() && !ask(client, body, key)) {}
        }
    }
    bool ask(net::Client& client, const std::string& body, const std::string& key) {
        const auto response = client.request("POST", "/csc/v2/signatures/signHash",
                                             {{"Content-Type", "application/json"},
                                              {"Authorization", "Bearer " + cast_.portal_1.token()},
                                              {"Idempotency-Key", key}},
                                             body);
        const std::lock_guard one{lock_};
        const auto status = response ? response.value().status : 0U;
        ++statuses_[status];
        if (status == 200) acknowledged_.push_back({body, key, response.value().body});
        return status != 503;
    }

    Cast& cast_;
    std::string round_;  // keys are used once
    mutable std::mutex lock_;
    std::map<unsigned, std::size_t> statuses_;
    std::vector<Acknowledged> acknowledged_;
    std::vector<std::jthread> threads_;
};

class StoreLost : public testing::TestWithParam<Stop> {};
INSTANTIATE_TEST_SUITE_P(, StoreLost, testing::Values(Stop::immediate, Stop::fast),
                         [](const auto& each) { return each.param == Stop::fast ? "Stopped" : "Crashed"; });

TEST_P(StoreLost, UnderLoadIs503AndLosesNothingAndRecovers) {
    auto& cast = Stage::cast();
    auto& cluster = *cast.deployment.cluster();
    const Evidence evidence{cast.deployment};
    Load load{cast, GetParam() == Stop::fast ? "stopped" : "crashed"};
    ASSERT_TRUE(eventually([&] { return load.acknowledged() >= before_and_after; }));
    cluster.stop(GetParam());
    ASSERT_TRUE(eventually([&] { return load.count_of(503) >= workers; }));
    EXPECT_TRUE(eventually([&] { return !cast.deployment.ready(); })) << "health says so";
    EXPECT_EQ(cast.deployment.https("GET", "/health/live").status, 200U);
    EXPECT_EQ(cast.portal_1
                  .get_token("grant_type=client_credentials&client_id=portal-1&client_secret=" + cast.portal_1.secret())
                  .status,
              503U);
    const auto during = load.acknowledged();
    cluster.start();
    ASSERT_TRUE(eventually([&] { return load.acknowledged() >= during + before_and_after; }))
        << "it signs again by itself";
    EXPECT_TRUE(eventually([&] { return cast.serves(); }));
    const auto acknowledged = load.end();

    // One of each worker was under way and asked for again: what nobody can know is said so, once, and never done again.
    auto answers = load.statuses();
    const auto unknown = answers[500] + answers[400];
    EXPECT_LE(unknown, workers) << answers[400] << " refused, " << answers[500] << " of unknown outcome";
    for (const auto status : {200U, 503U, 500U, 400U}) answers.erase(status);
    EXPECT_TRUE(answers.empty()) << answers.begin()->second << " answers " << answers.begin()->first;

    // The SAM's log has each of them, and gives each again under its key, byte for byte, without a new intent.
    EXPECT_GE(evidence.count("signed"), acknowledged.size());
    const auto intents = evidence.intents();
    EXPECT_EQ(intents,
              evidence.count("signed") + evidence.count("sign-outcome-unknown") + evidence.count("sign-failed"));
    for (const auto& each : acknowledged) {
        const auto again = cast.portal_1.post("signatures/signHash", each.body, {{"Idempotency-Key", each.key}});
        EXPECT_EQ(again.status, 200U) << again;
        EXPECT_EQ(again.body, each.answer);
    }
    EXPECT_EQ(evidence.intents(), intents);
}

TEST(StoreLostToEnrolment, IsMadeGoodByTypingTheCommandAgain) {
    auto& cast = Stage::cast();
    auto& cluster = *cast.deployment.cluster();
    const auto enrolment = cast.boris.begin("qscd-sms", "P-256");
    cluster.stop();
    EXPECT_THROW(cast.boris.finish(enrolment, "qscd-sms", "P-256"), std::runtime_error);
    cluster.start();
    std::optional<Credential> credential;
    EXPECT_TRUE(eventually([&] {
        try {
            credential = cast.boris.finish(enrolment, "qscd-sms", "P-256");
        } catch (const std::runtime_error&) {}
        return credential.has_value();
    }));
    ASSERT_TRUE(credential);
    const auto sad = cast.portal_2.sad_for(cast.boris, *credential, {hash_numbered(1)});
    EXPECT_EQ(cast.portal_2.sign({credential->id, sad, {hash_numbered(1)}}).status, 200U);
}

}  // namespace
}  // namespace qscd::integration
