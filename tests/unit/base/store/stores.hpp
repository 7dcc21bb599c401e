// Both kinds of store for one test text: each test gets an empty one. The PostgreSQL server is shared by the
// binary.
#pragma once

#include <gtest/gtest.h>

#include "base/store/database.hpp"
#include "tests/instruments/cluster/place.hpp"

namespace qscd::store {

inline instruments::Cluster& cluster() { return instruments::shared_cluster(); }
std::string fresh_name();  // of a role and its schema

enum class Kind { sqlite, postgresql };
std::string name_of(const testing::TestParamInfo<Kind>& info);

class OnBothStores : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override;
    void TearDown() override;
    std::unique_ptr<Database> another() const { return Database::open(*location_).value(); }

    std::filesystem::path folder_;
    std::optional<Location> location_;
    std::unique_ptr<Database> database_;
};

}  // namespace qscd::store
