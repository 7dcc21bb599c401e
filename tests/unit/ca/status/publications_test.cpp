#include "ca/status/publications.hpp"

#include "base/file.hpp"
#include "ca/status/requests.hpp"
#include "protocol/message.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

constexpr const char *crl = "application/pkix-crl", *cer = "application/pkix-cert";

struct PublicationsTest : ::testing::Test {
    Folder folder;
    std::unique_ptr<Publications> publications = Publications::open(folder / "published").value();
    const TimePoint now = at(2026, 11, 20);
    Result<void> publish(std::string_view path, std::string_view type, std::string_view content,
                         std::int64_t next = 0) {
        return publications->publish(path, type, content, next, now);
    }
};

TEST_F(PublicationsTest, SurviveARestart) {
    const std::string content{"\0\n\xff bytes", 9};
    ASSERT_TRUE(publish("/crl/qualified.crl", crl, content, unix_seconds(now) + 100));
    ASSERT_TRUE(publish("/aia/root.cer", cer, "root"));
    const auto before = publications->find("/crl/qualified.crl");
    publications = Publications::open(folder / "published").value();
    const auto after = publications->find("/crl/qualified.crl");
    ASSERT_TRUE(after);
    EXPECT_EQ(after->content, content);
    EXPECT_EQ(after->content_type, crl);
    EXPECT_EQ(after->etag, before->etag);
    EXPECT_EQ(after->modified, now);
    EXPECT_EQ(after->next_update, now + std::chrono::seconds{100});
    EXPECT_FALSE(publications->find("/aia/root.cer")->next_update);
}

TEST_F(PublicationsTest, NewContentReplacesOldAndOnlyThenIsModified) {
    ASSERT_TRUE(publish("/crl/lcp.crl", crl, "one"));
    const auto first = publications->find("/crl/lcp.crl");
    ASSERT_TRUE(publications->publish("/crl/lcp.crl", crl, "one", 0, now + std::chrono::hours{1}));
    EXPECT_EQ(publications->find("/crl/lcp.crl")->modified, now);
    ASSERT_TRUE(publications->publish("/crl/lcp.crl", crl, "two", 0, now + std::chrono::hours{2}));
    EXPECT_EQ(publications->find("/crl/lcp.crl")->modified, now + std::chrono::hours{2});
    EXPECT_NE(publications->find("/crl/lcp.crl")->etag, first->etag);
    EXPECT_EQ(first->content, "one");  // who reads the old one reads on
}

TEST_F(PublicationsTest, OnlyPathsOfOursAreTaken) {
    for (const auto* path :
         {"", "/", "/crl/", "/crl/.crl", "/crl/a.cer", "/aia/a.crl", "/crl/A.crl", "/crl/a_b.crl", "/crl/a/b.crl",
          "/crl/../x.crl", "crl/a.crl", "/crl/a.crl/", "/crl/a.crl.new", "/ocsp", "/crl/%61.crl", "/x/a.crl"}) {
        const auto verdict = publish(path, crl, "x");
        ASSERT_FALSE(verdict) << path;
        EXPECT_EQ(verdict.error().code, Errc::parameter_invalid);
    }
    EXPECT_FALSE(publish("/crl/" + std::string(65, 'a') + ".crl", crl, "x"));
    EXPECT_TRUE(publish("/crl/" + std::string(64, 'a') + ".crl", crl, "x"));
    EXPECT_FALSE(publish("/crl/a.crl", cer, "x"));
    EXPECT_FALSE(publish("/crl/a.crl", "text/html", "x"));
    EXPECT_FALSE(publish("/crl/a.crl", crl, ""));
    EXPECT_EQ(publications->size(), 1U);
}

TEST_F(PublicationsTest, AFileThatIsNoneOfOursIsNotServed) {
    ASSERT_TRUE(write_file(folder / "published/crl/bad.crl", "rubbish"));
    ASSERT_TRUE(write_file(folder / "published/crl/good.crl.new", "qscd-publication 1 1 0\nx"));
    ASSERT_TRUE(write_file(folder / "published/crl/other.crl", "qscd-publication 2 1 0\nx"));
    publications = Publications::open(folder / "published").value();
    EXPECT_EQ(publications->size(), 0U);
}

struct StatusRequestsTest : PublicationsTest {
    FixedClock clock{now};
    StatusRequests requests{*publications, clock};
    pb::StatusRequest publish_request() const {
        pb::StatusRequest out;
        out.mutable_publish()->set_path("/crl/lcp.crl");
        out.mutable_publish()->set_content_type(crl);
        out.mutable_publish()->set_content("list");
        return out;
    }
};

TEST_F(StatusRequestsTest, OnlyTheCaPublishes) {
    const auto request = protocol::encode(publish_request());
    for (const auto* role : {"bootstrap", "gatewayd", "samd", "rad", ""}) {
        const auto verdict = requests.answer(role, request);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Errc::access_denied);
    }
    EXPECT_EQ(publications->size(), 0U);
    const auto done = requests.answer("cad", request);
    ASSERT_TRUE(done);
    EXPECT_NE(dynamic_cast<const pb::Done*>(done.value().get()), nullptr);
    EXPECT_EQ(publications->find("/crl/lcp.crl")->content, "list");
}

TEST_F(StatusRequestsTest, HealthForOurOwn) {
    pb::StatusRequest request;
    request.mutable_health();
    for (const auto* role : {"bootstrap", "gatewayd", "cad"})
        EXPECT_TRUE(requests.answer(role, protocol::encode(request)));
    EXPECT_FALSE(requests.answer("samd", protocol::encode(request)));
    EXPECT_FALSE(requests.answer("cad", protocol::encode(pb::StatusRequest{})));
}

}  // namespace
}  // namespace qscd::ca
