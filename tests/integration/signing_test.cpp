// The main job over real HTTPS with the real daemons: each kind of credential signs, OpenSSL says that it did.
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "base/file.hpp"
#include "tests/integration/cast.hpp"
#include "tests/integration/signature_check.hpp"

namespace qscd::integration {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage{true});

// The certificate as credentials/info gives it, and nothing else, is what a portal has.
std::vector<X509Cert> chain_of(const Portal& portal, const std::string& credential) {
    const auto info = portal.call("credentials/info", {{"credentialID", credential}, {"certificates", "chain"}});
    std::vector<X509Cert> out;
    const auto certificates = info.object().object("cert").value().strings("certificates", 10, 100'000);
    for (const auto& each : certificates.value())
        out.push_back(certificate_from_der(from_base64(each).value()).value());
    return out;
}

struct Way {
    const char* name;
    const Credential& (*credential)(Cast&);
    Scheme scheme;
    HashAlgorithm hash;
    const char *algorithm, *hash_algorithm, *parameters;
};
std::ostream& operator<<(std::ostream& out, const Way& way) { return out << way.name; }

const Credential& anna_qscd(Cast& cast) { return cast.anna_qscd; }
const Credential& anna_rsa(Cast& cast) { return *cast.anna_rsa; }
const Credential& anna_lcp(Cast& cast) { return cast.anna_lcp; }
const Credential& boris_sms(Cast& cast) { return cast.boris_sms; }

constexpr auto sha256 = HashAlgorithm::sha256, sha384 = HashAlgorithm::sha384, sha512 = HashAlgorithm::sha512;
constexpr const char *oid_256 = "2.16.840.1.101.3.4.2.1", *oid_384 = "2.16.840.1.101.3.4.2.2",
                     *oid_512 = "2.16.840.1.101.3.4.2.3";
// RSASSA-PSS-params: hash, MGF1 with the same hash, salt as long as the hash.
constexpr const char* pss_256 = "MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEFAKIDAgEg";
constexpr const char* pss_512 = "MDSgDzANBglghkgBZQMEAgMFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgMFAKIDAgFA";

class SigningWay : public testing::TestWithParam<Way> {};

TEST_P(SigningWay, GivesASignatureThatVerifiesWithTheCertificateOfTheCredential) {
    auto& cast = Stage::cast();
    const auto& way = GetParam();
    const auto& credential = way.credential(cast);
    auto& signer = &credential == &cast.boris_sms ? cast.boris : cast.anna;
    const std::vector<Bytes> hashes{hash_numbered(1, way.hash), hash_numbered(2, way.hash), hash_numbered(3, way.hash)};
    const Evidence evidence{cast.deployment};
    const auto sad = cast.portal_1.sad_for(signer, credential, hashes, way.hash);
    const auto signatures = cast.portal_1
                                .sign({credential.id, sad, hashes, way.algorithm, way.hash_algorithm, way.parameters})
                                .signatures();
    const auto chain = chain_of(cast.portal_1, credential.id);
    ASSERT_EQ(signatures.size(), hashes.size());
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        EXPECT_TRUE(is_signature(*chain.front(), way.scheme, way.hash, hashes[i], signatures[i])) << i;
        EXPECT_FALSE(is_signature(*chain.front(), way.scheme, way.hash, hashes[(i + 1) % 3], signatures[i])) << i;
    }
    EXPECT_EQ(evidence.intents(), 1U);
    EXPECT_EQ(evidence.count("signed"), 1U);
}
INSTANTIATE_TEST_SUITE_P(
    All, SigningWay,
    testing::Values(Way{"EcdsaSha256", anna_qscd, Scheme::ecdsa, sha256, "1.2.840.10045.4.3.2", "", ""},
                    Way{"EcdsaSha384", anna_qscd, Scheme::ecdsa, sha384, "1.2.840.10045.4.3.3", "", ""},
                    Way{"EcdsaSha512", anna_qscd, Scheme::ecdsa, sha512, "1.2.840.10045.4.3.4", "", ""},
                    Way{"EcdsaKeyOidAndHashOid", anna_qscd, Scheme::ecdsa, sha256, "1.2.840.10045.2.1", oid_256, ""},
                    Way{"EcdsaLcp", anna_lcp, Scheme::ecdsa, sha256, "1.2.840.10045.4.3.2", "", ""},
                    Way{"EcdsaWithSmsCode", boris_sms, Scheme::ecdsa, sha256, "1.2.840.10045.4.3.2", "", ""},
                    Way{"RsaKeyOidAndSha256", anna_rsa, Scheme::rsa_pkcs1, sha256, "1.2.840.113549.1.1.1", oid_256, ""},
                    Way{"RsaKeyOidAndSha384", anna_rsa, Scheme::rsa_pkcs1, sha384, "1.2.840.113549.1.1.1", oid_384, ""},
                    Way{"RsaKeyOidAndSha512", anna_rsa, Scheme::rsa_pkcs1, sha512, "1.2.840.113549.1.1.1", oid_512, ""},
                    Way{"RsaSha256", anna_rsa, Scheme::rsa_pkcs1, sha256, "1.2.840.113549.1.1.11", "", ""},
                    Way{"RsaSha384", anna_rsa, Scheme::rsa_pkcs1, sha384, "1.2.840.113549.1.1.12", "", ""},
                    Way{"RsaSha512", anna_rsa, Scheme::rsa_pkcs1, sha512, "1.2.840.113549.1.1.13", "", ""},
                    Way{"PssSha256", anna_rsa, Scheme::rsa_pss, sha256, "1.2.840.113549.1.1.10", "", pss_256},
                    Way{"PssSha512", anna_rsa, Scheme::rsa_pss, sha512, "1.2.840.113549.1.1.10", "", pss_512}),
    [](const auto& info) { return std::string{info.param.name}; });

// The value of the answer's X-Request-Id.
std::string request_of(const Answer& answer) {
    const auto found = std::ranges::find(answer.headers, "x-request-id", &net::Headers::value_type::first);
    return found != answer.headers.end() ? found->second : "";
}

TEST(Signing, AUD_02_TheIdOfTheAnswerStandsInEachRecordThatTheRequestCaused) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1)};
    const Evidence evidence{cast.deployment};
    const auto authorised = cast.portal_1.authorise(cast.anna_qscd.id, hashes,
                                                    {cast.anna.pin(), "TOTP", cast.anna.fresh_code()});
    ASSERT_EQ(authorised.status, 200U) << authorised;
    const SigningRequest request{cast.anna_qscd.id, authorised.text("SAD"), hashes};
    const std::string foreign = "0123456789abcdef0123456789abcdef";
    const auto answer = cast.portal_1.sign(request, {{"X-Request-Id", foreign}});
    const auto repeated = cast.portal_1.sign(request, {{"X-Request-Id", foreign}});
    ASSERT_EQ(answer.status, 200U) << answer;
    EXPECT_EQ(repeated.status, 400U);
    for (const auto& each : {authorised, answer, repeated})
        EXPECT_THAT(request_of(each), testing::MatchesRegex("[0-9a-f]{32}"));

    std::map<std::string, std::vector<std::string>> caused;  // types, by request
    for (const auto& record : evidence.records()) caused[record.request].push_back(record.type);
    EXPECT_THAT(caused[request_of(authorised)], testing::ElementsAre("factors-spent", "authorised"));
    EXPECT_THAT(caused[request_of(answer)], testing::ElementsAre("sign-intent", "signed"));
    EXPECT_THAT(caused[request_of(repeated)], testing::ElementsAre("refused"));
    EXPECT_FALSE(caused.contains(foreign)) << "what a portal calls its request is not the request's id";

    const auto listed = cast.deployment.qscd({"audit", "list", "--request", request_of(answer)});
    EXPECT_EQ(std::ranges::count(listed.out, '\n'), 2) << listed.out;
    const auto lines = read_file(cast.deployment.in("log/gatewayd.log")).value();
    EXPECT_THAT(lines, HasSubstr("\"request_id\":\"" + request_of(answer) + '"'));
    EXPECT_THAT(lines, HasSubstr("\"portal_request\":\"" + foreign + '"'));
}

TEST(Signing, AUD_02_ACommandOfTheOwnerIsARequestToo) {
    auto& cast = Stage::cast();
    const Evidence evidence{cast.deployment};
    for (const auto* change : {"disable", "enable"})
        EXPECT_EQ(cast.deployment.qscd({"credential", change, cast.anna_lcp.id, "--reason", "a test"}).exit_code, 0);
    const auto records = evidence.records();
    ASSERT_EQ(records.size(), 2U);
    EXPECT_THAT(records[0].request, testing::MatchesRegex("[0-9a-f]{32}"));
    EXPECT_THAT(records[1].request, testing::MatchesRegex("[0-9a-f]{32}"));
    EXPECT_NE(records[0].request, records[1].request);
}

TEST(Signing, ShowsEachPortalTheCredentialsOfItsSignersAndHowTheyAreUsed) {
    auto& cast = Stage::cast();
    const auto list = cast.portal_1.call("credentials/list", {{"userID", "anna"}}).object();
    EXPECT_THAT(list.strings("credentialIDs", 10, 100).value(),
                testing::UnorderedElementsAre(cast.anna_qscd.id, cast.anna_lcp.id, cast.anna_rsa->id));
    const auto sms = cast.portal_2.call("credentials/info", {{"credentialID", cast.boris_sms.id}, {"authInfo", true}});
    const auto auth = sms.object().object("auth").value();
    EXPECT_EQ(auth.string("mode", 100).value(), "explicit");
    EXPECT_EQ(auth.string("expression", 100).value(), "PIN AND SMS");
    const auto page = cast.portal_2.call("credentials/info",
                                         {{"credentialID", cast.boris_page.id}, {"authInfo", true}});
    EXPECT_EQ(page.object().object("auth").value().string("mode", 100).value(), "oauth2code");
}

TEST(Signing, TakesHashesInAnyOrderPartNowAndTheRestLater) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1), hash_numbered(2), hash_numbered(3)};
    const auto certificate = cast.anna_qscd.parsed();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    const auto first = cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[2], hashes[0]}}).signatures();
    EXPECT_TRUE(is_signature(*certificate, Scheme::ecdsa, sha256, hashes[2], first.at(0)));
    EXPECT_TRUE(is_signature(*certificate, Scheme::ecdsa, sha256, hashes[0], first.at(1)));
    const auto rest = cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[1]}}).signatures();
    EXPECT_TRUE(is_signature(*certificate, Scheme::ecdsa, sha256, hashes[1], rest.at(0)));
    for (const auto& hash : hashes)
        EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {hash}}).description,
                  "Hash is not authorized by the SAD");
}

TEST(Signing, CountsEqualHashesAsOftenAsTheyWereAuthorised) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> twice{hash_numbered(7), hash_numbered(7)};
    const auto certificate = cast.anna_qscd.parsed();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, twice);
    const Evidence evidence{cast.deployment};
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {twice[0], twice[0], twice[0]}}).description,
              "Hash is not authorized by the SAD");
    EXPECT_EQ(evidence.intents(), 0U);
    const auto both = cast.portal_1.sign({cast.anna_qscd.id, sad, twice}).signatures();
    EXPECT_EQ(both.size(), 2U);
    for (const auto& signature : both)
        EXPECT_TRUE(is_signature(*certificate, Scheme::ecdsa, sha256, twice[0], signature));
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {twice[0]}}).description,
              "Hash is not authorized by the SAD");
}

TEST(Signing, SignsAHundredHashesAtOnce) {
    auto& cast = Stage::cast();
    std::vector<Bytes> hashes;
    for (unsigned i = 0; i < 100; ++i) hashes.push_back(hash_numbered(i));
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    const auto signatures = cast.portal_1.sign({cast.anna_qscd.id, sad, hashes}).signatures();
    const auto certificate = cast.anna_qscd.parsed();
    ASSERT_EQ(signatures.size(), 100U);
    for (std::size_t i = 0; i < 100; ++i)
        ASSERT_TRUE(is_signature(*certificate, Scheme::ecdsa, sha256, hashes[i], signatures[i])) << i;
}

TEST(Signing, OfManyEqualRequestsAtOnceOneSignsAndTheOthersAreRefused) {
    auto& cast = Stage::cast();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    const Evidence evidence{cast.deployment};
    const auto answers = cast.portal_1.call_at_once(
        "signatures/signHash", SigningRequest{cast.anna_qscd.id, sad, {hash_numbered(1)}}.body(), 8);
    EXPECT_EQ(std::ranges::count(answers, 200U, &Answer::status), 1);
    EXPECT_EQ(std::ranges::count(answers, "Hash is not authorized by the SAD", &Answer::description), 7);
    EXPECT_EQ(evidence.intents(), 1U);
}

TEST(Signing, OfManyAuthorisationsAtOnceWithOneCodeOneGetsASadToken) {
    auto& cast = Stage::cast();
    const Factors factors{cast.anna.pin(), "TOTP", cast.anna.fresh_code()};
    const auto answers = cast.portal_1.call_at_once(
        "credentials/authorize", Portal::authorisation(cast.anna_qscd.id, {hash_numbered(1)}, factors), 8);
    EXPECT_EQ(std::ranges::count(answers, 200U, &Answer::status), 1);
    EXPECT_EQ(std::ranges::count(answers, "invalid_authentication_data", &Answer::error), 7);
}

TEST(Signing, RefusesPssParametersThatAreNotThoseOfTheHash) {
    auto& cast = Stage::cast();
    const auto sad = cast.portal_1.sad_for(cast.anna, *cast.anna_rsa, {hash_numbered(1)});
    const Evidence evidence{cast.deployment};
    const auto description = [&](const std::string& parameters, const char* algorithm = "1.2.840.113549.1.1.10") {
        return cast.portal_1.sign({cast.anna_rsa->id, sad, {hash_numbered(1)}, algorithm, "", parameters}).description;
    };
    std::string other_salt{pss_256};
    other_salt.replace(other_salt.size() - 4, 4, "AgEU");  // 20 bytes
    EXPECT_EQ(description(""), "Missing (or invalid type) string parameter signAlgoParams");
    EXPECT_EQ(description("MAA="), "Invalid parameter signAlgoParams") << "the defaults are SHA-1";
    EXPECT_EQ(description("*"), "Invalid parameter signAlgoParams");
    EXPECT_EQ(description(other_salt), "Invalid parameter signAlgoParams");
    EXPECT_EQ(description(pss_512), "Invalid parameter signAlgoParams") << "the hash has 32 bytes";
    EXPECT_EQ(description("", "1.2.840.10045.4.3.2"), "Invalid parameter signAlgo") << "for another kind of key";
    EXPECT_EQ(evidence.intents(), 0U);
    EXPECT_EQ(description(pss_256), "");
}

TEST(Signing, NamesTheDocumentsInTheSmsOrSaysThatNoneAreNamed) {
    auto& cast = Stage::cast();
    const auto last_text = [&] {
        const auto lines = read_file(cast.deployment.in("outbox/sms.jsonl")).value();
        return lines.substr(lines.rfind('\n', lines.size() - 2) + 1);
    };
    ASSERT_EQ(cast.portal_2.challenge(cast.boris_sms.id, {hash_numbered(1), hash_numbered(2)}).status, 204U);
    EXPECT_THAT(last_text(), testing::AllOf(HasSubstr("portal-2"), HasSubstr("2 documents")));
    ASSERT_EQ(cast.portal_2.challenge(cast.boris_sms.id, {}).status, 204U);
    EXPECT_THAT(last_text(), HasSubstr("No documents are named"));
    const auto answer = cast.portal_2.authorise(cast.boris_sms.id, {hash_numbered(5)},
                                                {cast.boris.pin(), "SMS", cast.boris.sent_code()});
    EXPECT_EQ(answer.status, 200U) << answer;
}

TEST(Signing, AnswersARepeatUnderItsIdempotencyKeyWithTheSameBytesAndOneIntent) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1), hash_numbered(2)};
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    const Evidence evidence{cast.deployment};
    const net::Headers key{{"Idempotency-Key", "once-and-no-more"}};
    const auto first = cast.portal_1.sign({cast.anna_qscd.id, sad, hashes}, key);
    ASSERT_EQ(first.status, 200U) << first;
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, hashes}, key), first);
    EXPECT_EQ(evidence.intents(), 1U);
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[0]}}, key).description,
              "Invalid parameter Idempotency-Key");
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, hashes}).description, "Hash is not authorized by the SAD");
    EXPECT_EQ(evidence.intents(), 1U);
}

TEST(Signing, QscdSignAsksForPinAndCodeAtTheTerminalAndShowsNeither) {
    auto& cast = Stage::cast();
    const auto& top = cast.deployment.top();
    const auto file = top / "asked.pdf";
    fs::copy_file(source_folder / "packaging/demo/contract.pdf", file);
    const auto portal = top / "portal.json";
    const boost::json::object known{
        {"base_url_v2", "https://localhost:" + std::to_string(cast.deployment.settings().api.port) + "/csc/v2"},
        {"tls_ca", cast.deployment.in("tls/ca.pem").string()},
        {"trust_root", cast.deployment.in("pki/root.pem").string()},
        {"client_id", "portal-1"},
        {"client_secret", cast.portal_1.secret()}};
    ASSERT_TRUE(write_file(portal, boost::json::serialize(known), 0600));
    const auto code = cast.anna.fresh_code();
    const auto asked = run_at_terminal(
        {QSCD_BINARY, "sign", file, "--portal", portal, "--user", "anna", "--credential", cast.anna_qscd.id},
        {cast.anna.pin(), code});
    EXPECT_EQ(asked.exit_code, 0) << asked.out;
    EXPECT_THAT(asked.out, HasSubstr("CAdES-B-B by CN=anna Test"));
    EXPECT_THAT(asked.out, testing::Not(HasSubstr(cast.anna.pin())));
    EXPECT_THAT(asked.out, testing::Not(HasSubstr(code)));
    EXPECT_TRUE(fs::exists(top / "asked.pdf.p7s"));
}

TEST(Signing, QscdSignMakesAFileThatOpensslAndQscdVerify) {
    auto& cast = Stage::cast();
    const auto& top = cast.deployment.top();
    const auto file = top / "contract.pdf", signature = top / "contract.pdf.p7s";
    fs::copy_file(source_folder / "packaging/demo/contract.pdf", file);
    const auto root = cast.deployment.in("pki/root.pem");
    const auto url = "https://localhost:" + std::to_string(cast.deployment.settings().api.port) + "/csc/v2";
    const auto said = cast.deployment.qscd(
        {"sign",
         file,
         "--url",
         url,
         "--tls-ca",
         cast.deployment.in("tls/ca.pem"),
         "--trust-root",
         root,
         "--client",
         "portal-1",
         "--client-secret-fd",
         "5",
         "--user",
         "anna",
         "--credential",
         cast.anna_qscd.id,
         "--pin-fd",
         "3",
         "--code-fd",
         "4"},
        {{3, cast.anna.pin() + "\n"}, {4, cast.anna.fresh_code() + "\n"}, {5, cast.portal_1.secret() + "\n"}});
    ASSERT_EQ(said.exit_code, 0) << said.err;
    const auto openssl = run_program({"openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in",
                                      signature, "-content", file, "-CAfile", root, "-purpose", "any", "-out",
                                      "/dev/null"});
    EXPECT_EQ(openssl.exit_code, 0) << openssl.err;
    const auto verified = cast.deployment.qscd({"verify", file, "--trust-root", root});
    EXPECT_EQ(verified.exit_code, 0) << verified.err;
    EXPECT_THAT(verified.out, HasSubstr("CAdES-B-B by CN=anna Test"));

    auto text = read_file(file).value();
    text[text.size() / 2] ^= 1;
    ASSERT_TRUE(write_file(file, text));
    EXPECT_NE(cast.deployment.qscd({"verify", file, "--trust-root", root}).exit_code, 0) << "another document";
}

TEST(Signing, CertificatesVerifyStrictlyUpToTheRootWithTheListsThatStatusdServes) {
    auto& cast = Stage::cast();
    const auto& top = cast.deployment.top();
    const auto fetched = [&](const std::string& path) {
        const auto crl = cast.deployment.http("/crl/" + path + ".crl");
        EXPECT_EQ(crl.status, 200U) << path;
        const auto der = top / (path + ".crl"), pem = top / (path + ".crl.pem");
        EXPECT_TRUE(write_file(der, crl.body));
        EXPECT_EQ(run_program({"openssl", "crl", "-inform", "DER", "-in", der, "-out", pem}).exit_code, 0);
        return pem;
    };
    struct Case {
        const Credential& credential;
        const char *issuer, *file;
    };
    for (const auto& [credential, issuer, file] : {Case{cast.anna_qscd, "qualified", "pki/issuing-qualified.pem"},
                                                   Case{*cast.anna_rsa, "qualified", "pki/issuing-qualified.pem"},
                                                   Case{cast.boris_sms, "qualified", "pki/issuing-qualified.pem"},
                                                   Case{cast.anna_lcp, "lcp", "pki/issuing-lcp.pem"}}) {
        for (const char* checks : {"-crl_check", "-crl_check_all"}) {
            const auto said = run_program({"openssl", "verify", "-x509_strict", checks, "-attime",
                                           std::to_string(unix_seconds(cast.deployment.now())), "-CAfile",
                                           cast.deployment.in("pki/root.pem"), "-untrusted", cast.deployment.in(file),
                                           "-CRLfile", fetched(issuer), "-CRLfile", fetched("root"),
                                           credential.certificate});
            EXPECT_EQ(said.exit_code, 0) << checks << said.err << said.out;
        }
    }
}

TEST(Signing, UrlsInCertificatesStartWithThePublicBaseAndLeadToWhatIsServed) {
    auto& cast = Stage::cast();
    const std::string base = "http://pki.qscd-test.example";  // as the policy says
    for (const auto* credential : {&cast.anna_qscd, &cast.anna_lcp, &cast.boris_page}) {
        const auto text = run_program({"openssl", "x509", "-in", credential->certificate, "-noout", "-text"}).out;
        std::size_t found = 0;
        for (auto at = text.find("URI:"); at != std::string::npos; at = text.find("URI:", at + 1)) {
            const auto url = text.substr(at + 4, text.find_first_of(" \n", at) - at - 4);
            ASSERT_THAT(url, StartsWith(base + "/"));
            EXPECT_EQ(cast.deployment.http(url.substr(base.size())).status, 200U) << url;
            ++found;
        }
        EXPECT_GE(found, 2U) << "a CRL and the issuer's certificate";
    }
}

TEST(Signing, ASadTokenOutlivesTheProcessThatGaveItAndStaysUsedWhereItWasUsed) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1), hash_numbered(2)};
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    const net::Headers key{{"Idempotency-Key", "before-the-kill"}};
    const auto first = cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[0]}}, key);
    ASSERT_EQ(first.status, 200U) << first;
    cast.deployment.kill_daemons({"samd"});
    ASSERT_TRUE(eventually([&] { return cast.serves(); }));
    const Evidence evidence{cast.deployment};
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[0]}}).description,
              "Hash is not authorized by the SAD");
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[0]}}, key), first)
        << "the same bytes after a restart";
    EXPECT_EQ(evidence.intents(), 0U);
    const auto rest = cast.portal_1.sign({cast.anna_qscd.id, sad, {hashes[1]}});
    EXPECT_TRUE(is_signature(*cast.anna_qscd.parsed(), Scheme::ecdsa, sha256, hashes[1], rest.signatures().at(0)));
}

TEST(Signing, EverythingGoesOnAfterACompleteStopAndStart) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1)};
    const auto used_code = cast.anna.fresh_code();
    const auto sad = cast.portal_1.authorise(cast.anna_qscd.id, hashes, {cast.anna.pin(), "TOTP", used_code});
    ASSERT_EQ(sad.status, 200U) << sad;
    cast.deployment.stop();
    cast.deployment.start();
    EXPECT_EQ(cast.portal_1.authorise(cast.anna_qscd.id, hashes, {cast.anna.pin(), "TOTP", used_code}).error,
              "invalid_authentication_data")
        << "a code is good once, also across a restart";
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad.text("SAD"), hashes}).status, 200U);
    for (const auto* credential : {&cast.anna_qscd, &cast.anna_lcp, &*cast.anna_rsa}) {
        const auto rsa = credential->key != "P-256";
        const auto again = cast.portal_1.sad_for(cast.anna, *credential, hashes);
        const auto signatures = cast.portal_1
                                    .sign({credential->id, again, hashes,
                                           rsa ? "1.2.840.113549.1.1.11" : "1.2.840.10045.4.3.2"})
                                    .signatures();
        EXPECT_TRUE(is_signature(*credential->parsed(), rsa ? Scheme::rsa_pkcs1 : Scheme::ecdsa, sha256, hashes[0],
                                 signatures.at(0)));
    }
    const auto boris = cast.portal_2.sad_for(cast.boris, cast.boris_sms, hashes);
    EXPECT_EQ(cast.portal_2.sign({cast.boris_sms.id, boris, hashes}).status, 200U);
}

}  // namespace
}  // namespace qscd::integration
