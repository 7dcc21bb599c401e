// What we ask for when a key is made and what must come back. Everything is written out: defaults differ between modules.
// Private to the room. [QSCD-02]
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hsm/session.hpp"

namespace qscd::hsm {

struct AttributeRule {
    CK_ATTRIBUTE_TYPE type;
    std::string_view name;
    CK_BBOOL value;
    bool ask;       // false: the token says it, we cannot ask for it
    bool optional;  // modules that do not know the attribute are asked again without it
};

using Evidence = std::vector<std::pair<std::string, std::string>>;

// Points into `rules`, which must outlive it.
std::vector<CK_ATTRIBUTE> template_of(std::span<const AttributeRule> rules, bool with_optional);

// Errc::internal, naming the attribute, when the token says otherwise.
Result<Evidence> read_back(Session& session, CK_OBJECT_HANDLE object, std::span<const AttributeRule> rules,
                           bool with_optional);

}  // namespace qscd::hsm
