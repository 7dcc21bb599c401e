// A SoftHSM2 token of a test's own, which can go away and come back.
#pragma once

#include <fstream>
#include <thread>

#include "hsm/token.hpp"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {

class TrialToken {
public:
    explicit TrialToken(std::string label) : label_(std::move(label)) {
        std::filesystem::create_directories(folder_ / "tokens");
        std::ofstream{folder_ / "softhsm2.conf"} << "directories.tokendir = " << (folder_ / "tokens").string()
                                                 << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    }
    hsm::ModuleSettings module() const {
        constexpr const char* debian = "/usr/lib/softhsm/libsofthsm2.so";
        return {
            .library = std::filesystem::exists(debian) ? debian : "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
            .environment = {{"SOFTHSM2_CONF", (folder_ / "softhsm2.conf").string()}}};
    }
    // The module is closed again: whoever is tested opens it for itself.
    std::vector<Bytes> make_keys(KeyKind kind, const std::vector<std::string>& labels) const {
        const auto loaded = hsm::Module::load(module()).value();
        EXPECT_TRUE(loaded->initialise_token(label_, SecretBytes{"so-12345678"}, pin()));
        const auto token = hsm::Token::open(loaded, label_, pin(), 1).value();
        std::vector<Bytes> out;
        for (const auto& each : labels)
            out.push_back(token->generate(kind, random_fixed<CkaId>(), each).value().public_key);
        return out;
    }
    std::unique_ptr<hsm::Token> open() const {
        return hsm::Token::open(hsm::Module::load(module()).value(), label_, pin(), 1).value();
    }
    void go_away() const { std::filesystem::rename(folder_ / "tokens", folder_ / "away"); }
    void come_back() const { std::filesystem::rename(folder_ / "away", folder_ / "tokens"); }

    // No module tells when its token is back: looked at now and then.
    static bool soon(const std::function<bool()>& holds) {
        for (int i = 0; i < 400; ++i) {
            if (holds()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds{50});
        }
        return false;
    }

private:
    static SecretBytes pin() { return SecretBytes{"12345678"}; }
    Folder folder_;
    std::string label_;
};

}  // namespace qscd::ca
