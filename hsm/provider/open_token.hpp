// A token that the provider module opened in a process that is not ours: no threads of its own, closed and finalised as
// soon as no key refers to it or the process exits, opened anew in a forked child. Not a public header.
// Thread rules: every function is safe from every thread; each call borrows a session for itself.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <shared_mutex>

#include "base/digest.hpp"
#include "base/key_kind.hpp"
#include "hsm/provider/cryptoki.hpp"

namespace qscd::hsm::provider {

using AskPin = std::function<Result<SecretBytes>(const std::string& token)>;

// A private or public key in a token. The handle is searched for once, and again when a call found it out of date.
class TokenObject {
public:
    TokenObject(CK_OBJECT_CLASS object_class, std::optional<Bytes> label, std::optional<Bytes> id)
        : object_class(object_class), label(std::move(label)), id(std::move(id)) {}
    const CK_OBJECT_CLASS object_class;
    const std::optional<Bytes> label, id;

private:
    friend class OpenToken;
    std::atomic<CK_OBJECT_HANDLE> handle_ = CK_INVALID_HANDLE;
};

class OpenToken {
public:
    // The one token that `uri` matches; asks for the PIN unless this process has that token open already. A PIN that
    // the token refused is not shown to it again by this process. Errc::configuration for a refused PIN or several
    // tokens, Errc::token_away when there is none.
    static Result<std::shared_ptr<OpenToken>> open(const ModuleSettings& settings, const KeyUri& uri,
                                                   const AskPin& ask);
    ~OpenToken();
    OpenToken(const OpenToken&) = delete;
    OpenToken& operator=(const OpenToken&) = delete;

    const std::string& label() const { return label_; }

    // Errc::key_gone when there is none, Errc::parameter_invalid when there are several.
    Result<void> find(TokenObject& object);
    // The attribute's value; empty when the object does not have it.
    Result<Bytes> read(TokenObject& object, CK_ATTRIBUTE_TYPE type);
    // As Token::sign: tried once more only where C_SignInit failed. The error's text carries the call and its CK_RV.
    Result<Bytes> sign(TokenObject& object, Scheme scheme, const DtbsR& digest);

private:
    struct Opened;
    struct Process;  // what this process has open, and the hooks at its exit and its forks
    static Process& process();
    OpenToken(ModuleSettings settings, std::string label, std::string serial, SecretBytes pin);

    template <class T>
    Result<T> with_session(const std::function<Result<T>(CryptokiSession&)>& job);
    Result<CK_OBJECT_HANDLE> locate(CryptokiSession& session, TokenObject& object);
    Result<void> reopen(Process& all);  // in a forked child

    const ModuleSettings settings_;
    const std::string label_, serial_;
    const SecretBytes pin_;
    std::shared_timed_mutex gate_;  // shared: a call into the module; alone: exit, fork
    bool held_for_fork_ = false;
    bool forked_ = false;
    std::atomic<bool> refused_ = false;  // a wrong PIN is never tried again: tokens lock
    std::unique_ptr<Opened> opened_;     // nothing once the process exits
};

}  // namespace qscd::hsm::provider
