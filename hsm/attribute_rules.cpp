#include "hsm/attribute_rules.hpp"

namespace qscd::hsm {

std::vector<CK_ATTRIBUTE> template_of(std::span<const AttributeRule> rules, bool with_optional) {
    std::vector<CK_ATTRIBUTE> out;
    for (const auto& rule : rules)
        if (rule.ask && (with_optional || !rule.optional)) out.push_back(attribute(rule.type, rule.value));
    return out;
}

Result<Evidence> read_back(Session& session, CK_OBJECT_HANDLE object, std::span<const AttributeRule> rules,
                           bool with_optional) {
    Evidence evidence;
    for (const auto& rule : rules) {
        if (rule.optional && !with_optional) continue;
        QSCD_TRY(auto value, session.read(object, rule.type));
        if (value.size() != 1 || value[0] != rule.value)
            return Error{Errc::internal, "the token says otherwise of " + std::string{rule.name}};
        evidence.emplace_back(rule.name, value[0] == CK_TRUE ? "true" : "false");
    }
    return evidence;
}

}  // namespace qscd::hsm
