// A SoftHSM2 token with the spy before it, in this process. The spy is loaded once a process and keeps the files it was
// given first: one such token a test binary, all its tests share it, unless each has its own by load_own().
#pragma once

#include <cstdlib>

#include "base/file.hpp"
#include "tests/instruments/pkcs11_spy/call_log.hpp"
#include "tests/instruments/pkcs11_spy/spy_instance.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {

struct SpiedToken : SoftToken {
    explicit SpiedToken(const std::string& name) : SoftToken(name) {
        ::setenv("QSCD_SPY_TARGET", library().c_str(), 1);
        ::setenv("QSCD_SPY_LOG", log().c_str(), 1);
        ::setenv("QSCD_SPY_FAULTS", faults().c_str(), 1);
    }
    Result<std::shared_ptr<Module>> load_spied() const { return load(QSCD_SPY_LIBRARY); }
    // A spy of this token's own before a SoftHSM2 of its own, whatever else the process has loaded: both are copied.
    Result<std::shared_ptr<Module>> load_own() const {
        std::filesystem::copy_file(library(), folder / "module.so");
        std::filesystem::copy_file(QSCD_SPY_LIBRARY, own_spy());
        ::setenv("QSCD_SPY_TARGET", (folder / "module.so").c_str(), 1);
        return load(own_spy());
    }
    std::filesystem::path own_spy() const { return folder / "spy.so"; }

    std::filesystem::path log() const { return folder / "calls.log"; }
    std::filesystem::path faults() const { return folder / "faults"; }
    // Written beside and renamed: the spy sees a new file.
    void command(std::string_view lines) const { (void)write_file(faults(), lines).value(); }
    // From now on; what the log held is dropped.
    void start_counting() const { std::filesystem::resize_file(log(), 0); }
    std::vector<spy::Call> calls() const { return spy::calls_in(log()); }
};

}  // namespace qscd::hsm
