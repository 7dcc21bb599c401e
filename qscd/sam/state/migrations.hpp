// The tables of samd's store [sam-state 2]. Numbered, never edited once released.
#pragma once

#include <array>

#include "base/store/database.hpp"

namespace qscd::sam {

inline constexpr std::array migrations{store::Migration{1, R"sql(
    CREATE TABLE log (seq BIGINT PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE head (size BIGINT PRIMARY KEY, text VARCHAR NOT NULL, base BIGINT NOT NULL, frontier BLOB NOT NULL);
    CREATE TABLE epoch (number BIGINT PRIMARY KEY, paper BLOB NOT NULL);
    CREATE TABLE cell (idx BIGINT PRIMARY KEY, kind BIGINT NOT NULL, id BLOB NOT NULL, version BIGINT NOT NULL,
                       newest BIGINT NOT NULL, digest BLOB NOT NULL);
    CREATE TABLE blob (idx BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, sealed BLOB NOT NULL);
)sql"}};

}  // namespace qscd::sam
