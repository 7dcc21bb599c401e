// The tables of the certificate register, numbered; never edited once released.
#pragma once

#include <array>

#include "base/store/database.hpp"

namespace qscd::ca {

inline constexpr std::array register_migrations{
    store::Migration{1, R"sql(
CREATE TABLE certificate (
    number          INTEGER PRIMARY KEY,
    issuer          VARCHAR NOT NULL,
    serial          BLOB    NOT NULL,
    enrolment       BLOB    NOT NULL UNIQUE,
    credential      BLOB    NOT NULL UNIQUE,
    key_digest      BLOB    NOT NULL UNIQUE,
    type            BIGINT  NOT NULL,
    grant_digest    BLOB    NOT NULL,
    proof_digest    BLOB    NOT NULL,
    grant_paper     BLOB    NOT NULL,
    proof_paper     BLOB    NOT NULL,
    tbs             BLOB    NOT NULL,
    state           VARCHAR NOT NULL,
    not_after       BIGINT  NOT NULL,
    certificate     BLOB,
    reserved_at     BIGINT  NOT NULL,
    issued_at       BIGINT,
    active_at       BIGINT,
    UNIQUE (issuer, serial)
);
CREATE TABLE crl (
    issuer          VARCHAR PRIMARY KEY,
    number          BIGINT  NOT NULL
)
)sql"},
};

}  // namespace qscd::ca
