// Rounds of load, crash, restart and checks on one deployment. Thread rules: one thread.
#pragma once

#include "tests/crash/instruments.hpp"
#include "tests/crash/load.hpp"
#include "tests/crash/points.hpp"

namespace qscd::crash {

class Harness {
public:
    explicit Harness(std::uint64_t seed, std::string plant = {}, std::string planted = {});

    // Each answers what was found wrong. Throws when the deployment does not come back: then nothing more can be asked.
    Findings kill_at_random(const std::vector<std::string>& daemons);
    Findings kill_at(const Point& point);
    Findings cut_power_of(const std::string& daemon);
    // A load without a crash, and every check there is.
    Findings look_closely();

    Findings found_so_far() { return world_.take_findings(); }
    Instruments& instruments() { return instruments_; }
    const World& world() const { return world_; }
    std::size_t kills(const std::string& daemon) const { return kills_.contains(daemon) ? kills_.at(daemon) : 0; }
    Loss loss() const { return loss_; }
    std::string progress() const;

private:
    void begin(bool insists = false);
    pid_t pid_of(std::string_view daemon) const;
    void kill(const std::string& daemon);
    void wait_until_all_is_well();
    Findings end(bool closely);
    void read_log();
    void read_calls();
    std::set<std::string> keys_in_token() const;
    Findings check_evidence();
    std::map<std::string, Registered> registered() const;

    std::mt19937_64 random_;
    Instruments instruments_;
    integration::RunningDeployment deployment_;
    World world_;
    Load load_;
    std::map<std::string, std::size_t> kills_;
    Loss loss_;
    unsigned rounds_ = 0, cuts_ = 0;

    std::vector<Record> records_;
    std::uint64_t next_ = 0;   // record to read
    std::string last_record_;  // its bytes: what was read stays as it was
    std::uintmax_t call_log_read_ = 0;
    std::map<std::string, CallsByDigest> calls_by_key_;
    std::size_t pins_compared_ = 0;
};

}  // namespace qscd::crash
