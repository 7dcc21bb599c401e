#include "ca/issuing/publisher.hpp"

#include "base/file.hpp"
#include "ca/issuing/crl.hpp"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

std::uint64_t number_of(const std::string& der) {
    const auto crl = crl_from_der(view_of(der)).value();
    const std::unique_ptr<ASN1_INTEGER, FreeWith<ASN1_INTEGER_free>> number{
        static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl.get(), NID_crl_number, nullptr, nullptr))};
    std::uint64_t out = 0;
    ASN1_INTEGER_get_uint64(&out, number.get());
    return out;
}

// A statusd that remembers, and can be away.
struct Statusd {
    std::mutex lock;
    std::condition_variable changed;
    std::map<std::string, pb::Publish> got;
    bool away = false;
    Result<void> take(const pb::StatusRequest& request) {
        const std::lock_guard guard{lock};
        changed.notify_all();
        if (away) return Error{Errc::service_away, "statusd is not connected"};
        got[request.publish().path()] = request.publish();
        return success();
    }
    bool wait_until(const std::function<bool()>& holds) {
        std::unique_lock guard{lock};
        return changed.wait_for(guard, std::chrono::seconds{20}, holds);
    }
    bool has(const std::string& path) const { return got.contains(path); }
};

struct PublisherTest : ::testing::Test {
    TrialCa ca;
    Statusd statusd;
    std::atomic<bool> token_away = false;
    std::atomic<std::int64_t> seconds = unix_seconds(at(2026, 11, 20));
    struct AtomicClock : Clock {
        explicit AtomicClock(const std::atomic<std::int64_t>& at_seconds) : seconds(at_seconds) {}
        TimePoint now() const override { return from_unix(seconds); }
        const std::atomic<std::int64_t>& seconds;
    } clock{seconds};
    std::unique_ptr<Publisher> publisher;

    void SetUp() override {
        const auto root = sign_crl({*ca.pki.hierarchy.root, 7, clock.now(), clock.now() + root_crl_validity},
                                   *ca.pki.root_key);
        ASSERT_TRUE(write_file(ca.folder / "root.crl", text_of(root.value())));
    }
    void start() {
        publisher = std::make_unique<Publisher>(
            Publisher::Parts{.hierarchy = ca.pki.hierarchy,
                             .register_of_certificates = *ca.certificates,
                             .keys = [this](const Authority& authority) -> Result<std::shared_ptr<EVP_PKEY>> {
                                 if (token_away) return Error{Errc::token_away, "C_Sign"};
                                 return ca.pki.key_of(authority);
                             },
                             .clock = clock,
                             .root_crl = ca.folder / "root.crl",
                             .publish = [this](const pb::StatusRequest& request) { return statusd.take(request); },
                             .patience = std::chrono::milliseconds{10}});
    }
};

TEST_F(PublisherTest, PublishesCertificatesAndListsAtTheStart) {
    start();
    ASSERT_TRUE(statusd.wait_until([&] { return statusd.got.size() == 6; }));
    publisher.reset();
    EXPECT_EQ(statusd.got["/aia/root.cer"].content(), text_of(der_of(*ca.pki.hierarchy.root, i2d_X509)));
    EXPECT_EQ(statusd.got["/aia/lcp.cer"].content(), text_of(der_of(*ca.pki.hierarchy.lcp, i2d_X509)));
    EXPECT_EQ(statusd.got["/aia/qualified.cer"].content_type(), "application/pkix-cert");
    EXPECT_EQ(statusd.got["/crl/root.crl"].content_type(), "application/pkix-crl");
    EXPECT_EQ(number_of(statusd.got["/crl/root.crl"].content()), 7U);
    EXPECT_EQ(number_of(statusd.got["/crl/lcp.crl"].content()), 1U);
    EXPECT_EQ(statusd.got["/crl/qualified.crl"].next_update(), seconds + 72 * 3600);
}

TEST_F(PublisherTest, SignsAnewAfter24HoursAndNotBefore) {
    start();
    ASSERT_TRUE(statusd.wait_until([&] { return statusd.has("/crl/root.crl"); }));
    seconds += 24 * 3600 - 1;
    {
        const std::lock_guard guard{statusd.lock};
        statusd.got.clear();
    }
    publisher->wake();
    ASSERT_TRUE(statusd.wait_until([&] { return statusd.has("/crl/root.crl"); }));
    EXPECT_EQ(number_of(statusd.got["/crl/lcp.crl"].content()), 1U);
    seconds += 1;
    EXPECT_TRUE(statusd.wait_until(
        [&] { return statusd.has("/crl/lcp.crl") && number_of(statusd.got["/crl/lcp.crl"].content()) == 2; }));
}

TEST_F(PublisherTest, TokenAwayPublishesTheRestAndTheListsOnceItIsBack) {
    token_away = true;
    start();
    ASSERT_TRUE(statusd.wait_until([&] { return statusd.has("/crl/root.crl"); }));
    EXPECT_FALSE(statusd.has("/crl/lcp.crl"));
    token_away = false;
    EXPECT_TRUE(statusd.wait_until([&] { return statusd.has("/crl/lcp.crl") && statusd.has("/crl/qualified.crl"); }));
}

TEST_F(PublisherTest, StatusdThatComesLaterGetsEverything) {
    statusd.away = true;
    start();
    ASSERT_TRUE(statusd.wait_until([&] { return true; }));
    {
        const std::lock_guard guard{statusd.lock};
        statusd.away = false;
    }
    publisher->wake();
    EXPECT_TRUE(statusd.wait_until([&] { return statusd.got.size() == 6; }));
}

}  // namespace
}  // namespace qscd::ca
