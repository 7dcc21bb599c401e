#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "qscd/gateway/csc/methods.hpp"
#include "qscd/gateway/csc/routes.hpp"
#include "qscd/gateway/csc/sign_algorithm.hpp"

namespace qscd::gateway {
namespace {

namespace bj = boost::json;

constexpr std::string_view specification = "2.0.0.2";

// PSS once for each hash, so that algoParams, which runs beside algos, can say its parameters.
bj::object algorithms() {
    bj::array oids, parameters;
    for (const auto& row : sign_algorithms) {
        if (row.scheme != Scheme::rsa_pss) {
            oids.emplace_back(row.oid);
            parameters.emplace_back("");
            continue;
        }
        for (const auto& hash : hash_rows) {
            oids.emplace_back(row.oid);
            parameters.emplace_back(to_base64(pss_parameters(hash.algorithm)));
        }
    }
    return {{"algos", std::move(oids)}, {"algoParams", std::move(parameters)}};
}

}  // namespace

net::Response json_response(const bj::object& object) { return {200, "application/json", bj::serialize(object)}; }

Result<net::Response> info(Service& service, const Call& call) {
    constexpr std::size_t longest_tag = 64;
    QSCD_TRY(call.body.optional_string("lang", longest_tag));  // one language is spoken; `lang` says which
    const auto& us = service.deployment;
    bj::array methods;
    for (const auto name : method_names()) methods.emplace_back(name);
    bj::object out{{"specs", specification},
                   {"name", us.name},
                   {"logo", us.public_url + std::string{logo_path}},
                   {"region", us.region},
                   {"lang", us.language},
                   {"description", us.description},
                   {"authType", bj::array{"oauth2client"}},
                   {"oauth2", us.public_url + "/csc/v2"},
                   {"methods", std::move(methods)},
                   {"signAlgorithms", algorithms()},
                   {"signature_formats", bj::object{{"formats", bj::array{}}, {"envelope_properties", bj::array{}}}},
                   {"conformance_levels", bj::array{}}};
    if (service.policy.has_trial()) out.emplace("policy", "trial");
    return json_response(out);
}

}  // namespace qscd::gateway
