// Three tokens for signers' keys, and what happens to one of them while the service runs and between two runs.
// [QSCD-12] [QSCD-14] [QSCD-20] [QSCD-21]
#include <atomic>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <memory>
#include <thread>

#include "base/file.hpp"
#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

using testing::HasSubstr;

constexpr unsigned shards = 3;

std::string label_of(unsigned shard) { return "qscd-signers-" + std::to_string(shard); }

void replace(std::string& text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    require(at != std::string::npos, "qscd.toml has no " + from);
    text.replace(at, from.size(), to);
}

class Shards : public testing::Test {
protected:
    RunningDeployment deployment{RunningDeployment::How{.init = {"--shards", std::to_string(shards)}}};
    std::vector<std::unique_ptr<Signer>> signers;  // the first is of shard 1, and so on
    std::vector<Credential> credentials;
    std::optional<Portal> portal;

    Shards() {
        for (unsigned shard = 1; shard <= shards; ++shard) enrol_another();
        portal.emplace(deployment, "portal-1", std::vector<std::string>{"signer-1", "signer-2", "signer-3"});
    }
    void enrol_another() {
        const auto number = static_cast<unsigned>(signers.size()) + 1;
        signers.push_back(std::make_unique<Signer>(deployment, "signer-" + std::to_string(number), number));
        credentials.push_back(signers.back()->enrol("lcp-totp"));
    }
    std::string sad_for(unsigned shard, const std::vector<Bytes>& hashes) {
        return portal->sad_for(*signers.at(shard - 1), credentials.at(shard - 1), hashes);
    }
    // Where SoftHSM2 keeps the token of a shard.
    fs::path folder_of(unsigned shard) const {
        for (const auto& each : fs::directory_iterator{deployment.in("tokens/samd/tokens")}) {
            const auto object = required(read_file(each.path() / "token.object"), "token.object");
            if (object.find(label_of(shard)) != std::string::npos) return each.path();
        }
        require(false, "no token " + label_of(shard));
        return {};
    }
    fs::path hidden() const { return deployment.top() / "hidden"; }
    void change_configuration(const std::function<void(std::string&)>& change) const {
        auto text = required(read_file(deployment.in("qscd.toml")), "qscd.toml");
        change(text);
        required(write_file(deployment.in("qscd.toml"), text), "qscd.toml");
    }
    Answer sign(unsigned shard, unsigned document = 1) {
        const std::vector<Bytes> hashes{hash_numbered(document)};
        return portal->sign({credentials.at(shard - 1).id, sad_for(shard, hashes), hashes});
    }
    // The number of keys in each shard, as `qscd status` says.
    std::vector<std::int64_t> keys() const {
        std::vector<std::int64_t> out;
        const auto state = required(json::Object::parse(deployment.qscd({"--json", "status"}).out), "status");
        const auto all = required(state.objects("shards", 100), "shards");
        for (const auto& each : all) out.push_back(each.integer("keys").value());
        return out;
    }
};

TEST_F(Shards, QSCD_21_OneThatIsAwayCostsTheOthersNothing) {
    EXPECT_EQ(keys(), (std::vector<std::int64_t>{1, 1, 1}));
    std::vector<Bytes> hashes;
    for (unsigned i = 0; i < 100; ++i) hashes.push_back(hash_numbered(i));
    const auto first_sad = sad_for(1, hashes);
    const auto third_sad = sad_for(3, hashes);
    const auto away_sad = sad_for(2, {hashes[0]});

    // Load on the other two, each over a connection of its own: before, while the second is away, and after.
    std::atomic<unsigned> good = 0, bad = 0;
    std::atomic<bool> gone = false, came_back = false;
    const auto load = [&](unsigned shard, const std::string& sad) {
        auto client = deployment.another_client();
        for (std::size_t i = 0; i < hashes.size(); ++i) {
            if (i == 20) gone.wait(false);
            if (i == 80) came_back.wait(false);
            const auto answer = client.request(
                "POST", "/csc/v2/signatures/signHash",
                {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + portal->token()}},
                boost::json::serialize(SigningRequest{credentials[shard - 1].id, sad, {hashes[i]}}.body()));
            const bool fine = answer && answer.value().status == 200;
            ++(fine ? good : bad);
            if (!fine) ADD_FAILURE() << "shard " << shard << ": " << (answer ? answer.value().body : "no answer");
        }
    };
    std::thread first{load, 1, first_sad}, third{load, 3, third_sad};
    EXPECT_TRUE(eventually([&] { return good + bad == 40; }));

    const auto folder = folder_of(2);
    fs::rename(folder, hidden());
    gone = true;
    gone.notify_all();
    const SigningRequest request{credentials[1].id, away_sad, {hashes[0]}};
    const auto answer = portal->sign(request);
    EXPECT_EQ(answer.status, 503U) << answer;
    EXPECT_EQ(answer.error, "temporarily_unavailable");
    EXPECT_EQ(answer.description, temporarily_unavailable_text);
    EXPECT_TRUE(eventually([&] {
        return deployment.https("GET", "/health/ready").body.find(R"("absent_shards":[2])") != std::string::npos;
    }));
    EXPECT_TRUE(deployment.ready()) << "the others serve";
    EXPECT_TRUE(eventually([&] { return good + bad == 160; }));
    fs::rename(hidden(), folder);
    came_back = true;
    came_back.notify_all();

    Answer back;
    EXPECT_TRUE(eventually([&] { return (back = portal->sign(request)).status == 200; })) << back;
    first.join();
    third.join();
    EXPECT_EQ(bad, 0U);
    EXPECT_EQ(good, 200U);
}

TEST_F(Shards, QSCD_21_AStartGoesOnWithoutOne) {
    deployment.stop();
    const auto folder = folder_of(2);
    fs::rename(folder, hidden());
    deployment.start();
    EXPECT_THAT(deployment.qscd({"status"}).out, HasSubstr("NOT USABLE"));
    EXPECT_EQ(sign(1).status, 200U);
    EXPECT_EQ(sign(2).status, 503U);
    EXPECT_EQ(sign(3).status, 200U);
    fs::rename(hidden(), folder);
    EXPECT_TRUE(eventually([&] { return sign(2).status == 200; }));
}

TEST_F(Shards, QSCD_21_ADrainedOneGetsNoKeysAndSignsOn) {
    deployment.stop();
    change_configuration([](std::string& text) { replace(text, "number = 1\n", "number = 1\naccepts_new = false\n"); });
    deployment.start();
    for (int i = 0; i < 2; ++i) enrol_another();
    EXPECT_EQ(keys(), (std::vector<std::int64_t>{1, 2, 2}));
    EXPECT_EQ(sign(1).status, 200U);
}

TEST_F(Shards, QSCD_20_TokensThatWereExchangedAreNotUsed) {
    deployment.stop();
    change_configuration([](std::string& text) {  // the tables' order means nothing, their content does
        replace(text, label_of(2), "exchanged");
        replace(text, label_of(3), label_of(2));
        replace(text, "exchanged", label_of(3));
    });
    deployment.start();
    EXPECT_EQ(sign(1).status, 200U);
    EXPECT_EQ(sign(2).status, 503U);
    EXPECT_EQ(sign(3).status, 503U);
    EXPECT_THAT(deployment.https("GET", "/health/ready").body, HasSubstr(R"("absent_shards":[2,3])"));
}

TEST_F(Shards, QSCD_14_AKeyThatARestoredTokenBringsBackIsDestroyedAgain) {
    deployment.stop();
    const auto folder = folder_of(1), copy = deployment.top() / "copy";
    fs::copy(folder, copy, fs::copy_options::recursive);
    deployment.start();
    const auto id = credentials[0].id;
    const Evidence evidence{deployment};
    deployment.answer({"credential", "destroy", id, "--reason", "revoked"});
    EXPECT_EQ(evidence.count("key-destroyed"), 1U);
    deployment.stop();
    fs::remove_all(folder);
    fs::rename(copy, folder);
    deployment.start();
    EXPECT_TRUE(eventually([&] { return evidence.count("key-destroyed") == 2; }));
    for (const auto& record : evidence.records())
        if (record.type == "key-destroyed" && record.actor == "samd" && record.fields.contains("reason"))
            EXPECT_EQ(record.fields.at("reason"), "it was in the token again");
    const auto code = signers[0]->fresh_code();
    const auto refused = portal->authorise(id, {hash_numbered(1)}, {signers[0]->pin(), "TOTP", code});
    EXPECT_EQ(refused.status, 400U) << refused;
    EXPECT_NE(deployment.qscd({"credential", "enable", id, "--reason", "a mistake"}).exit_code, 0);
    EXPECT_EQ(sign(2).status, 200U);
}

}  // namespace
}  // namespace qscd::integration
