// The logo that `info` names until an operator has one: PNG, 64 x 64. Thread rules: constant.
#pragma once

#include <string>

namespace qscd::gateway {

const std::string& logo_png();

}  // namespace qscd::gateway
