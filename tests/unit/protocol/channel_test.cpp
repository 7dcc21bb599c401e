#include "protocol/channel.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/request_id.hpp"
#include "protocol/papers.pb.h"

namespace qscd::protocol {
namespace {

using namespace std::chrono_literals;

std::pair<Descriptor, Descriptor> socket_pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

pb::Subject named(const std::string& name) {
    pb::Subject out;
    out.set_common_name(name);
    return out;
}

struct ChannelTest : ::testing::Test {
    Client client{"echo"};
    std::vector<Responder> kept;
    Server server{[this](const std::string& role, ByteView request, const Responder& responder) {
        const auto asked = decode<pb::Subject>(request);
        if (!asked) return responder.fail(asked.error());
        if (asked.value().common_name() == "request") return responder.answer(named(current_request()->hex()));
        if (asked.value().common_name() == "silence") return kept.push_back(responder);
        if (asked.value().common_name() == "refuse")
            return responder.fail({Errc::parameter_invalid, "why", {"string", "name"}});
        responder.answer(named(role + ":" + asked.value().common_name()));
    }};
    void connect() {
        auto [near, far] = socket_pair();
        server.serve(std::move(far), "anna");
        client.connect(std::move(near));
    }
};

TEST_F(ChannelTest, AnswersUnderTheRoleOfTheConnection) {
    connect();
    EXPECT_EQ(client.call<pb::Subject>(named("x")).value().common_name(), "anna:x");
}

TEST_F(ChannelTest, AUD_02_TheRequestIdTravelsAlong) {
    connect();
    const auto first = new_request_id(), second = new_request_id();
    for (const auto& id : {first, second, first}) {
        const RequestScope scope{id};
        EXPECT_EQ(client.call<pb::Subject>(named("request")).value().common_name(), id.hex());
    }
}

TEST_F(ChannelTest, AUD_02_WhoeverHasNoRequestIdIsGivenOneForEachRequest) {
    connect();
    const auto first = client.call<pb::Subject>(named("request")).value().common_name();
    const auto second = client.call<pb::Subject>(named("request")).value().common_name();
    EXPECT_EQ(first.size(), 32U);
    EXPECT_NE(first, std::string(32, '0'));
    EXPECT_NE(first, second);
}

TEST_F(ChannelTest, AnErrorTravelsWhole) {
    connect();
    const auto refused = client.call<pb::Subject>(named("refuse"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::parameter_invalid);
    EXPECT_EQ(refused.error().detail, "why");
    EXPECT_EQ(refused.error().parameter.name, "name");
}

TEST_F(ChannelTest, WithoutAConnectionOrAnAnswerTheServiceIsAway) {
    EXPECT_EQ(client.call<pb::Subject>(named("x")).error().code, Errc::service_away);
    connect();
    EXPECT_EQ(client.call<pb::Subject>(named("silence"), 20ms).error().code, Errc::service_away);
    EXPECT_TRUE(client.call<pb::Subject>(named("x"))) << "one that is late does not hold up the others";
}

TEST_F(ChannelTest, ANewConnectionTakesOver) {
    connect();
    connect();
    EXPECT_EQ(client.call<pb::Subject>(named("x")).value().common_name(), "anna:x");
    server.stop();
    EXPECT_EQ(client.call<pb::Subject>(named("x")).error().code, Errc::service_away);
}

TEST_F(ChannelTest, AFrameIsSentUpToTheLimitAndNotBeyond) {
    connect();
    const auto overhead = encode(named(std::string(60'000, 'x'))).size() - 60'000;
    EXPECT_EQ(client.exchange(Bytes(frame_limit + 1)).error().code, Errc::internal);
    EXPECT_TRUE(client.call<pb::Subject>(named(std::string(frame_limit - overhead - 16, 'x'))));
}

TEST_F(ChannelTest, AFrameBeyondTheLimitEndsTheConnectionUnread) {
    auto [near, far] = socket_pair();
    server.serve(std::move(far), "boris");
    const std::uint8_t head[29] = {0x7f, 0xff, 0xff, 0xff};
    ASSERT_EQ(::send(near.get(), head, sizeof head, MSG_NOSIGNAL), 29);
    std::uint8_t none;
    EXPECT_EQ(::recv(near.get(), &none, 1, 0), 0);
}

TEST(Message, T_41_HasOneEncodingOnly) {
    const auto bytes = encode(named("Anna"));
    ASSERT_TRUE(decode<pb::Subject>(bytes));
    auto twice = bytes;
    twice.insert(twice.end(), bytes.begin(), bytes.end());
    EXPECT_FALSE(decode<pb::Subject>(twice)) << "a field given twice";
    auto unknown = bytes;
    unknown.insert(unknown.end(), {0x78, 0x01});
    EXPECT_FALSE(decode<pb::Subject>(unknown)) << "an unknown field";
    EXPECT_FALSE(decode<pb::Subject>(ByteView{bytes}.first(bytes.size() - 1))) << "cut";
}

}  // namespace
}  // namespace qscd::protocol
