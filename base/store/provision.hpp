// Rooms for daemons in one PostgreSQL database: for each a role that may log in and nothing else, and a schema of the
// same name that belongs to it, so that none reads another's. What is sent of a password is its SCRAM-SHA-256 verifier
// [RFC 5803], so the server's log cannot hold it. Thread rules: those of the Database.
#pragma once

#include "base/store/database.hpp"

namespace qscd::store {

struct Room {
    std::string name;  // of role and schema
    const SecretBytes& password;
};

// `administrator`: a connection without a schema, as a superuser, or as the database's owner with CREATEROLE. Takes the
// database from PUBLIC and gives each role the right to connect. All rooms or none. Errc::configuration: too few rights,
// a name that is taken or not plain.
Result<void> provision(Database& administrator, const std::vector<Room>& rooms);

// The same questions, and nothing changed: rights and free names.
Result<void> can_provision(Database& administrator, const std::vector<std::string>& names);

}  // namespace qscd::store
