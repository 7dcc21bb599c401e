// A trial's SAM in a process of its own, so that it can be killed at any moment, and its folder, so that what it wrote can
// be taken back. The trial enrols and looks afterwards, in this process; in between its SAM stands still.
// Thread rules: one thread.
#pragma once

#include <filesystem>
#include <sys/types.h>

#include "tests/attack/wire.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::attack {

class SamProcess {
public:
    // Stops the trial's own SAM. Several live side by side: the first that was made is the last to go.
    explicit SamProcess(sam::TrialSam& trial);
    ~SamProcess();  // and gives the trial its SAM back
    SamProcess(const SamProcess&) = delete;

    // Returns when it answers health. False: it does not serve; the reason is in condition().
    bool start();
    void launch();  // without waiting
    bool serves();  // asks for health
    void kill();    // SIGKILL: nothing is finished, nothing is said
    void pause();   // SIGSTOP; at a moment when it holds no lock on a file, which no module and no server would know
    void go_on();   // SIGCONT
    // As samd stops: what is under way is finished. Its exit status, as samd's: process::stay_down when it was fenced, 1
    // when it lost its state; nothing when it did not run or was killed.
    std::optional<int> stop();
    const std::string& condition() const { return condition_; }

    bool set_clock(TimePoint now);  // false: it is gone
    void advance(std::chrono::seconds by) { EXPECT_TRUE(set_clock(trial_.clock.now() + by)) << "it is gone"; }

    Wire& gateway() { return gateway_; }
    Wire& bootstrap() { return bootstrap_; }
    Result<std::string> authorise(const sam::Credential& credential, const std::vector<std::string>& documents,
                                  const std::string& pin = "48151623");  // with the code of now; a SAD token

private:
    [[noreturn]] void live(Descriptor gateway, Descriptor bootstrap, Descriptor orders) noexcept;
    std::optional<int> forget();
    sam::TrialSam& trial_;
    bool gives_back_;
    ::pid_t pid_ = -1;
    Wire gateway_, bootstrap_;
    Descriptor orders_;
    std::string condition_;
};

// Messages as the gateway sends them. Documents are hashed with SHA-256.
pb::SamRequest sign_request(const CredentialId& credential, const std::string& sad,
                            const std::vector<std::string>& documents, const std::string& client = "portal",
                            const std::string& key = "");
pb::SamRequest authorise_request(const CredentialId& credential, const std::vector<std::string>& documents,
                                 const std::string& pin, const std::string& code, const std::string& held = "TOTP",
                                 const std::string& client = "portal");

// Everything the store file holds, as a copy of its files. Whoever has the database can put it back.
class StoreCopy {
public:
    StoreCopy(const std::filesystem::path& folder, const std::string& name);
    void put_back() const;

protected:
    std::filesystem::path folder_, copy_;
};
// The same for the folder in which the software token keeps its objects.
class TokenCopy {
public:
    TokenCopy(const std::filesystem::path& folder, const std::string& name);
    void put_back() const;

private:
    std::filesystem::path folder_, copy_;
};

// The full size by QSCD_ATTACK_FULL=1 (`./dev attack`), else the one for every change.
std::size_t size_of_attack(std::size_t everyday, std::size_t full);

}  // namespace qscd::attack
