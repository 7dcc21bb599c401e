// Where a test's store is: the file it names or, where the environment says QSCD_TEST_STORE=postgresql, a schema of its
// own on a server that all tests of the binary share. The same file is the same schema. And what people do to a store
// behind its owner's back, in words that both kinds know. Thread rules: one thread, the test's.
#pragma once

#include <map>

#include "tests/instruments/cluster/cluster.hpp"

namespace qscd::instruments {

bool on_postgresql();
Cluster& shared_cluster();  // started at the first use, gone after the last test
store::Location place_of(const std::filesystem::path& file);

// All rows of all tables, and a store that holds these again and nothing else. Nobody may have it open meanwhile.
using Contents = std::map<std::string, std::vector<store::Row>>;
std::string spelt_for(const store::Location& place, std::string sql);  // from SQLite's x'00', BLOB, char()
Contents contents_of(const store::Location& place);
void put_back(const store::Location& place, const Contents& contents);

}  // namespace qscd::instruments
