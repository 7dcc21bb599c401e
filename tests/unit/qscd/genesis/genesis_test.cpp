// A SAM's keys are made once, whatever interrupted an attempt before; a record is attested, and no paper. On SoftHSM2.
#include "qscd/genesis/genesis.hpp"

#include <gtest/gtest.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "hsm/contents.hpp"
#include "protocol/message.hpp"
#include "protocol/record.pb.h"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::genesis {
namespace {

const auto policy_version = sha256(view_of("policy"));

struct GenesisTest : ::testing::Test {
    hsm::SoftToken place{"genesis"};
    std::shared_ptr<hsm::Module> module = place.load().value();
    std::unique_ptr<hsm::Token> token;

    void SetUp() override {
        ASSERT_TRUE(hsm::SoftToken::initialise(*module, "sam"));
        token = hsm::SoftToken::open(module, "sam").value();
    }
    std::vector<std::string> labels(const std::string& kind) {
        std::vector<std::string> out;
        const auto held = hsm::contents(*token).value();
        for (const auto& each : held)
            if (each.kind == kind) out.push_back(each.label);
        return out;
    }
    void is_whole() {
        EXPECT_EQ(labels("private"), std::vector<std::string>{attestation_key_label});
        EXPECT_EQ(labels("secret"), (std::vector<std::string>{cell_key_label, pin_key_label}));
        EXPECT_EQ(labels("data").size(), 3U) << "two anchors and the genesis";
        const auto anchors = hsm::Anchors::open(*token, anchor_name).value().read().value();
        EXPECT_EQ(anchors.damaged, 0U);
        for (const auto& content : anchors.whole) EXPECT_EQ(content, protocol::encode(pb::Anchor{}));
    }
};

TEST_F(GenesisTest, IsMadeOnceAndReadBack) {
    EXPECT_FALSE(read(*token).value());
    const auto attestation = make(*token, true, policy_version).value();
    is_whole();
    const auto summary = read(*token).value();
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->attestation_key, attestation);
    EXPECT_EQ(summary->policy_version, policy_version);
    EXPECT_TRUE(summary->trial);
    EXPECT_TRUE(token->find_private(summary->attestation_id));
    const auto object = token->read_data(object_label).value();
    EXPECT_EQ(summary->digest, sha256(*object));
    EXPECT_EQ(make(*token, true, policy_version).error().code, Errc::configuration);
    EXPECT_EQ(read(*token).value()->digest, summary->digest) << "and stays as it is";
}

TEST_F(GenesisTest, QSCD_17_KeysOfAnInterruptedAttemptAreMadeAnew) {
    const auto cell = token->generate_hmac_key(random_fixed<CkaId>(), cell_key_label).value();
    const auto attestation = token->generate(KeyKind::p256, random_fixed<CkaId>(), attestation_key_label).value();
    ASSERT_TRUE(make(*token, true, policy_version));
    is_whole();
    EXPECT_EQ(token->find_secret(cell->id()).error().code, Errc::key_gone);
    EXPECT_EQ(token->find_private(attestation.key->id()).error().code, Errc::key_gone);
}

TEST_F(GenesisTest, QSCD_17_AnchorsOfAnInterruptedAttemptAreKept) {
    ASSERT_TRUE(hsm::Anchors::open(*token, anchor_name).value().create(protocol::encode(pb::Anchor{})));
    ASSERT_TRUE(make(*token, true, policy_version));
    is_whole();
}

TEST_F(GenesisTest, AStateThatLivedIsLeftAlone) {
    pb::Anchor anchor;
    anchor.set_epoch(3);
    ASSERT_TRUE(hsm::Anchors::open(*token, anchor_name).value().create(protocol::encode(anchor)));
    const auto key = token->generate_hmac_key(random_fixed<CkaId>(), cell_key_label).value();
    EXPECT_EQ(make(*token, true, policy_version).error().code, Errc::configuration);
    EXPECT_TRUE(token->find_secret(key->id())) << "its genesis may be lost, its keys are not ours to destroy";
}

TEST_F(GenesisTest, ARecordIsAttestedInADomainOfItsOwn) {
    const std::string record = "{\"format\":\"qscd-ceremony 1\"}";
    EXPECT_EQ(attest_record(*token, view_of(record)).error().code, Errc::out_of_order);
    const auto public_key = public_key_from_der(make(*token, true, policy_version).value()).value();
    const auto signature = attest_record(*token, view_of(record)).value();
    auto message = bytes_of(record_domain);
    message.push_back(0);
    message.insert(message.end(), record.begin(), record.end());
    EXPECT_TRUE(verify_message(*public_key, message, signature));
    EXPECT_FALSE(verify_message(*public_key, view_of(record), signature)) << "no bare file is ever signed";
}

}  // namespace
}  // namespace qscd::genesis
