#include "policy/public_url.hpp"

#include <gtest/gtest.h>

namespace qscd::policy {
namespace {

TEST(PublicUrl, CA_46_IsANameThatEverybodyCanResolve) {
    for (const auto* url :
         {"http://pki.tsp.example", "http://pki.qscd-test.example", "http://a.de", "http://pki.tsp.example:80",
          "http://pki.tsp.example:65535/x", "http://pki.tsp.example/pki/v1_0/~a-B.c", "http://xn--bcher-kva.example",
          "http://1.test.example", "http://local.example"})
        EXPECT_FALSE(fault_of_url(url, UrlScheme::http)) << url;
    EXPECT_FALSE(fault_of_url("https://tsp.example/pds-en.pdf", UrlScheme::https));
}

struct Bad {
    const char *name, *url, *problem;
    friend void PrintTo(const Bad& row, std::ostream* out) { *out << row.name; }
};
struct BadUrl : ::testing::TestWithParam<Bad> {};
INSTANTIATE_TEST_SUITE_P(
    , BadUrl,
    ::testing::Values(
        Bad{"Empty", "", "it does not start with http://"},
        Bad{"Https", "https://pki.tsp.example", "it does not start with http://"},
        Bad{"NoScheme", "pki.tsp.example", "it does not start with http://"},
        Bad{"ShoutedScheme", "HTTP://pki.tsp.example", "it does not start with http://"},
        Bad{"NoHost", "http://", "there is no host"}, Bad{"NoHostButPath", "http:///x", "there is no host"},
        Bad{"NoHostButPort", "http://:80", "there is no host"},
        Bad{"Ipv4", "http://192.0.2.1", "the host is an address"},
        Bad{"Loopback", "http://127.0.0.1:8080", "the host is an address"},
        Bad{"ShortIpv4", "http://127.1", "the host is an address"},
        Bad{"HexIpv4", "http://127.0x1", "the host is an address"},
        Bad{"NumberIpv4", "http://2130706433", "the host is an address"},
        Bad{"Ipv6", "http://[::1]:8080/", "the host is an address"},
        Bad{"Localhost", "http://localhost", "the host is an internal name"},
        Bad{"UnderLocalhost", "http://pki.localhost", "the host is an internal name"},
        Bad{"OneLabel", "http://pki", "the host is an internal name"},
        Bad{"Local", "http://pki.tsp.local", "the host is an internal name"},
        Bad{"Internal", "http://pki.tsp.internal", "the host is an internal name"},
        Bad{"Lan", "http://pki.lan", "the host is an internal name"},
        Bad{"HomeArpa", "http://pki.home.arpa", "the host is an internal name"},
        Bad{"Test", "http://pki.tsp.test", "the host is an internal name"},
        Bad{"Invalid", "http://pki.invalid", "the host is an internal name"},
        Bad{"Capitals", "http://PKI.tsp.example", "the host is not a lower-case DNS name"},
        Bad{"RootDot", "http://pki.tsp.example.", "the host is not a lower-case DNS name"},
        Bad{"TwoDots", "http://pki..example", "the host is not a lower-case DNS name"},
        Bad{"Underscore", "http://pki_1.example", "the host is not a lower-case DNS name"},
        Bad{"LeadingDash", "http://-pki.example", "the host is not a lower-case DNS name"},
        Bad{"Umlaut",
            "http://b\xc3\xbc"
            "cher.example",
            "the host is not a lower-case DNS name"},
        Bad{"Space", "http://pki tsp.example", "the host is not a lower-case DNS name"},
        Bad{"User", "http://anna@tsp.example", "it names a user"},
        Bad{"EmptyPort", "http://tsp.example:", "the port is not 1 to 65535"},
        Bad{"PortZero", "http://tsp.example:0", "the port is not 1 to 65535"},
        Bad{"PortTooHigh", "http://tsp.example:65536", "the port is not 1 to 65535"},
        Bad{"PortBeyondEveryInteger", "http://tsp.example:99999999999999999999", "the port is not 1 to 65535"},
        Bad{"PortInWords", "http://tsp.example:http", "the port is not 1 to 65535"},
        Bad{"Query", "http://tsp.example/?a=b", "the path has characters other than letters, digits and /._~-"},
        Bad{"Fragment", "http://tsp.example/#a", "the path has characters other than letters, digits and /._~-"},
        Bad{"NewLine", "http://tsp.example/a\nb", "the path has characters other than letters, digits and /._~-"}),
    [](const auto& test) { return test.param.name; });
TEST_P(BadUrl, CA_46_IsRefused) {
    const auto fault = fault_of_url(GetParam().url, UrlScheme::http);
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->problem, GetParam().problem);
    EXPECT_EQ(fault->remedy, "write a public address such as \"http://pki.tsp.example\"");
}

TEST(PublicUrl, HasBoundedLengths) {
    const std::string label63(63, 'a'), label64(64, 'a');
    EXPECT_FALSE(fault_of_url("http://" + label63 + ".example", UrlScheme::http));
    EXPECT_TRUE(fault_of_url("http://" + label64 + ".example", UrlScheme::http));
    const std::string start = "http://tsp.example/";
    EXPECT_FALSE(fault_of_url(start + std::string(255 - start.size(), 'a'), UrlScheme::http));
    EXPECT_TRUE(fault_of_url(start + std::string(256 - start.size(), 'a'), UrlScheme::http));
}

}  // namespace
}  // namespace qscd::policy
