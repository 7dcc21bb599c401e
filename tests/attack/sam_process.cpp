#include "tests/attack/sam_process.hpp"

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process/daemon.hpp"

namespace qscd::attack {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view store_file = "samd.sqlite";

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

template <class Message>
void name_hashes(Message& message, const std::vector<std::string>& documents) {
    if (documents.empty()) return;
    message.set_hash_algorithm(static_cast<unsigned>(HashAlgorithm::sha256));
    for (const auto& document : documents) message.add_hashes(string_of(sam::hash_of(document).bytes()));
}

void copy_store(const fs::path& from, const fs::path& to) {
    for (const auto& file : fs::directory_iterator(to))
        if (file.path().filename().string().starts_with(store_file)) fs::remove(file.path());
    for (const auto& file : fs::directory_iterator(from))
        if (file.path().filename().string().starts_with(store_file))
            fs::copy_file(file.path(), to / file.path().filename());
}

// A lock that would keep others waiting, as the kernel lists them: a reader's too, but for the store's own files, which
// a reader of WAL holds as long as it lives.
bool holds_file_lock(::pid_t pid, const fs::path& store_folder) {
    std::set<std::string> of_the_store;
    for (const auto& file : fs::directory_iterator(store_folder)) {
        struct stat status{};
        if (file.path().filename().string().starts_with(store_file) && ::stat(file.path().c_str(), &status) == 0)
            of_the_store.insert(std::to_string(status.st_ino));
    }
    std::ifstream locks{"/proc/locks"};
    for (std::string line; std::getline(locks, line);) {
        std::istringstream words{line};  // "7: POSIX  ADVISORY  WRITE 4711 fe:00:393 0 EOF"
        std::string number, kind, advisory, access, owner, file;
        words >> number >> kind >> advisory >> access >> owner >> file;
        if (owner != std::to_string(pid)) continue;
        if (access == "WRITE" || !of_the_store.contains(file.substr(file.rfind(':') + 1))) return true;
    }
    return false;
}

}  // namespace

SamProcess::SamProcess(sam::TrialSam& trial) : trial_(trial), gives_back_(trial.running != nullptr) {
    trial_.stop();
    trial_.tokens.module.reset();
}

SamProcess::~SamProcess() {
    stop();
    if (!gives_back_) return;
    trial_.tokens.load();
    trial_.start();
}

bool SamProcess::start() {
    launch();
    return serves();
}

void SamProcess::launch() {
    auto [gateway, its_gateway] = socket_pair();
    auto [bootstrap, its_bootstrap] = socket_pair();
    auto [orders, its_orders] = socket_pair();
    pid_ = ::fork();
    if (pid_ == 0) {
        gateway = {};
        bootstrap = {};
        orders = {};
        live(std::move(its_gateway), std::move(its_bootstrap), std::move(its_orders));
    }
    gateway_ = Wire{std::move(gateway)};
    bootstrap_ = Wire{std::move(bootstrap)};
    orders_ = std::move(orders);
    its_gateway = {};
    its_bootstrap = {};
    its_orders = {};
}

bool SamProcess::serves() {
    pb::SamRequest health;
    health.mutable_health();
    const auto answer = bootstrap_.ask(health);
    if (!answer || !answer->good) {
        condition_ = "no answer";
        return false;
    }
    const auto report = answer->as<pb::SamHealthReport>();
    condition_ = report.detail();
    const bool ended = condition_.starts_with(name_of(Errc::sealed)) ||
                       condition_.starts_with(name_of(Errc::service_away));
    return report.tokens() && report.store() && !ended;
}

// The child: the trial's own way of starting, and a clock that is set from outside. Ends when its orders end.
void SamProcess::live(Descriptor gateway, Descriptor bootstrap, Descriptor orders) noexcept {
    trial_.tokens.load();
    trial_.start();
    trial_.running->server.serve(std::move(gateway), "gatewayd");
    trial_.running->server.serve(std::move(bootstrap), "bootstrap");
    std::int64_t time = 0;
    while (::recv(orders.get(), &time, sizeof time, MSG_WAITALL) == sizeof time) {
        trial_.clock.set(from_unix(time));
        if (::send(orders.get(), &time, sizeof time, MSG_NOSIGNAL) != sizeof time) break;
    }
    auto& running = *trial_.running;
    running.server.stop();
    running.core->post([](sam::Ledger& ledger) { ledger.record({sam::Event::stopped, "samd"}); }, [](const Error&) {});
    running.core->stop();
    const int status = running.fenced ? process::stay_down : running.lost ? 1 : 0;
    trial_.crash();
    trial_.tokens.module.reset();
    ::_exit(status);
}

bool SamProcess::set_clock(TimePoint now) {
    trial_.clock.set(now);
    auto time = unix_seconds(now);
    return ::send(orders_.get(), &time, sizeof time, MSG_NOSIGNAL) == ssize_t{sizeof time} &&
           ::recv(orders_.get(), &time, sizeof time, MSG_WAITALL) == ssize_t{sizeof time};
}

void SamProcess::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    forget();
}

void SamProcess::pause() {
    for (;;) {
        ::kill(pid_, SIGSTOP);
        int status = 0;
        ASSERT_EQ(::waitpid(pid_, &status, WUNTRACED), pid_);
        ASSERT_TRUE(WIFSTOPPED(status));
        if (!holds_file_lock(pid_, trial_.tokens.folder)) return;
        go_on();
        std::this_thread::yield();
    }
}

void SamProcess::go_on() { ::kill(pid_, SIGCONT); }

std::optional<int> SamProcess::stop() {
    if (pid_ <= 0) return std::nullopt;
    ::shutdown(orders_.get(), SHUT_RDWR);
    return forget();
}

std::optional<int> SamProcess::forget() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    gateway_ = {};
    bootstrap_ = {};
    orders_ = {};
    return WIFEXITED(status) ? std::optional{WEXITSTATUS(status)} : std::nullopt;
}

Result<std::string> SamProcess::authorise(const sam::Credential& credential, const std::vector<std::string>& documents,
                                          const std::string& pin) {
    const auto answer = gateway_.ask(authorise_request(credential.id, documents, pin, trial_.code(credential)));
    if (!answer) return Error{Errc::service_away};
    if (!answer->good) return Error{*answer->refusal()};
    return answer->as<pb::Authorised>().sad();
}

pb::SamRequest sign_request(const CredentialId& credential, const std::string& sad,
                            const std::vector<std::string>& documents, const std::string& client,
                            const std::string& key) {
    pb::SamRequest request;
    auto& sign = *request.mutable_sign();
    sign.set_client(client);
    sign.set_credential(string_of(credential.bytes()));
    sign.set_sad(sad);
    name_hashes(sign, documents);
    sign.set_scheme(static_cast<unsigned>(Scheme::ecdsa));
    sign.set_idempotency_key(key);
    return request;
}

pb::SamRequest authorise_request(const CredentialId& credential, const std::vector<std::string>& documents,
                                 const std::string& pin, const std::string& code, const std::string& held,
                                 const std::string& client) {
    pb::SamRequest request;
    auto& authorise = *request.mutable_authorise();
    authorise.set_client(client);
    authorise.set_credential(string_of(credential.bytes()));
    name_hashes(authorise, documents);
    for (const auto& [id, value] : {std::pair{std::string{"PIN"}, pin}, std::pair{held, code}}) {
        auto& factor = *authorise.add_factors();
        factor.set_id(id);
        factor.set_value(value);
    }
    return request;
}

StoreCopy::StoreCopy(const fs::path& folder, const std::string& name)
    : folder_(folder), copy_(folder / "copies" / name) {
    fs::create_directories(copy_);
    copy_store(folder_, copy_);
}
void StoreCopy::put_back() const { copy_store(copy_, folder_); }

TokenCopy::TokenCopy(const fs::path& folder, const std::string& name)
    : folder_(folder), copy_(folder / "copies" / name) {
    fs::create_directories(copy_);
    fs::copy(folder_ / "tokens", copy_ / "tokens", fs::copy_options::recursive);
}
void TokenCopy::put_back() const {
    fs::remove_all(folder_ / "tokens");
    fs::copy(copy_ / "tokens", folder_ / "tokens", fs::copy_options::recursive);
}

std::size_t size_of_attack(std::size_t everyday, std::size_t full) {
    const char* wanted = std::getenv("QSCD_ATTACK_FULL");
    return wanted != nullptr && std::string_view{wanted} == "1" ? full : everyday;
}

}  // namespace qscd::attack
