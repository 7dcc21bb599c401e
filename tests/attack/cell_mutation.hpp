// Every way in which one cell can say something else: a walk over the fields of its message, nested ones too, so that a
// new field is attacked from the day it is written. Thread rules: pure.
#pragma once

#include <functional>
#include <google/protobuf/message.h>
#include <string>
#include <vector>

namespace qscd::attack {

struct FieldChange {
    std::string name;  // "sads.hashes.used"
    std::function<void(google::protobuf::Message&)> make;
};
// At least one for each field that `message` and the messages below it have. Ends the process at a type of field that it
// does not know.
std::vector<FieldChange> field_changes(const google::protobuf::Descriptor& message);

}  // namespace qscd::attack
