// What can go wrong, said once. Functions that can fail return Result<T>; exceptions stay for bugs and are caught once
// at the edge of a process. Thread rules: values, no shared state.
#pragma once

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/try.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace qscd {

// One value for each row that the outside can see. The CSC error catalogue (qscd/gateway/csc/error_catalogue.cpp) alone
// maps a value to status, `error` and `error_description`. The numbers travel between daemons: append, never renumber.
enum class Errc : unsigned {
    body_malformed = 1,       // not JSON, duplicate key, bad UTF-8, too long, too deep
    parameter_missing,        // absent, or of the wrong type
    parameter_invalid,        // out of range or unknown; also a credential that is not the caller's
    oauth_parameter_missing,  // absent from a form of the OAuth endpoints, whose rows name no type
    hashes_empty,
    hash_not_base64,
    hash_wrong_length,
    signature_count_invalid,  // numSignatures below 1
    too_many_signatures,      // numSignatures above multisign
    factors_wrong,            // PIN or code: which of them, nobody outside learns
    credential_locked,
    credential_disabled,
    certificate_expired,
    sad_expired,
    hash_not_authorised,
    bearer_malformed,
    bearer_missing,
    bearer_invalid,
    bearer_expired,
    client_authentication_missing,
    too_many_requests,
    not_supported,
    access_denied,  // understood and authentic, but policy says no
    paper_refused,  // a Grant, KeyProof or receipt that does not verify, or does not belong here
    configuration,  // what the operator wrote cannot be; the detail names file, line and key
    out_of_order,   // right message, wrong phase
    token_away,     // the HSM; trying again later may help
    service_away,   // another of our daemons; trying again later may help
    store_away,     // the store cannot record: so nothing is done
    internal,       // our bug, or an outcome that cannot be known
    sealed,         // the SAM's state waits for people: a start found what it must not go on from
    fenced,         // another owner took the SAM's state over: this one ends and does not come back by itself
    key_gone,       // the token is there and the key is not: somebody destroyed it
};

inline constexpr Errc last_errc = Errc::key_gone;

// As CSC spells a parameter in its error texts: {"string", "credentialID"}.
struct Parameter {
    std::string type, name;
};

struct Error {
    Errc code{};
    std::string detail = {};  // for the log and the local operator; never leaves the host
    Parameter parameter = {};
};

// Asking a failed Result for its value ends the process: a wrong guess about success must not go on.
template <class T>
using Result = boost::outcome_v2::basic_result<T, Error, boost::outcome_v2::policy::terminate>;

inline auto success() { return boost::outcome_v2::success(); }

std::string_view name_of(Errc code);

// "token_away: C_Login", for logs and for people at the command line.
std::string describe(const Error& error);

}  // namespace qscd

// Returns the error to our caller. Several statements: the body of an `if` or a loop needs its braces.
#define QSCD_TRY(...) BOOST_OUTCOME_TRY(__VA_ARGS__)
