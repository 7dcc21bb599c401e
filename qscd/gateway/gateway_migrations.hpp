// The tables of the gateway, numbered; never edited once released.
#pragma once

#include <array>

#include "base/store/database.hpp"

namespace qscd::gateway {

inline constexpr std::array gateway_migrations{
    store::Migration{1, R"sql(
CREATE TABLE client (
    id              VARCHAR PRIMARY KEY,
    name            VARCHAR NOT NULL,
    secret_digest   BLOB    NOT NULL,
    redirect_uri    VARCHAR NOT NULL
);
CREATE TABLE client_signer (
    client          VARCHAR NOT NULL REFERENCES client (id),
    signer          BLOB    NOT NULL,
    PRIMARY KEY (client, signer)
);
CREATE TABLE access_token (
    digest          BLOB    PRIMARY KEY,
    client          VARCHAR NOT NULL REFERENCES client (id),
    scope           VARCHAR NOT NULL,
    expires         BIGINT  NOT NULL
);
CREATE INDEX access_token_expires ON access_token (expires)
)sql"},
};

}  // namespace qscd::gateway
