#include "tests/integration/secrets_check.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"

namespace qscd::integration {
namespace {

constexpr std::size_t unmistakable = 16;  // shorter ones, such as codes, count as whole words only

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_'; }

bool holds(std::string_view text, std::string_view secret) {
    for (auto at = text.find(secret); at != std::string_view::npos; at = text.find(secret, at + 1)) {
        const auto end = at + secret.size();
        const bool whole = (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
        if (secret.size() >= unmistakable || whole) return true;
    }
    return false;
}

std::vector<std::string> forms_of(const std::string& secret) {
    std::vector<std::string> out{secret};
    if (const auto raw = from_base64url(secret); raw && raw->size() >= unmistakable) out.emplace_back(text_of(*raw));
    return out;
}

}  // namespace

void expect_no_secret_was_written(const RunningDeployment& deployment) {
    std::size_t files = 0;
    const auto look_at = [&](const fs::path& path) {
        const auto text = required(read_file(path, 256 << 20), path.string());
        ++files;
        for (const auto& secret : deployment.secrets())
            for (const auto& form : forms_of(secret)) EXPECT_FALSE(holds(text, form)) << path << " holds " << secret;
    };
    for (const auto* folder : {"log", "db"})
        for (const auto& each : fs::recursive_directory_iterator{deployment.in(folder)})
            if (each.is_regular_file()) look_at(each.path());
    look_at(deployment.top() / "up.log");
    if (const auto* cluster = deployment.cluster()) {
        look_at(cluster->log_file());
        for (const auto& each : fs::recursive_directory_iterator{cluster->tables()})
            if (each.is_regular_file()) look_at(each.path());
    }
    EXPECT_GE(files, 12U) << "each daemon has a log, and five a store";

    // The same search finds the codes where they do stand.
    const auto sent = required(read_file(deployment.in("outbox/sms.jsonl")), "outbox");
    EXPECT_TRUE(std::ranges::any_of(deployment.secrets(), [&](const auto& secret) { return holds(sent, secret); }));
}

}  // namespace qscd::integration
