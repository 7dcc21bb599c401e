// Load on a running deployment: signers who sign with app codes and with SMS codes, people who enrol, people who type wrong
// PINs, portals that log in and are registered. Between two loads, when all daemons are up again, settle() asks again
// what was left without an answer and what must still be so.
// Thread rules: one thread, which starts and stops the load's own.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <thread>

#include "tests/crash/enrolment_run.hpp"
#include "tests/crash/portal_client.hpp"

namespace qscd::crash {

class Load {
public:
    Load(World& world, std::uint64_t seed);
    ~Load();

    // The first signers; nothing crashes meanwhile. Throws when it does not work.
    void prepare();

    // `insists`: enrolments, SMS codes and registrations go on and on, instead of one each.
    void start(bool insists = false);
    void stop();
    // Everything is up again, nobody works.
    void settle();
    // Before the next load: tokens may have expired.
    void log_in();

    const std::string& a_credential() const { return signers_.front()->credential; }

private:
    struct Pending {  // a signing without an answer, or one that was not asked for yet
        std::size_t signing;
        std::string sad, key;
        TimePoint sad_expires;
        bool asked;
    };
    struct Signer {
        Signer(World& world, EnrolmentRun& enrolled, unsigned number, std::uint64_t seed);
        Person person;
        std::string credential;
        X509Cert certificate;
        PortalClient portal;
        std::mt19937_64 random;
        std::vector<Pending> pending;
        std::optional<Pending> last_done;
        std::string last_code;  // accepted
    };
    struct Victim {
        Victim(World& world, EnrolmentRun& enrolled, unsigned number);
        Person person;
        std::string credential;
        PortalClient portal;
        bool blocked = false;
    };

    void signs(const std::stop_token& stop, Signer& signer);
    void sign_with_app(const std::stop_token& stop, Signer& signer);
    void sign_part(Signer& signer, Pending part);
    void signs_with_sms(const std::stop_token& stop, Signer& signer);
    void sign_with_sms(Signer& signer);
    void replay(Signer& signer);
    void enrols(const std::stop_token& stop);
    void types_wrong_pins(const std::stop_token& stop);
    void try_wrong_pin(Victim& victim);
    void registers(const std::stop_token& stop);

    std::vector<Bytes> fresh_hashes(std::mt19937_64& random);
    Person next_person() { return Person{++people_}; }
    std::unique_ptr<EnrolmentRun> enrolled_now(const std::string& profile);

    World& world_;
    std::mt19937_64 random_;
    unsigned people_ = 0, portals_ = 0;
    std::atomic<unsigned> documents_ = 0, keys_ = 0;
    std::vector<std::unique_ptr<Signer>> signers_;  // with an app
    std::unique_ptr<Signer> by_sms_;
    std::vector<std::unique_ptr<Victim>> victims_;
    std::unique_ptr<EnrolmentRun> enrolling_, last_enrolled_;
    std::unique_ptr<PortalClient> registered_;
    bool insists_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace qscd::crash
