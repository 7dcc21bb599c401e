// The tables of the registration authority, numbered; never edited once released.
#pragma once

#include <array>

#include "base/store/database.hpp"

namespace qscd::ca {

inline constexpr std::array registration_migrations{
    store::Migration{1, R"sql(
CREATE TABLE account (
    signer          BLOB    PRIMARY KEY,
    username        VARCHAR NOT NULL UNIQUE,
    email           VARCHAR NOT NULL,
    email_key       VARCHAR NOT NULL UNIQUE,
    phone           VARCHAR NOT NULL UNIQUE,
    password        VARCHAR NOT NULL,
    phone_device    BLOB    NOT NULL UNIQUE,
    app_device      BLOB    NOT NULL UNIQUE,
    created_at      BIGINT  NOT NULL
);
CREATE TABLE request (
    enrolment       BLOB    PRIMARY KEY,
    signer          BLOB    NOT NULL REFERENCES account (signer),
    content         BLOB    NOT NULL,
    profile         VARCHAR NOT NULL,
    proofing        VARCHAR NOT NULL,
    grant_body      BLOB    NOT NULL,
    created_at      BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL
);
CREATE INDEX request_content ON request (content);
CREATE TABLE acceptance (
    enrolment       BLOB    PRIMARY KEY REFERENCES request (enrolment),
    terms_digest    BLOB    NOT NULL,
    language        VARCHAR NOT NULL,
    accepted_at     BIGINT  NOT NULL,
    digest          BLOB    NOT NULL
);
CREATE TABLE grant_paper (
    enrolment       BLOB    PRIMARY KEY REFERENCES request (enrolment),
    paper           BLOB    NOT NULL,
    approved_at     BIGINT  NOT NULL
)
)sql"},
};

}  // namespace qscd::ca
