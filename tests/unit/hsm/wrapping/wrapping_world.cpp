#include "tests/unit/hsm/wrapping/wrapping_world.hpp"

namespace qscd::hsm {
namespace {

WrappingWorld one;

struct Environment : ::testing::Environment {
    void SetUp() override {
        one.place = std::make_unique<SpiedToken>("wrapping");
        one.module = one.place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*one.module, "signers"));
        one.token = SoftToken::open(one.module, "signers", 2).value();
        const auto permit = may_wrap(probe(*one.token, Depth::start).value());
        ASSERT_TRUE(permit) << describe(permit.error());
        one.binding = one.token->generate_hmac_key(random_fixed<CkaId>(), "binding").value();
        one.wrapping = std::make_unique<Wrapping>(*one.token, permit.value(), one.binding);
        one.kek = one.wrapping->make_kek(random_fixed<CkaId>(), "kek-1").value();
    }
    void TearDown() override {
        one.wrapping.reset();
        one.binding.reset();
        one.token.reset();
        one.module.reset();
        one.place.reset();
    }
};
[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new Environment);

}  // namespace

WrappingWorld& WrappingWorld::the() { return one; }

}  // namespace qscd::hsm
