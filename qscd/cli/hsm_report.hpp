// A probe's report for people and for programs.
#pragma once

#include <boost/json/object.hpp>

#include "hsm/probe/probe.hpp"
#include "policy/module_registry.hpp"

namespace qscd::cli {

// What our server could do with such a token and what not, a sentence each.
std::vector<std::string> in_words(const hsm::ProbeReport& report);
// How a module registry's entry for it would begin, in TOML.
std::string proposed_entry(const hsm::ProbeReport& report, std::string_view library);
boost::json::object json_of(const hsm::ProbeReport& report);

}  // namespace qscd::cli
