#include "hsm/provider/open_token.hpp"

#include <chrono>
#include <cstdlib>
#include <map>
#include <pthread.h>
#include <set>
#include <thread>

#include "hsm/meaning.hpp"
#include "hsm/session.hpp"

namespace qscd::hsm::provider {
namespace {

// How long an exit or a fork waits for calls that are inside the module; then it goes on without them.
constexpr auto patience = std::chrono::seconds{2};

constexpr auto hidden_token_patience = std::chrono::seconds{1};
constexpr auto hidden_token_pause = std::chrono::milliseconds{50};

// A token may be hidden for a moment while another process writes it, and no module tells when it is back.
Result<Place> place_named_by(const KeyUri& uri, const Cryptoki& library) {
    const auto deadline = std::chrono::steady_clock::now() + hidden_token_patience;
    for (;;) {
        QSCD_TRY(auto places, library.places());
        std::erase_if(places, [&](const Place& place) { return !uri.matches(place); });
        if (places.size() == 1) return places[0];
        if (places.size() > 1) return Error{Errc::configuration, "several tokens are what the pkcs11: URI names"};
        if (std::chrono::steady_clock::now() >= deadline)
            return Error{Errc::token_away, "no token is what the pkcs11: URI names: " + uri.token_for_people()};
        std::this_thread::sleep_for(hidden_token_pause);
    }
}

}  // namespace

struct OpenToken::Opened {
    explicit Opened(std::shared_ptr<Cryptoki> of) : library(std::move(of)) {}
    std::shared_ptr<Cryptoki> library;
    std::mutex lock;
    std::vector<std::unique_ptr<CryptokiSession>> idle;  // also what keeps the login alive
};

// Never destroyed: exit handlers of others may come after ours.
struct OpenToken::Process {
    std::mutex lock;  // taken before any token's gate
    std::set<OpenToken*> tokens;
    std::map<std::string, std::weak_ptr<OpenToken>> by_name;
    std::map<std::filesystem::path, std::weak_ptr<Cryptoki>> libraries;  // one C_Initialize each
    std::vector<std::pair<std::string, SecretBytes>> refused;
    std::set<std::filesystem::path> hooked;
    bool forked = false;
    std::vector<std::unique_ptr<Opened>> abandoned;  // a parent's, in a forked child: neither used nor closed

    Result<std::shared_ptr<Cryptoki>> load(const ModuleSettings& settings) {
        if (auto loaded = libraries[settings.library].lock()) return loaded;
        QSCD_TRY(auto loaded, Cryptoki::load(settings, forked && hooked.contains(settings.library)));
        libraries[settings.library] = loaded;
        hook(settings.library);
        return loaded;
    }

    // Exit handlers run in the reverse order of their registration. Ours is registered once the library is loaded, so
    // it comes before the library's own destructors and before OpenSSL's cleanup: C_Finalize still finds both whole.
    void hook(const std::filesystem::path& library) {
        const bool first = hooked.empty();
        if (!hooked.insert(library).second) return;
        (void)std::atexit([] { process().close_all(); });
        if (!first) return;
        (void)::pthread_atfork([] { process().before_fork(); }, [] { process().after_fork_in_parent(); },
                               [] { process().after_fork_in_child(); });
    }

    void close_all() {
        const std::lock_guard guard{lock};
        for (auto* token : tokens) {
            const std::unique_lock alone{token->gate_, patience};
            if (alone) token->opened_.reset();
        }
    }

    // The child inherits a module in which nobody is at work.
    void before_fork() {
        lock.lock();
        for (auto* token : tokens) token->held_for_fork_ = token->gate_.try_lock_for(patience);
    }
    void after_fork_in_parent() {
        for (auto* token : tokens)
            if (token->held_for_fork_) token->gate_.unlock();
        lock.unlock();
    }
    // Sessions and logins are the parent's: the child leaves them as they are, unclosed, and opens its own at first
    // use.
    void after_fork_in_child() {
        libraries.clear();
        forked = true;
        for (auto* token : tokens) {
            new (&token->gate_) std::shared_timed_mutex;  // whoever held it has another thread id here, or is not here
            token->forked_ = token->forked_ || token->opened_ != nullptr;
            abandoned.push_back(std::move(token->opened_));
        }
        lock.unlock();
    }
};

OpenToken::Process& OpenToken::process() {
    static auto& only = *new Process;
    return only;
}

OpenToken::OpenToken(ModuleSettings settings, std::string label, std::string serial, SecretBytes pin)
    : settings_(std::move(settings)), label_(std::move(label)), serial_(std::move(serial)), pin_(std::move(pin)) {}

OpenToken::~OpenToken() {
    auto& all = process();
    const std::lock_guard guard{all.lock};
    all.tokens.erase(this);
    opened_.reset();  // under the lock: nobody shall load the module while it is being finalised
}

Result<std::shared_ptr<OpenToken>> OpenToken::open(const ModuleSettings& settings, const KeyUri& uri,
                                                   const AskPin& ask) {
    std::shared_ptr<OpenToken> out;  // outlives the lock, which its destructor takes
    auto& all = process();
    const std::lock_guard guard{all.lock};
    QSCD_TRY(auto library, all.load(settings));
    QSCD_TRY(const auto place, place_named_by(uri, *library));
    const auto label = padded_text(place.token.label), serial = padded_text(place.token.serialNumber);
    const auto key = settings.library.string() + "\n" + label + "\n" + serial;
    out = all.by_name[key].lock();
    if (out) {
        QSCD_TRY(out->reopen(all));
        return out;
    }
    QSCD_TRY(auto pin, ask(label));
    for (const auto& [token, wrong] : all.refused)
        if (token == key && wrong == pin)
            return Error{Errc::configuration, "token " + label + " refused this PIN before: it is not tried again"};
    out.reset(new OpenToken{settings, label, serial, std::move(pin)});
    auto opened = std::make_unique<Opened>(library);
    opened->idle.push_back(std::make_unique<CryptokiSession>(*library, label, serial, out->pin_));
    const auto ready = opened->idle[0]->ready();
    if (!ready && ready.error().code == Errc::configuration)
        all.refused.emplace_back(key, SecretBytes{out->pin_.reveal()});
    QSCD_TRY(ready);
    out->opened_ = std::move(opened);
    all.tokens.insert(out.get());
    all.by_name[key] = out;
    return out;
}

// The process's lock is held.
Result<void> OpenToken::reopen(Process& all) {
    const std::lock_guard alone{gate_};
    if (!forked_) return success();
    QSCD_TRY(auto library, all.load(settings_));
    opened_ = std::make_unique<Opened>(std::move(library));
    forked_ = false;
    return success();
}

template <class T>
Result<T> OpenToken::with_session(const std::function<Result<T>(CryptokiSession&)>& job) {
    std::shared_lock inside{gate_};
    if (forked_) {
        inside.unlock();
        {
            const std::lock_guard guard{process().lock};
            QSCD_TRY(reopen(process()));
        }
        inside.lock();
    }
    if (refused_) return Error{Errc::configuration, "token " + label_ + " refused its PIN: it is not tried again"};
    if (!opened_) return Error{Errc::token_away, "the process is exiting: token " + label_ + " is closed"};
    std::unique_ptr<CryptokiSession> session;
    {
        const std::lock_guard guard{opened_->lock};
        if (!opened_->idle.empty()) {
            session = std::move(opened_->idle.back());
            opened_->idle.pop_back();
        }
    }
    if (!session) session = std::make_unique<CryptokiSession>(*opened_->library, label_, serial_, pin_);
    Result<T> out = Error{Errc::internal, "not run"};
    if (auto ready = session->ready()) out = job(*session);
    else out = ready.error();
    if (!out && out.error().code == Errc::configuration) refused_ = true;
    const std::lock_guard guard{opened_->lock};
    opened_->idle.push_back(std::move(session));
    return out;
}

Result<CK_OBJECT_HANDLE> OpenToken::locate(CryptokiSession& session, TokenObject& object) {
    if (const auto known = object.handle_.load(); known != CK_INVALID_HANDLE) return known;
    std::vector<CK_ATTRIBUTE> wanted{attribute(CKA_CLASS, object.object_class)};
    if (object.label) wanted.push_back(attribute_bytes(CKA_LABEL, *object.label));
    if (object.id) wanted.push_back(attribute_bytes(CKA_ID, *object.id));
    QSCD_TRY(const auto found, session.search(wanted));
    if (found.empty()) return Error{Errc::key_gone, "no such key in token " + label_};
    if (found.size() > 1)
        return Error{Errc::parameter_invalid, std::to_string(found.size()) + " such keys in token " + label_};
    object.handle_ = found[0];
    return found[0];
}

Result<void> OpenToken::find(TokenObject& object) {
    return with_session<void>([&](CryptokiSession& session) -> Result<void> {
        QSCD_TRY(locate(session, object));
        return success();
    });
}

Result<Bytes> OpenToken::read(TokenObject& object, CK_ATTRIBUTE_TYPE type) {
    return with_session<Bytes>([&](CryptokiSession& session) -> Result<Bytes> {
        QSCD_TRY(const auto handle, locate(session, object));
        return session.read(handle, type);
    });
}

Result<Bytes> OpenToken::sign(TokenObject& object, Scheme scheme, const DtbsR& digest) {
    return with_session<Bytes>([&](CryptokiSession& session) -> Result<Bytes> {
        SigningInput input{scheme, digest};
        for (bool again = false;; again = true) {
            QSCD_TRY(session.ready());
            QSCD_TRY(const auto handle, locate(session, object));
            const CK_RV rv = session.begin(handle, input.mechanism);
            if (rv == CKR_OK) break;
            object.handle_ = CK_INVALID_HANDLE;
            if (again || meaning_of(rv) != Meaning::stale) return error_of(rv, "C_SignInit");
        }
        QSCD_TRY(auto signature, session.finish(input.data));
        return scheme == Scheme::ecdsa ? ecdsa_der_of(signature) : std::move(signature);
    });
}

}  // namespace qscd::hsm::provider
