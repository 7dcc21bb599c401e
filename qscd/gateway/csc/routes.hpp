// The whole of what is served: one row a path. Thread rules: constants.
#pragma once

#include <span>
#include <vector>

#include "qscd/gateway/service.hpp"

namespace qscd::gateway {

enum class Body { ignored, json, json_or_nothing, form };

struct Route {
    std::string_view verb, path;
    bool needs_bearer;
    Body body;
    Result<net::Response> (*handler)(Service&, const Call&);
};

inline constexpr std::string_view api_base = "/csc/v2/", logo_path = "/logo.png";

std::span<const Route> routes();

// For info.methods: what is served below api_base, but for info and the OAuth endpoints.
std::vector<std::string_view> method_names();

}  // namespace qscd::gateway
