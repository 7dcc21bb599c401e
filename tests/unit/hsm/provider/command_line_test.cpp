// The provider as a module of the real `openssl` command, with keys in a real SoftHSM2 token, the spy before it. What
// openssl makes with them, a plain openssl without the provider verifies. [QSCD-22]
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command.hpp"
#include "key_token.hpp"

namespace qscd::hsm {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Signer {
    const char *name, *key;
    bool pss;
    friend std::ostream& operator<<(std::ostream& out, const Signer& signer) { return out << signer.name; }
};
const std::vector<Signer> signers{
    {"P256", "p256", false}, {"P384", "p384", false}, {"RsaPkcs1", "rsa", false}, {"RsaPss", "rsa", true}};
using Words = std::vector<std::string>;

Words operator+(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

struct CommandLine : ::testing::Test {
    static void SetUpTestSuite() {
        if (token == nullptr) token = std::make_unique<KeyToken>("command-line");
    }
    void SetUp() override {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
        GTEST_SKIP() << "the openssl program has no address sanitizer, so it cannot load a library that has";
#endif
#endif
        token->command("");
        (void)write_file(token->log(), "").value();
        (void)write_file(at("document"), "a contract\n").value();
    }

    static std::string at(const std::string& name) { return (token->folder / name).string(); }
    static std::map<std::string, std::string> environment() {
        return {{"SOFTHSM2_CONF", token->configuration()},
                {"QSCD_SPY_TARGET", SoftToken::library()},
                {"QSCD_SPY_LOG", token->log()},
                {"QSCD_SPY_FAULTS", token->faults()},
                {"OPENSSL_MODULES", QSCD_PROVIDER_FOLDER},
                {"OPENSSL_CONF", "/dev/null"},
                {"QSCD_PKCS11_MODULE", QSCD_SPY_LIBRARY},
                {"MALLOC_PERTURB_", "165"}};  // freed memory is overwritten: its use would show
    }
    // What is freed twice or used after its end ends the program by a signal: the status is compared in every test.
    static Ended openssl(const Words& words, const std::string& input = {}) {
        return run(token->folder, Words{"openssl"} + words, environment(), input);
    }
    static Ended plain(const Words& words) {
        return run(token->folder, Words{"openssl"} + words, {{"OPENSSL_CONF", "/dev/null"}});
    }
    static std::string key(const std::string& name) {
        return token->uri(name, ";type=private?pin-source=file:" + token->pin_file().string());
    }
    static std::size_t calls(std::string_view function) { return spy::count(token->calls(), function); }
    static bool wrote(const std::string& name) {
        return std::filesystem::exists(at(name)) && std::filesystem::file_size(at(name)) > 0;
    }
    static Words ours() { return {"-provider", "default", "-provider", "qscd-pkcs11"}; }
    static Ended make_request(const std::string& uri, const std::string& input = {}, const Words& more = {}) {
        std::filesystem::remove(at("made.csr"));
        return openssl(
            Words{"req", "-new"} + ours() + Words{"-key", uri, "-subj", "/CN=TEST Anna", "-out", "made.csr"} + more,
            input);
    }
    static inline std::unique_ptr<KeyToken> token;  // one for all suites: making keys takes seconds
};

// The last thing that the command did: the key was given back, and the module finalised, before the process ended.
#define EXPECT_ENDED_WELL(ended)                                             \
    do {                                                                     \
        const auto& seen = (ended);                                          \
        EXPECT_EQ(seen.status, 0) << seen.all();                             \
        EXPECT_EQ(calls("C_Initialize"), calls("C_Finalize"));               \
        EXPECT_THAT(seen.all(), Not(HasSubstr(std::string{KeyToken::pin}))); \
    } while (false)

// ---------------------------------------------------------------------------------------------- what works

struct Papers : CommandLine, ::testing::WithParamInterface<Signer> {
    Words options(const std::string& name) const {
        return GetParam().pss ? Words{name, "rsa_padding_mode:pss", name, "rsa_pss_saltlen:-1"} : Words{};
    }
    std::string signer() const { return key(GetParam().key); }
    std::string algorithm() const {
        return GetParam().pss ? "rsassaPss" : *GetParam().key == 'r' ? "sha256WithRSA" : "ecdsa-with";
    }
    // A self-signed certificate of the token's key.
    void make_ca() const {
        EXPECT_ENDED_WELL(openssl(
            Words{"req", "-x509", "-new", "-days", "3", "-subj", "/CN=TEST CA", "-key", signer(), "-out", "ca.pem"} +
            ours() + options("-sigopt")));
    }
    // A request of a key in memory, which has nothing to do with the token.
    static void make_stranger() {
        EXPECT_EQ(plain({"req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                         "stranger.key", "-subj", "/CN=TEST Boris", "-out", "stranger.csr"})
                      .status,
                  0);
    }
};
INSTANTIATE_TEST_SUITE_P(, Papers, ::testing::ValuesIn(signers), [](const auto& test) { return test.param.name; });

TEST_P(Papers, CertificateRequest) {
    const auto made = openssl(Words{"req", "-new", "-key", signer(), "-subj", "/CN=TEST Anna", "-out", "a.csr"} +
                              ours() + options("-sigopt"));
    EXPECT_ENDED_WELL(made);
    const auto read = plain({"req", "-in", "a.csr", "-verify", "-noout", "-text"});
    EXPECT_EQ(read.status, 0) << read.all();
    EXPECT_THAT(read.out, HasSubstr(algorithm()));
    EXPECT_EQ(calls("C_Login"), 1U);
    EXPECT_EQ(calls("C_Sign-entered"), 1U);
    EXPECT_EQ(calls("C_Finalize"), 1U);
}

TEST_P(Papers, CertificateOfItself) {
    make_ca();
    EXPECT_EQ(plain({"verify", "-CAfile", "ca.pem", "ca.pem"}).status, 0);
    EXPECT_THAT(plain({"x509", "-in", "ca.pem", "-noout", "-text"}).out, HasSubstr(algorithm()));
}

// OpenSSL takes the signature implementation that it met first, for the request's self-signature too: either order
// works.
TEST_P(Papers, CertificateOfAnotherInBothOrdersOfProviders) {
    make_ca();
    make_stranger();
    for (const auto& order : {ours(), Words{"-provider", "qscd-pkcs11", "-provider", "default"}}) {
        const auto made = openssl(Words{"x509", "-req", "-in", "stranger.csr", "-CA", "ca.pem", "-CAkey", signer(),
                                        "-set_serial", "7", "-days", "2", "-out", "issued.pem"} +
                                  order + options("-sigopt"));
        EXPECT_ENDED_WELL(made);
        EXPECT_EQ(plain({"verify", "-CAfile", "ca.pem", "issued.pem"}).status, 0) << made.all();
    }
}

TEST_P(Papers, CertificateAndRevocationListOfTheCaCommand) {
    make_ca();
    make_stranger();
    std::filesystem::create_directories(at("issued"));
    (void)write_file(at("database"), "").value();
    (void)write_file(at("serial"), "01\n").value();
    (void)write_file(at("ca.cnf"),
                     "[ca]\ndefault_ca=here\n[here]\ndatabase=database\nserial=serial\n"
                     "new_certs_dir=issued\ncertificate=ca.pem\ndefault_md=sha256\ndefault_days=2\n"
                     "default_crl_days=2\npolicy=names\n[names]\ncommonName=supplied\n")
        .value();
    const auto common = Words{"ca", "-batch", "-config", "ca.cnf", "-keyfile", signer()} + ours() + options("-sigopt");
    EXPECT_ENDED_WELL(openssl(common + Words{"-in", "stranger.csr", "-out", "issued.pem"}));
    EXPECT_EQ(plain({"verify", "-CAfile", "ca.pem", "issued.pem"}).status, 0);
    EXPECT_ENDED_WELL(openssl(common + Words{"-gencrl", "-out", "list.pem"}));
    const auto read = plain({"crl", "-in", "list.pem", "-CAfile", "ca.pem", "-noout"});
    EXPECT_THAT(read.all(), HasSubstr("verify OK"));
}

TEST_P(Papers, CmsSignature) {
    make_ca();
    const auto made = openssl(Words{"cms", "-sign", "-signer", "ca.pem", "-inkey", signer(), "-in", "document",
                                    "-binary", "-cades", "-outform", "DER", "-out", "made.p7s"} +
                              ours() + (GetParam().pss ? Words{"-keyopt", "rsa_padding_mode:pss"} : Words{}));
    EXPECT_ENDED_WELL(made);
    const Words verify{"cms",      "-verify", "-inform", "DER",      "-in", "made.p7s", "-binary",  "-content",
                       "document", "-CAfile", "ca.pem",  "-purpose", "any", "-out",     "/dev/null"};
    EXPECT_EQ(plain(verify).status, 0);
    EXPECT_THAT(plain({"cms", "-cmsout", "-print", "-inform", "DER", "-in", "made.p7s"}).out,
                HasSubstr(GetParam().pss           ? "rsassaPss"
                          : *GetParam().key == 'r' ? "rsaEncryption"
                                                   : "ecdsa-with"));
    (void)write_file(at("document"), "another contract\n").value();
    EXPECT_NE(plain(verify).status, 0);
}

TEST_P(Papers, OcspAnswer) {
    make_ca();
    (void)write_file(at("index"), "V\t351231235959Z\t\t07\tunknown\t/CN=TEST Boris\n").value();
    EXPECT_EQ(plain({"ocsp", "-issuer", "ca.pem", "-serial", "7", "-no_nonce", "-reqout", "ocsp.req"}).status, 0);
    const auto made = openssl(Words{"ocsp", "-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", signer(),
                                    "-reqin", "ocsp.req", "-respout", "ocsp.resp", "-ndays", "1"} +
                              ours() + (GetParam().pss ? Words{"-rsigopt", "rsa_padding_mode:pss"} : Words{}));
    EXPECT_ENDED_WELL(made);
    const auto read = plain({"ocsp", "-respin", "ocsp.resp", "-CAfile", "ca.pem", "-issuer", "ca.pem", "-serial", "7",
                             "-no_nonce", "-resp_text"});
    EXPECT_THAT(read.all(), HasSubstr("Response verify OK"));
    EXPECT_THAT(read.all(), HasSubstr("7: good"));
    EXPECT_THAT(read.all(), HasSubstr(algorithm()));
}

TEST_P(Papers, SignatureOfDgstAndOfPkeyutl) {
    EXPECT_ENDED_WELL(openssl(Words{"pkey", "-in", signer(), "-pubout", "-out", "public.pem"} + ours()));
    EXPECT_ENDED_WELL(openssl(Words{"dgst", "-sha384", "-sign", signer(), "-out", "made.sig"} + ours() +
                              options("-sigopt") + Words{"document"}));
    EXPECT_EQ(plain(Words{"dgst", "-sha384", "-verify", "public.pem", "-signature", "made.sig"} + options("-sigopt") +
                    Words{"document"})
                  .status,
              0);
    EXPECT_EQ(plain({"dgst", "-sha256", "-binary", "-out", "digest", "document"}).status, 0);
    const auto hash = Words{"-pkeyopt", "digest:sha256"} + options("-pkeyopt");
    EXPECT_ENDED_WELL(
        openssl(Words{"pkeyutl", "-sign", "-inkey", signer(), "-in", "digest", "-out", "made.sig"} + ours() + hash));
    EXPECT_EQ(
        plain(Words{"pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-in", "digest", "-sigfile", "made.sig"} +
              hash)
            .status,
        0);
}

// PKCS#7 has no place for PSS parameters.
TEST_P(Papers, SmimeOfTheOldKindIsForAllButPss) {
    make_ca();
    const auto made = openssl(Words{"smime", "-sign", "-signer", "ca.pem", "-inkey", signer(), "-in", "document",
                                    "-binary", "-outform", "DER", "-out", "made.p7s"} +
                              ours());
    EXPECT_ENDED_WELL(made);
    EXPECT_EQ(plain({"smime", "-verify", "-inform", "DER", "-in", "made.p7s", "-content", "document", "-CAfile",
                     "ca.pem", "-purpose", "any", "-out", "/dev/null"})
                  .status,
              0);
}

// It opens the key as a file, whatever is loaded: time stamps with a token's key are made by a program, as ca/tsa does.
TEST_P(Papers, TimeStampOfTheTsCommandIsNotPossible) {
    (void)write_file(at("ts.cnf"),
                     "[tsa]\ndefault_tsa=here\n[here]\nserial=ts-serial\nsigner_digest=sha256\n"
                     "default_policy=1.2.3.4\ndigests=sha256\n")
        .value();
    EXPECT_ENDED_WELL(openssl(Words{"req", "-x509", "-new", "-days", "3", "-subj", "/CN=TEST TSA", "-key", signer(),
                                    "-addext", "extendedKeyUsage=critical,timeStamping", "-out", "tsa.pem"} +
                              ours()));
    EXPECT_EQ(plain({"ts", "-query", "-data", "document", "-sha256", "-cert", "-out", "ts.req"}).status, 0);
    const auto refused = openssl(Words{"ts", "-reply", "-config", "ts.cnf", "-queryfile", "ts.req", "-signer",
                                       "tsa.pem", "-inkey", signer(), "-out", "ts.resp"} +
                                 ours());
    EXPECT_EQ(refused.status, 1) << refused.all();
    EXPECT_THAT(refused.err, HasSubstr("calling fopen(pkcs11:"));
}

TEST_F(CommandLine, ShowsThePublicHalf) {
    const auto by_private = openssl(Words{"pkey", "-in", key("p256"), "-pubout"} + ours());
    EXPECT_ENDED_WELL(by_private);
    EXPECT_THAT(by_private.out, HasSubstr("BEGIN PUBLIC KEY"));
    for (const auto* type : {"", ";type=public"}) {
        const auto uri = token->uri("p256", std::string{type} + "?pin-source=" + token->pin_file().string());
        const auto by_public = openssl(Words{"pkey", "-pubin", "-in", uri, "-pubout"} + ours());
        EXPECT_ENDED_WELL(by_public);
        EXPECT_EQ(by_public.out, by_private.out);
    }
}

TEST_F(CommandLine, QSCD_02_HasNoPrivateKeyToShow) {
    for (const auto& how : {Words{"-out", "private.pem"}, Words{"-text", "-noout"}, Words{"-outform", "DER"}}) {
        const auto refused = openssl(Words{"pkey", "-in", key("rsa")} + ours() + how);
        EXPECT_EQ(refused.status, 1) << refused.all();
        EXPECT_THAT(refused.all(), Not(HasSubstr("PRIVATE KEY")));
    }
    EXPECT_FALSE(wrote("private.pem"));
}

TEST_F(CommandLine, LeavesKeysInMemoryAloneInBothOrdersOfProviders) {
    Papers::make_stranger();
    for (const auto& order : {ours(), Words{"-provider", "qscd-pkcs11", "-provider", "default"}}) {
        EXPECT_EQ(
            openssl(Words{"req", "-new", "-x509", "-key", "stranger.key", "-subj", "/CN=TEST Boris", "-out", "b.pem"} +
                    order)
                .status,
            0);
        EXPECT_EQ(openssl(Words{"verify"} + order + Words{"-CAfile", "b.pem", "b.pem"}).status, 0);
    }
    EXPECT_EQ(calls("C_Initialize"), 0U);  // nobody named a token
}

// ---------------------------------------------------------------------------------------------- keys and settings

TEST_F(CommandLine, FindsAKeyByItsId) {
    EXPECT_ENDED_WELL(make_request("pkcs11:token=signing;id=%01?pin-source=" + token->pin_file().string()));
    EXPECT_NE(make_request("pkcs11:token=signing;object=p256;id=%02?pin-source=" + token->pin_file().string()).status,
              0);
}

// Keys of our own leave their public half out of the token: a file tells it, and a wrong file is found out.
TEST_F(CommandLine, TakesThePublicHalfOfOurOwnKeysFromAFile) {
    const auto uri = token->uri("own", "?pin-source=" + token->pin_file().string());
    const auto untold = make_request(uri);
    EXPECT_EQ(untold.status, 1);
    EXPECT_THAT(untold.err, HasSubstr("qscd-public-key"));
    EXPECT_ENDED_WELL(make_request(uri + "&qscd-public-key=" + token->own_public_key().string()));
    EXPECT_EQ(plain({"req", "-in", "made.csr", "-verify", "-noout"}).status, 0);
    EXPECT_EQ(openssl(Words{"pkey", "-in", key("p256"), "-pubout", "-out", "other.pub"} + ours()).status, 0);
    const auto wrong = make_request(uri + "&qscd-public-key=" + at("other.pub"));
    EXPECT_EQ(wrong.status, 1);
    EXPECT_THAT(wrong.err, HasSubstr("does not verify"));
    EXPECT_FALSE(wrote("made.csr"));
}

TEST_F(CommandLine, TakesThePinFromPassin) {
    EXPECT_ENDED_WELL(make_request(token->uri("p256"), "", {"-passin", "file:" + token->pin_file().string()}));
    EXPECT_ENDED_WELL(make_request(token->uri("p256"), std::string{KeyToken::pin} + "\n", {"-passin", "stdin"}));
    const auto without = make_request(token->uri("p256"));
    EXPECT_EQ(without.status, 1);
    EXPECT_THAT(without.err, HasSubstr("no PIN for token signing"));
}

TEST_F(CommandLine, RefusesAPinFileThatEverybodyReads) {
    (void)write_file(at("open-pin"), KeyToken::pin, 0644).value();
    const auto refused = make_request(token->uri("p256", "?pin-source=file:" + at("open-pin")));
    EXPECT_EQ(refused.status, 1);
    EXPECT_THAT(refused.err, HasSubstr("chmod 600"));
    EXPECT_EQ(calls("C_Login"), 0U);
    for (const auto* source : {"file:/nonexistent/pin", "file:/dev/zero", "relative", "|cat"})
        EXPECT_EQ(make_request(token->uri("p256", std::string{"?pin-source="} + source)).status, 1) << source;
    EXPECT_EQ(calls("C_Login"), 0U);
}

// openssl.cnf alone says it all, and the environment does not overrule it.
TEST_F(CommandLine, TakesItsSettingsFromOpensslsConfiguration) {
    (void)write_file(at("openssl.cnf"),
                     "openssl_conf = all\n[all]\nproviders = providers\n[providers]\ndefault = usual\n"
                     "qscd-pkcs11 = ours\n[usual]\nactivate = 1\n[ours]\nactivate = 1\npkcs11-module-path = " +
                         std::string{QSCD_SPY_LIBRARY} + "\npkcs11-pin-source = " + token->pin_file().string() +
                         "\npkcs11-module-environment = SOFTHSM2_CONF=" + token->configuration().string() +
                         ";QSCD_SPY_LOG=" + token->log().string() +
                         ";QSCD_SPY_TARGET=" + SoftToken::library().string() + "\n[req]\ndistinguished_name=x\n[x]\n")
        .value();
    const auto made = run(
        token->folder,
        {"openssl", "req", "-new", "-key", token->uri("p256"), "-subj", "/CN=TEST Anna", "-out", "a.csr"},
        {{"OPENSSL_CONF", at("openssl.cnf")},
         {"OPENSSL_MODULES", QSCD_PROVIDER_FOLDER},
         {"QSCD_PKCS11_MODULE", "/nonexistent.so"}});
    EXPECT_ENDED_WELL(made);
    EXPECT_EQ(plain({"req", "-in", "a.csr", "-verify", "-noout"}).status, 0);
}

TEST_F(CommandLine, ListsItself) {
    const auto listed = openssl(Words{"list", "-providers"} + ours());
    EXPECT_EQ(listed.status, 0);
    EXPECT_THAT(listed.out, HasSubstr("qscd: keys in PKCS#11 tokens"));
    EXPECT_EQ(calls("C_Initialize"), 0U);
}

// ---------------------------------------------------------------------------------------------- refusals

struct Refusal {
    const char *name, *uri, *said;
    friend std::ostream& operator<<(std::ostream& out, const Refusal& refusal) { return out << refusal.name; }
};
const Refusal refusals[] = {
    {"UnknownObject", "pkcs11:token=signing;object=nobody",
     "private key labelled nobody: no such key in token signing"},
    {"AbsentToken", "pkcs11:token=elsewhere;object=p256", "token elsewhere"},
    {"AnotherSerial", "pkcs11:token=signing;serial=0;object=p256", "token_away"},
    {"NoKeyNamed", "pkcs11:token=signing", "names no key"},
    {"MalformedEncoding", "pkcs11:token=%zz;object=p256", "cannot be read"},
    {"MalformedSyntax", "pkcs11:token", "cannot be read"},
    {"UnknownAttribute", "pkcs11:token=signing;objekt=p256", "not known"},
    {"Certificate", "pkcs11:token=signing;object=p256;type=cert", "neither private nor public"},
    {"AnotherModule", "pkcs11:token=signing;object=p256?module-path=/usr/lib/softhsm/libsofthsm2.so", "names a module"},
    {"AnotherModuleByName", "pkcs11:token=signing;object=p256?module-name=softhsm2", "names a module"},
    {"PinInTheUri", "pkcs11:token=signing;object=p256?pin-value=0000", "use pin-source"},
    {"KeyThatMayNotSign", "pkcs11:token=signing;object=mute", "may not sign"},
    {"KeyOfAKindNotUsed", "pkcs11:token=signing;object=small", "of a kind that is not used"},
    {"Ed25519", "pkcs11:token=signing;object=ed", "neither an RSA nor an EC key"},
};
struct Refused : CommandLine, ::testing::WithParamInterface<Refusal> {};
INSTANTIATE_TEST_SUITE_P(, Refused, ::testing::ValuesIn(refusals), [](const auto& test) { return test.param.name; });

TEST_P(Refused, WithAClearErrorAndNothingWritten) {
    const auto refused = make_request(GetParam().uri, "", {"-passin", "file:" + token->pin_file().string()});
    EXPECT_EQ(refused.status, 1) << refused.all();
    EXPECT_THAT(refused.err, HasSubstr(GetParam().said));
    EXPECT_THAT(refused.err, HasSubstr("qscd-pkcs11"));
    EXPECT_THAT(refused.all(), Not(HasSubstr(std::string{KeyToken::pin})));
    EXPECT_FALSE(wrote("made.csr"));
    EXPECT_EQ(calls("C_Initialize"), calls("C_Finalize"));
    EXPECT_EQ(calls("C_Sign-entered"), 0U);
}

TEST_F(CommandLine, AWrongPinIsTriedOnceAndNotShown) {
    (void)write_file(at("wrong-pin"), "pin-00000", 0600).value();
    const auto refused = make_request(token->uri("p256", "?pin-source=file:" + at("wrong-pin")));
    EXPECT_EQ(refused.status, 1);
    EXPECT_THAT(refused.err, HasSubstr("the PIN of token signing is wrong or locked"));
    EXPECT_THAT(refused.err, HasSubstr("0xa0"));
    EXPECT_THAT(refused.all(), Not(HasSubstr("pin-00000")));
    EXPECT_EQ(calls("C_Login"), 1U);
    EXPECT_EQ(calls("C_Finalize"), 1U);
}

TEST_F(CommandLine, AFailureOfTheTokenNamesItsCodeAndIsNotRepeated) {
    token->command("C_Sign 1 0x30\n");
    const auto failed = make_request(key("p256"));
    EXPECT_EQ(failed.status, 1);
    EXPECT_THAT(failed.err, HasSubstr("C_Sign answered 0x30"));
    EXPECT_EQ(calls("C_Sign-entered"), 1U);
    EXPECT_EQ(calls("C_Initialize"), calls("C_Finalize"));
    EXPECT_FALSE(wrote("made.csr"));
}

TEST_F(CommandLine, QSCD_26_ASignatureThatDoesNotVerifyIsNotHandedOut) {
    token->command("corrupt-signature\n");
    const auto failed = make_request(key("rsa"));
    EXPECT_EQ(failed.status, 1);
    EXPECT_THAT(failed.err, HasSubstr("does not verify"));
    EXPECT_FALSE(wrote("made.csr"));
}

TEST_F(CommandLine, WithoutAModuleItSaysWhatToSet) {
    auto variables = environment();
    for (const auto* module : {"", "relative.so", "/nonexistent.so", QSCD_PROVIDER_FOLDER "/qscd-pkcs11.so"}) {
        variables["QSCD_PKCS11_MODULE"] = module;
        const auto refused = run(
            token->folder, Words{"openssl", "req", "-new", "-key", key("p256"), "-subj", "/CN=x"} + ours(), variables);
        EXPECT_EQ(refused.status, 1) << module;
        EXPECT_THAT(refused.err, ::testing::AnyOf(HasSubstr("QSCD_PKCS11_MODULE"), HasSubstr("must be absolute"),
                                                  HasSubstr("cannot load"), HasSubstr("is not a PKCS#11 module")));
    }
}

}  // namespace
}  // namespace qscd::hsm
