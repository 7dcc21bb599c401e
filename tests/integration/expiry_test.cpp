// Five years later. A deployment of its own, because the clock does not come back.
#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

TEST(Expiry, ACertificateSignsToItsLastMomentAndNeverAfter) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1)};
    std::tm parts{};
    const auto certificate = cast.anna_qscd.parsed();
    ASSERT_EQ(ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts), 1);
    const auto end = from_unix(::timegm(&parts));
    EXPECT_GT(end - cast.deployment.now(), std::chrono::hours{24 * 365 * 5 - 48});

    constexpr std::chrono::seconds moment{100};
    cast.deployment.advance(end - cast.deployment.now() - moment);
    const Portal portal{cast.deployment, "portal-3", {"anna"}};
    const auto first = portal.sad_for(cast.anna, cast.anna_qscd, hashes);
    EXPECT_EQ(portal.sign({cast.anna_qscd.id, first, hashes}).status, 200U);
    const auto late = portal.sad_for(cast.anna, cast.anna_qscd, hashes);

    cast.deployment.advance(end - cast.deployment.now() + std::chrono::seconds{1});
    auto expected = from_sam(invalid_request("Signing certificate is expired", "certificate_expired"));
    expected.client = "portal-3";
    {
        const Evidence evidence{cast.deployment};
        expect_refusal(evidence, portal.sign({cast.anna_qscd.id, late, hashes}), expected);
    }
    {
        const Evidence evidence{cast.deployment};
        expect_refusal(evidence,
                       portal.authorise(cast.anna_qscd.id, hashes, {cast.anna.pin(), "TOTP", cast.anna.fresh_code()}),
                       expected);
    }
    const auto info = portal.call("credentials/info", {{"credentialID", cast.anna_qscd.id}}).object();
    EXPECT_EQ(info.object("key").value().string("status", 100).value(), "disabled");
    EXPECT_EQ(info.object("cert").value().string("status", 100).value(), "expired");
    const auto valid = portal.call("credentials/list", {{"userID", "anna"}, {"onlyValid", true}}).object();
    const auto ids = valid.strings("credentialIDs", 10, 100);
    EXPECT_EQ(std::ranges::count(ids.value(), cast.anna_qscd.id), 0);
    EXPECT_EQ(portal.sign({cast.anna_qscd.id, first, hashes}).description, "Signing certificate is expired");
}

TEST(Expiry, AfterARestartTheSamePersonCanEnrolAndSignAgain) {
    auto& cast = Stage::cast();
    cast.deployment.stop();
    cast.deployment.start();
    const auto credential = cast.anna.enrol("qscd-totp");
    const Portal portal{cast.deployment, "portal-4", {"anna"}};
    const auto sad = portal.sad_for(cast.anna, credential, {hash_numbered(1)});
    EXPECT_EQ(portal.sign({credential.id, sad, {hash_numbered(1)}}).status, 200U);
}

}  // namespace
}  // namespace qscd::integration
