#include "tests/integration/signer.hpp"

#include "base/file.hpp"
#include "base/random.hpp"

namespace qscd::integration {
namespace {

constexpr std::size_t longest = 4096;

std::string two_digits(unsigned number) {
    return {static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)};
}

}  // namespace

X509Cert Credential::parsed() const {
    return required(certificate_from_pem(required(read_file(certificate), "certificate")), "certificate");
}

Signer::Signer(RunningDeployment& deployment, std::string username, unsigned number)
    : deployment_(deployment),
      username_(std::move(username)),
      phone_("+436600000" + two_digits(number)),
      pin_("273481" + two_digits(number)),
      password_(to_hex(random_bytes(12))),
      serial_number_("PNOAT-100000" + two_digits(number)) {
    deployment_.remember_secret(pin_);
    deployment_.remember_secret(password_);
    deployment_.answer(
        {"signer", "add", username_, "--email", username_ + "@mail.example", "--phone", phone_, "--password-fd", "3"},
        {{3, password_ + "\n"}});
}

std::string Signer::begin(const std::string& profile, const std::string& key) {
    const auto said = deployment_.answer({"signer",
                                          "enrol",
                                          username_,
                                          "--profile",
                                          profile,
                                          "--key",
                                          key,
                                          "--country",
                                          "AT",
                                          "--given-name",
                                          username_,
                                          "--surname",
                                          "Test",
                                          "--serial-number",
                                          serial_number_,
                                          "--common-name",
                                          username_ + " Test",
                                          "--proofing",
                                          "demo",
                                          "--terms",
                                          source_folder / "packaging/demo/terms.txt",
                                          "--officer-key",
                                          deployment_.in("officers/registration-1.key.pem")});
    return said.string("enrolment", longest).value();
}

Credential Signer::finish(const std::string& enrolment, const std::string& profile, const std::string& key) {
    const auto file = deployment_.top() / (enrolment + ".pem");
    const auto said = deployment_.answer(
        {"signer", "activate", enrolment, "--terms", source_folder / "packaging/demo/terms.txt", "--certificate", file,
         "--pin-fd", "3", "--code-fd", "4"},
        {{3, pin_ + "\n"}, {4, sent_code() + "\n"}});
    if (const auto app = said.optional_object("totp").value())
        use_app(app->string("secret_base32", longest).value(), static_cast<unsigned>(app->integer("period").value()),
                static_cast<unsigned>(app->integer("digits").value()));
    return {said.string("credential", longest).value(), profile, key, file};
}

void Signer::use_app(std::string secret_base32, unsigned period, unsigned digits) {
    secret_ = std::move(secret_base32);
    period_ = period;
    digits_ = digits;
    deployment_.remember_secret(secret_);
}

std::string Signer::sent_code() {
    const auto lines = required(read_file(deployment_.in("outbox/sms.jsonl")), "outbox");
    std::string code;
    for (std::size_t at = 0; at < lines.size();) {
        const auto end = lines.find('\n', at);
        const auto line = json::Object::parse(lines.substr(at, end - at)).value();
        at = end + 1;
        if (line.string("to", longest).value() != phone_) continue;
        const auto text = line.string("text", longest).value();
        code = text.substr(text.find_last_not_of("0123456789") + 1);
    }
    require(code.size() >= 6, "no code was sent to " + phone_);
    deployment_.remember_secret(code);
    return code;
}

std::string Signer::code_at(TimePoint at) const {
    auto time = iso8601(at);  // oathtool reads "2026-11-20 11:30:00 UTC"
    time.replace(10, 1, " ").replace(19, 1, " UTC");
    const auto said = run_program({"oathtool", "--totp", "--base32", "--digits=" + std::to_string(digits_),
                                   "--time-step-size=" + std::to_string(period_) + "s", "--now", time, "-"},
                                  {{0, secret_ + "\n"}});
    require(said.exit_code == 0, "oathtool: " + said.err);
    return said.out.substr(0, digits_);
}

std::string Signer::fresh_code() {
    deployment_.advance(std::chrono::seconds{period_});
    auto code = code_at(deployment_.now());
    deployment_.remember_secret(code);
    return code;
}

std::string Signer::wrong_code() {
    const auto now = deployment_.now();
    std::vector<std::string> good;
    for (int step = -2; step <= 2; ++step) good.push_back(code_at(now + step * std::chrono::seconds{period_}));
    std::string code{"100000"};
    while (std::ranges::find(good, code) != good.end()) ++code.back();
    return code;
}

}  // namespace qscd::integration
