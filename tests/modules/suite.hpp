// The ground that every test of the suite stands on: one module with one token, set up at the first test that asks for it
// and kept until the last, and what its probe found. What a module cannot do is decided from that alone.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "hsm/mixed_random.hpp"
#include "hsm/probe/probe.hpp"
#include "tests/instruments/modules/modules.hpp"

namespace qscd::modules {

// A module set up, loaded, its token open and probed.
struct Ground {
    static constexpr unsigned threads = 2;
    std::unique_ptr<instruments::ModulePlace> place;
    std::shared_ptr<hsm::Module> module;
    std::unique_ptr<hsm::Token> token;
    hsm::ProbeReport report;
    Error refusal = {};  // why there is none, if there is none

    Result<void> open();  // the token, again
};
Ground& ground_of(const instruments::TestModule& module);

// Empty when the probe found it; else what the module lacks, in words.
std::string lacks(const hsm::ProbeReport& report, std::string_view finding);

class OnEveryModule : public ::testing::Test {
protected:
    virtual const instruments::TestModule& tested() const = 0;
    void SetUp() override;
    void TearDown() override;
    hsm::Token& token() const { return *ground_->token; }
    hsm::Module& module() const { return *ground_->module; }
    const hsm::ProbeReport& report() const { return ground_->report; }

    bool found(std::string_view finding) const { return report().has(finding); }
    static std::string_view made_finding(KeyKind kind);

    // A key that the token makes and tells the truth of; where it does not, so that Token refuses to make one, a key as
    // another program would have made it.
    struct Made {
        std::shared_ptr<hsm::KeyObject> key;
        Bytes public_key;  // empty for an HMAC key
    };
    Result<Made> make_pair(KeyKind kind, const CkaId& id, const std::string& label);
    Result<Made> make_hmac_key(const CkaId& id, const std::string& label);
    // A key pair of the first kind that the module has.
    Result<Made> make_some_pair(const CkaId& id, const std::string& label) { return make_pair(some_kind(), id, label); }
    KeyKind some_kind() const;
    static Scheme scheme_of(KeyKind kind) { return row_of(kind).elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1; }

    Ground* ground_ = nullptr;
};

class ModuleSuite : public OnEveryModule, public ::testing::WithParamInterface<instruments::TestModule> {
protected:
    const instruments::TestModule& tested() const override { return GetParam(); }
};

std::string name_of(const instruments::TestModule& module);  // as GoogleTest takes it

bool verifies(ByteView spki, Scheme scheme, const DtbsR& dtbsr, ByteView signature);  // with OpenSSL
DtbsR hash_of(std::string_view document, HashAlgorithm algorithm = HashAlgorithm::sha256);

}  // namespace qscd::modules

// Skips the test where the module cannot do it, and says what it lacks.
#define QSCD_NEEDS(finding) \
    if (const auto lacking = ::qscd::modules::lacks(report(), finding); !lacking.empty()) GTEST_SKIP() << lacking
