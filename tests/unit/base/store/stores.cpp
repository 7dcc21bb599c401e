#include "tests/unit/base/store/stores.hpp"

#include <unistd.h>

namespace qscd::store {
std::string fresh_name() {
    static int count = 0;
    return "daemon_" + std::to_string(++count);
}

std::string name_of(const testing::TestParamInfo<Kind>& info) {
    return info.param == Kind::sqlite ? "SQLite" : "PostgreSQL";
}

void OnBothStores::SetUp() {
    folder_ = std::filesystem::temp_directory_path() / ("qscd-database-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    if (GetParam() == Kind::sqlite) location_.emplace(folder_ / "a.sqlite");
    else location_.emplace(cluster().room_for(fresh_name()));
    database_ = another();
    const Migration first{1, "CREATE TABLE t (k BIGINT PRIMARY KEY, name VARCHAR, data BLOB)"};
    ASSERT_TRUE(database_->migrate(std::span{&first, 1}));
}

void OnBothStores::TearDown() {
    database_.reset();
    std::filesystem::remove_all(folder_);
}

}  // namespace qscd::store
