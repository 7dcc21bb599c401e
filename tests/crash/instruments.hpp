// What stands between the daemons and the machine: each of samd, cad, rad and gatewayd is started through a script that
// preloads the power-cut library, says where the file of the crash points is, and gives its module's spy a log. The
// product itself passes none of this on. Thread rules: one thread.
#pragma once

#include "tests/crash/powercut/possible_disk.hpp"
#include "tests/integration/running_deployment.hpp"

namespace qscd::crash {

inline constexpr std::array victims{std::string_view{"samd"}, std::string_view{"cad"}, std::string_view{"rad"},
                                    std::string_view{"gatewayd"}};

class Instruments {
public:
    // `plant`: what the power-cut library of `planted` does wrong; empty for nothing.
    Instruments(std::string plant, std::string planted) : plant_(std::move(plant)), planted_(std::move(planted)) {}

    integration::RunningDeployment::How how();

    // Daemons crash at the n-th passage of this point; one shot.
    void arm(std::string_view point, unsigned passage) const;
    bool armed() const;
    void disarm() const;

    // From now on a daemon that was started waits before it does anything, until let_go(). is_held(): it waits, so the one
    // before it is gone.
    void hold(std::string_view daemon) const;
    bool is_held(std::string_view daemon) const;
    void let_go(std::string_view daemon) const;

    static std::string sync_of(const std::string& daemon) { return daemon + ".sync"; }  // a crash point
    const Shadow& disk_of(std::string_view daemon) const { return disks_.at(std::string{daemon}); }
    std::filesystem::path calls() const { return top_ / "spy" / "calls.log"; }
    void command_spy(std::string_view lines) const;  // see tests/instruments/pkcs11_spy/faults.hpp

private:
    void build(integration::RunningDeployment& deployment);
    std::filesystem::path gate(std::string_view daemon, const char* what) const;
    std::string plant_, planted_;
    std::filesystem::path top_;
    std::map<std::string, Shadow> disks_;
};

}  // namespace qscd::crash
