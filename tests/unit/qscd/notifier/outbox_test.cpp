#include "qscd/notifier/outbox.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/json/object.hpp"
#include "protocol/message.hpp"
#include "protocol/services.pb.h"
#include "qscd/notifier/requests.hpp"

namespace qscd::notifier {
namespace {

struct OutboxTest : ::testing::Test {
    std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                   ("qscd-outbox-" + std::to_string(::getpid()));
    Outbox outbox{folder / "outbox"};
    FixedClock clock{from_unix(1'795'000'000)};
    NotifierRequests requests{outbox, clock};
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::string content(const char* file) {
        const auto text = read_file(folder / "outbox" / file);
        return text ? text.value() : "";
    }
    Result<NotifierRequests::Reply> notify(std::string_view role, pb::Notify::Channel channel, std::string to,
                                           std::string text) {
        pb::NotifierRequest request;
        request.mutable_notify()->set_channel(channel);
        request.mutable_notify()->set_to(std::move(to));
        request.mutable_notify()->set_text(std::move(text));
        return requests.answer(role, protocol::encode(request));
    }
    Errc code_of(const Result<NotifierRequests::Reply>& result) { return result ? Errc{} : result.error().code; }
};

TEST_F(OutboxTest, AppendsOneJsonLineAMessage) {
    ASSERT_TRUE(notify("samd", pb::Notify::SMS, "+436601234567", "Your code: 123456\n\"quoted\""));
    ASSERT_TRUE(notify("rad", pb::Notify::SMS, "+436601234568", "Zweiter Ä"));
    ASSERT_TRUE(notify("rad", pb::Notify::MAIL, "anna@qscd-test.example", "Welcome"));
    const auto lines = content("sms.jsonl");
    const auto end = lines.find('\n');
    const auto first = json::Object::parse(lines.substr(0, end)).value();
    EXPECT_EQ(first.string("time", 100).value(), "2026-11-18T11:06:40Z");
    EXPECT_EQ(first.string("to", 100).value(), "+436601234567");
    EXPECT_EQ(first.string("text", 1000).value(), "Your code: 123456\n\"quoted\"");
    EXPECT_EQ(json::Object::parse(lines.substr(end + 1, lines.size() - end - 2)).value().string("text", 1000).value(),
              "Zweiter Ä");
    EXPECT_EQ(std::ranges::count(content("mail.jsonl"), '\n'), 1);
}

TEST_F(OutboxTest, NobodyElseReadsIt) {
    ASSERT_TRUE(notify("samd", pb::Notify::SMS, "+436601234567", "code"));
    struct stat status{};
    ASSERT_EQ(::stat((folder / "outbox/sms.jsonl").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(OutboxTest, WhatCannotBeSentIsRefused) {
    for (const auto* phone :
         {"", "06601234567", "+", "+1234567", "+1234567890123456", "+0123456789", "+43 660 1234", "anna@a.example"})
        EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, phone, "x")), Errc::parameter_invalid) << phone;
    for (const auto* address : {"", "anna", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: c@d"})
        EXPECT_EQ(code_of(notify("rad", pb::Notify::MAIL, address, "x")), Errc::parameter_invalid) << address;
    EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, "+436601234567", "")), Errc::parameter_invalid);
    EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, "+436601234567", std::string(1001, 'x'))),
              Errc::parameter_invalid);
    EXPECT_EQ(content("sms.jsonl"), "");
    EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, "+436601234567", std::string(1000, 'x'))), Errc{});
    EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, "+12345678", "x")), Errc{});
    EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, "+123456789012345", "x")), Errc{});
}

TEST_F(OutboxTest, OnlyTheSamAndTheRegistrationSend) {
    for (const auto* role : {"bootstrap", "gatewayd", "cad", ""})
        EXPECT_EQ(code_of(notify(role, pb::Notify::SMS, "+436601234567", "x")), Errc::access_denied) << role;
    EXPECT_EQ(content("sms.jsonl"), "");
    pb::NotifierRequest health;
    health.mutable_health();
    for (const auto* role : {"bootstrap", "gatewayd", "samd", "rad"})
        EXPECT_TRUE(requests.answer(role, protocol::encode(health)));
    EXPECT_EQ(code_of(requests.answer("cad", protocol::encode(health))), Errc::access_denied);
    EXPECT_FALSE(requests.answer("samd", view_of("\xff")));
}

TEST_F(OutboxTest, AStoreThatCannotRecordIsAnError) {
    std::filesystem::create_directories(folder);
    ASSERT_TRUE(write_file(folder / "outbox", "a file where the folder should be"));
    EXPECT_EQ(code_of(notify("samd", pb::Notify::SMS, "+436601234567", "x")), Errc::store_away);
    EXPECT_FALSE(outbox.healthy());
}

}  // namespace
}  // namespace qscd::notifier
