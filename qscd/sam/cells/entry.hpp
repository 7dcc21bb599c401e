// What goes into one record of the log, before it has a number. Thread rules: a value.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/request_id.hpp"
#include "qscd/sam/cells/event.hpp"

namespace qscd::sam {

using Fields = std::vector<std::pair<std::string_view, std::string>>;

// `sealed` is for what only holders of the data key may read, such as which factor failed.
struct Entry {
    Event event;
    std::string actor;
    std::optional<CredentialId> credential = {};
    std::string result = "ok";
    Fields fields = {};
    std::string sealed = {};
    std::optional<RequestId> request = {};  // Ledger::record fills it in: the one that its thread works on
};

}  // namespace qscd::sam
