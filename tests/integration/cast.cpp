#include "tests/integration/cast.hpp"

#include "tests/integration/secrets_check.hpp"

namespace qscd::integration {
namespace {

std::unique_ptr<Cast> the_cast;

}  // namespace

Cast::Cast(bool with_rsa)
    : anna(deployment, "anna", 1),
      boris(deployment, "boris", 2),
      anna_qscd(anna.enrol("qscd-totp")),
      anna_lcp(anna.enrol("lcp-totp")),
      boris_sms(boris.enrol("qscd-sms")),
      boris_page(boris.enrol("qscd-page")),
      portal_1(deployment, "portal-1", {"anna", "boris"}),
      portal_2(deployment, "portal-2", {"boris"}) {
    if (with_rsa) anna_rsa = anna.enrol("qscd-totp", "RSA-3072");
}

Cast::ThrowAway Cast::throw_away(const std::string& profile) {
    const auto number = 10 + thrown_away_++;
    const auto name = "signer-" + std::to_string(number);
    auto signer = std::make_unique<Signer>(deployment, name, number);
    auto credential = signer->enrol(profile);
    return {std::move(signer), std::move(credential), Portal{deployment, "portal-" + std::to_string(number), {name}}};
}

bool Cast::serves() const {
    return portal_1.call("credentials/info", {{"credentialID", anna_qscd.id}}).status == 200 &&
           portal_1.call("credentials/list", {{"userID", "nobody"}}).status == 400;
}

void Stage::SetUp() { the_cast = std::make_unique<Cast>(with_rsa_); }
void Stage::TearDown() {
    if (the_cast) expect_no_secret_was_written(the_cast->deployment);
    the_cast.reset();
}
Cast& Stage::cast() {
    require(the_cast != nullptr, "the deployment was not made");
    return *the_cast;
}

}  // namespace qscd::integration
