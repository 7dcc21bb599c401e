// Hands statusd what everybody may read: the certificates of our authorities, the root's CRL as the owner's command
// left it, and the issuing CAs' CRLs, signed anew at the start, every 24 hours, and as soon as a token that was away is
// back.
// [EN 319 411-1, CSS-6.3.9-05] [certificate profile, section 7]
// Thread rules: one thread of its own does everything; wake() is safe from every thread.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <thread>

#include "base/diagnostics.hpp"
#include "ca/issuing/issuing.hpp"
#include "protocol/services.pb.h"

namespace qscd::ca {

class Publisher {
public:
    struct Parts {
        const Hierarchy& hierarchy;
        Register& register_of_certificates;
        AuthorityKeys keys;
        const Clock& clock;
        std::filesystem::path root_crl;                                 // DER
        std::function<Result<void>(const pb::StatusRequest&)> publish;  // to statusd
        std::chrono::milliseconds patience{5'000};  // between looks at the clock, and between retries
    };
    explicit Publisher(Parts parts);
    ~Publisher();  // joins

    // statusd is there, perhaps for the first time: publish everything again.
    void wake();

private:
    struct Crl {
        Bytes der;
        TimePoint made_at, next_update;
    };
    void run();
    bool publish_all();
    bool renew_crls();  // whether there is a new one
    bool send(std::string path, ByteView content, TimePoint next_update);
    void complain(Level level, std::string_view event, const std::string& about, const Error& error);
    void settle(const std::string& about) { complaints_.erase(about); }
    Parts parts_;
    // Touched by the thread alone.
    std::map<std::string_view, Crl> crls_;           // by authority
    std::map<std::string, std::string> complaints_;  // what was last said about whom: nothing is said twice in a row
    std::mutex lock_;
    std::condition_variable changed_;
    bool stopping_ = false, woken_ = true;
    std::thread thread_;
};

}  // namespace qscd::ca
