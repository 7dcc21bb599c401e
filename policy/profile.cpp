#include "policy/profile.hpp"

#include <algorithm>

#include "policy/object_identifier.hpp"
#include "policy/public_url.hpp"

namespace qscd::policy {
namespace {

using std::chrono::seconds;

template <class Value>
struct Word {
    Value value;
    std::string_view text;
};
constexpr std::array regime_words{Word{Regime::qualified, "qualified"}, Word{Regime::trial, "trial"}};
constexpr std::array mode_words{Word{Mode::explicit_mode, "explicit"}, Word{Mode::page, "page"}};
constexpr std::array placement_words{Word{Placement::resident, "resident"}};

template <class Value, std::size_t N>
constexpr std::string_view text_in(const std::array<Word<Value>, N>& words, Value value) {
    return words[static_cast<std::size_t>(value) - 1].text;
}
template <class Value, std::size_t N>
Value value_in(const std::array<Word<Value>, N>& words, std::string_view text) {
    return std::ranges::find(words, text, &Word<Value>::text)->value;
}
template <class Value, std::size_t N>
TomlTable::Choices choices_of(const std::array<Word<Value>, N>& words) {
    TomlTable::Choices out;
    for (const auto& word : words) out.push_back(word.text);
    return out;
}

constexpr bool in_order = text_in(regime_words, Regime::trial) == "trial" && text_in(mode_words, Mode::page) == "page";
static_assert(in_order);

TomlTable::Choices issuable_types() {
    TomlTable::Choices out;
    for (const auto& row : type_rows)
        if (row.issuable) out.push_back(row.name);
    return out;
}

Result<CertificateType> read_type(TomlTable& table) {
    if (table.has("type")) {
        QSCD_TRY(const auto name, table.string("type"));
        if (const auto type = certificate_type_named(name); type && !row_of(*type).issuable)
            return table.error_at("type", "\"" + name + "\" certificates are not issued yet",
                                  "write " + quoted_choice(issuable_types()));
    }
    QSCD_TRY(const auto name, table.one_of("type", issuable_types()));
    return *certificate_type_named(name);
}

Result<Lifetime> read_lifetime(TomlTable& table) {
    QSCD_TRY(const auto text, table.string_or("validity", "5 years"));
    if (const auto lifetime = Lifetime::parse(text)) return *lifetime;
    return table.error_at("validity", "this is not a number of years that is allowed",
                          "write \"1 year\" to \"" + std::to_string(Lifetime::max_years) + " years\"");
}

Result<std::vector<KeyKind>> read_keys(TomlTable& table) {
    TomlTable::Choices names;
    for (const auto& row : key_kind_rows) names.push_back(row.name);
    QSCD_TRY(const auto chosen, table.some_of("keys", names));
    std::vector<KeyKind> out;
    for (const auto& name : chosen) out.push_back(*key_kind_named(name));
    return out;
}

Result<Placement> read_placement(TomlTable& table) {
    QSCD_TRY(const auto text, table.string_or("placement", "resident"));
    if (text == "wrapped") return table.error_at("placement", "\"wrapped\" is not supported yet", "write \"resident\"");
    QSCD_TRY(const auto word, table.one_of_or("placement", "resident", choices_of(placement_words)));
    return value_in(placement_words, word);
}

Result<std::optional<std::string>> read_own_policy(TomlTable& table) {
    QSCD_TRY(auto oid, table.optional_string("own_policy"));
    if (oid && !is_object_identifier(*oid))
        return table.error_at("own_policy", "this is not an object identifier",
                              "write one of your own arc, such as \"1.3.6.1.4.1.99999.1.2\"");
    // The type's OID stands in the certificate anyway, and an OID twice, another type's or anyPolicy would be wrong
    // [EN 319 412-2, QCS-5.2-2].
    if (oid && (oid->starts_with("0.4.0.") || *oid == "2.5.29.32" || oid->starts_with("2.5.29.32.")))
        return table.error_at("own_policy", "this identifier belongs to a standard",
                              "write one of your own arc; the type's identifier is added by itself");
    return oid;
}

bool is_language(std::string_view text) {
    return text.size() == 2 && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

// [EN 319 412-5, 4.3.4]
Result<std::vector<PdsLocation>> read_pds(TomlTable& table, CertificateType type) {
    const std::string remedy = "write [{lang = \"en\", url = \"https://tsp.example/pds-en.pdf\"}]";
    const std::string of_type = std::string{row_of(type).name} + " certificate";
    const bool carried = has(row_of(type).qc, Qc::pds);
    QSCD_TRY(auto entries, table.tables("pds"));
    if (!carried && table.has("pds"))
        return table.error_at("pds", "an " + of_type + " carries no disclosure statement", "remove this key");
    if (!carried) return std::vector<PdsLocation>{};
    if (entries.empty()) return table.error_at("pds", "a " + of_type + " needs a disclosure statement", remedy);
    std::vector<PdsLocation> out;
    for (auto& entry : entries) {
        QSCD_TRY(auto lang, entry.string("lang"));
        if (!is_language(lang))
            return entry.error_at("lang", "this is not a language", "write two small letters, such as \"en\"");
        if (std::ranges::find(out, lang, &PdsLocation::lang) != out.end())
            return entry.error_at("lang", "\"" + lang + "\" stands there twice", "write one location a language");
        QSCD_TRY(auto url, entry.string("url"));
        if (const auto fault = fault_of_url(url, UrlScheme::https))
            return entry.error_at("url", fault->problem, fault->remedy);
        out.push_back({std::move(lang), std::move(url)});
    }
    if (std::ranges::find(out, "en", &PdsLocation::lang) == out.end())
        return table.error_at("pds", "no location has lang = \"en\"", "add the English one");
    return out;
}

Result<PinRules> read_pin(TomlTable& table) {
    PinRules rules{6, 8, 5};
    QSCD_TRY(auto pin, table.table("pin"));
    if (!pin) return rules;
    QSCD_TRY(const auto digits, pin->optional_integers("digits", 4, 8));
    if (digits && digits->size() != 2)
        return pin->error_at("digits", "this is not a shortest and a longest length",
                             "write [6, 8], or [8, 8] for exactly 8");
    if (digits && digits->front() > digits->back())
        return pin->error_at("digits", "the shortest length comes first",
                             "write [" + std::to_string(digits->back()) + ", " + std::to_string(digits->front()) + "]");
    if (digits) {
        rules.min_digits = static_cast<unsigned>(digits->front());
        rules.max_digits = static_cast<unsigned>(digits->back());
    }
    QSCD_TRY(const auto tries, pin->integer_or("tries", rules.tries, 1, 10));
    rules.tries = static_cast<unsigned>(tries);
    return rules;
}

// A whole number of which only two values make sense.
Result<unsigned> either(TomlTable& table, std::string_view key, unsigned otherwise, unsigned low, unsigned high) {
    QSCD_TRY(const auto number, table.integer_or(key, otherwise, low, high));
    if (number != low && number != high)
        return table.error_at(key, std::to_string(number) + " is not allowed",
                              "write " + std::to_string(low) + " or " + std::to_string(high));
    return static_cast<unsigned>(number);
}

Result<TotpRules> read_totp(std::optional<TomlTable>& totp) {
    TotpRules rules{seconds{60}, 6, 1};
    if (!totp) return rules;
    QSCD_TRY(const auto period, either(*totp, "period", 60, 30, 60));
    QSCD_TRY(const auto digits, either(*totp, "digits", 6, 6, 8));
    QSCD_TRY(const auto tolerance, totp->integer_or("tolerance_steps", 1, 0, 2));
    return TotpRules{seconds{period}, digits, static_cast<unsigned>(tolerance)};
}

Result<SmsRules> read_sms(std::optional<TomlTable>& sms) {
    SmsRules rules{6, seconds{300}, 3};
    if (!sms) return rules;
    QSCD_TRY(const auto digits, sms->integer_or("digits", 6, 6, 8));
    QSCD_TRY(const auto life, sms->integer_or("life_seconds", 300, 30, 300));
    QSCD_TRY(const auto tries, sms->integer_or("tries", 3, 1, 3));
    return SmsRules{static_cast<unsigned>(digits), seconds{life}, static_cast<unsigned>(tries)};
}

struct Factors {
    std::vector<FactorExpression> expressions;
    std::optional<TotpRules> totp;
    std::optional<SmsRules> sms;
};

Result<Factors> read_factors(TomlTable& table) {
    TomlTable::Choices held;
    for (const auto& row : factor_rows)
        if (row.nature == FactorNature::held) held.push_back(row.option);
    QSCD_TRY(const auto listed, table.strings_or("otp", {}));
    if (listed.empty())
        return table.error_at("otp",
                              "a PIN alone does not sign: every signature needs a second, held factor [AUTHN-01]",
                              "write a list of " + quoted_choice(held));
    QSCD_TRY(const auto options, table.some_of("otp", held));
    Factors out;
    for (const auto& option : options)
        out.expressions.push_back(
            *FactorExpression::pin_and(std::ranges::find(factor_rows, option, &FactorRow::option)->factor));

    QSCD_TRY(auto totp, table.table("totp"));
    QSCD_TRY(auto sms, table.table("sms"));
    for (const auto& option : held)
        if (table.has(option) && std::ranges::find(options, option) == options.end())
            return table.error_at(option, "rules for a factor that otp does not list",
                                  "add \"" + std::string{option} + "\" to otp, or remove this table");
    for (const auto& expression : out.expressions) {
        if (expression.held() == Factor::totp) {
            QSCD_TRY(out.totp, read_totp(totp));
        } else {
            QSCD_TRY(out.sms, read_sms(sms));
        }
    }
    return out;
}

Result<std::vector<Mode>> read_modes(TomlTable& table, Regime regime, CertificateType type) {
    QSCD_TRY(const auto words, table.some_of_or("modes", {"page"}, choices_of(mode_words)));
    std::vector<Mode> out;
    for (const auto& word : words) out.push_back(value_in(mode_words, word));
    if (regime == Regime::qualified && type != CertificateType::lcp &&
        std::ranges::find(out, Mode::explicit_mode) != out.end())
        return table.error_at(
            "modes", "\"explicit\" hands over PIN and code in clear, under policy \"qualified\" only for LCP [SAM-03]",
            "write [\"page\"]");
    return out;
}

bool is_word(std::string_view text) {
    return !text.empty() && text.size() <= 64 && text.front() != '-' && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Result<std::vector<std::string>> read_proofing(TomlTable& table) {
    QSCD_TRY(auto methods, table.strings_or("proofing", {}));
    for (auto method = methods.begin(); method != methods.end(); ++method) {
        if (!is_word(*method))
            return table.error_at("proofing", "this is not the name of a method",
                                  "write small letters, digits and dashes, such as \"live-video\"");
        if (std::find(methods.begin(), method, *method) != method)
            return table.error_at("proofing", "\"" + *method + "\" stands there twice", "write it once");
    }
    return methods;
}

}  // namespace

std::string_view name_of(Regime regime) { return text_in(regime_words, regime); }
std::string_view name_of(Mode mode) { return text_in(mode_words, mode); }
std::string_view name_of(Placement placement) { return text_in(placement_words, placement); }

Result<Profile> Profile::read(std::string_view name, TomlTable& table) {
    if (!is_word(name))
        return table.error("this is not a profile's name", "write 1 to 64 small letters, digits and dashes");
    QSCD_TRY(const auto type, read_type(table));
    QSCD_TRY(const auto regime_word, table.one_of_or("policy", "qualified", choices_of(regime_words)));
    const auto regime = value_in(regime_words, regime_word);
    QSCD_TRY(const auto lifetime, read_lifetime(table));
    QSCD_TRY(auto keys, read_keys(table));
    QSCD_TRY(const auto placement, read_placement(table));
    QSCD_TRY(auto own_policy, read_own_policy(table));
    QSCD_TRY(auto pds, read_pds(table, type));
    QSCD_TRY(auto proofing, read_proofing(table));
    QSCD_TRY(const auto pin, read_pin(table));
    QSCD_TRY(auto factors, read_factors(table));
    QSCD_TRY(auto modes, read_modes(table, regime, type));
    QSCD_TRY(const auto multisign, table.integer_or("multisign", 100, 1, 100));
    QSCD_TRY(const auto sad_seconds, table.integer_or("sad_seconds", 120, 10, 300));
    QSCD_TRY(const auto otp_failures, table.integer_or("otp_failures_a_day", 30, 1, 30));
    return Profile{Chosen{
        .name = std::string{name},
        .regime = regime,
        .type = type,
        .own_policy = std::move(own_policy),
        .pds = std::move(pds),
        .lifetime = lifetime,
        .proofing = std::move(proofing),
        .keys = std::move(keys),
        .placement = placement,
        .pin = pin,
        .totp = factors.totp,
        .sms = factors.sms,
        .expressions = std::move(factors.expressions),
        .otp_failures_a_day = static_cast<unsigned>(otp_failures),
        .modes = std::move(modes),
        .multisign = static_cast<unsigned>(multisign),
        .sad_life = seconds{sad_seconds},
    }};
}

bool Profile::allows(KeyKind kind) const { return std::ranges::find(chosen_.keys, kind) != chosen_.keys.end(); }
bool Profile::allows(Mode mode) const { return std::ranges::find(chosen_.modes, mode) != chosen_.modes.end(); }
bool Profile::allows(const FactorExpression& expression) const {
    return std::ranges::find(chosen_.expressions, expression) != chosen_.expressions.end();
}

}  // namespace qscd::policy
