// `qscd signer …`: accounts and enrolment, carrying the papers from rad to samd to cad and back. Every step is idempotent:
// after an interruption the same command is typed again. [design 5]
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct AddSigner {
    std::string username, email, phone;
    int password_descriptor = -1;
};
Result<void> add_signer(const Options& options, const AddSigner& wanted);

struct Enrol {
    std::string username, profile, key = "P-256";
    std::string country, given_name, surname, serial_number, common_name;
    std::string proofing, evidence;  // method, and a file whose digest is recorded; may be empty
    std::filesystem::path officer_key,
        terms;  // the officer's key for qualified types; the terms that the signer accepted
};
// Request, acceptance, Grant, reservation; the code goes to the signer's phone. Answers the enrolment.
Result<void> enrol(const Options& options, const Enrol& wanted);

struct Activate {
    std::string enrolment;
    int pin_descriptor = -1, code_descriptor = -1;
    std::filesystem::path terms;        // as accepted
    std::filesystem::path certificate;  // where to write it, when not empty
};
// PIN and code, key, KeyProof, certificate, activation. Answers the credential and, once, the app's secret.
Result<void> activate(const Options& options, const Activate& wanted);

// Its key is destroyed in its token. Errc::token_away: the credential signs no more, and its key goes when the token is
// back.
Result<void> destroy_credential(const Options& options, const std::string& credential, const std::string& reason);

Result<void> set_credential_status(const Options& options, const std::string& credential, bool disabled,
                                   const std::string& reason);

}  // namespace qscd::cli
