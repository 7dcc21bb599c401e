#include "base/request_id.hpp"

#include <gtest/gtest.h>
#include <thread>

namespace qscd {
namespace {

TEST(RequestScope, AUD_02_NamesWhatThisThreadWorksOnAndNestsWell) {
    EXPECT_FALSE(current_request());
    const auto outer = new_request_id(), inner = new_request_id();
    EXPECT_NE(outer, inner);
    {
        const RequestScope scope{outer};
        EXPECT_EQ(current_request(), outer);
        {
            const RequestScope nested{inner};
            EXPECT_EQ(current_request(), inner);
            const RequestScope none{std::nullopt};
            EXPECT_FALSE(current_request());
        }
        EXPECT_EQ(current_request(), outer);
        std::thread{[] { EXPECT_FALSE(current_request()); }}.join();
    }
    EXPECT_FALSE(current_request());
}

TEST(RequestScope, AnIdIsThirtyTwoHexDigits) { EXPECT_EQ(new_request_id().hex().size(), 32U); }

}  // namespace
}  // namespace qscd
