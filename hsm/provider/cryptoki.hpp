// A PKCS#11 library and sessions in a process that is not ours, for the provider module: no threads, no state of the
// process, nothing that outlives its owner; so it bears forks and exits that our daemons never see. Daemons share a
// Token instead. Not a public header. Thread rules: a library is safe from every thread, a session belongs to one at a
// time.
#pragma once

#include <span>

#include "hsm/module.hpp"
#include "hsm/provider/uri.hpp"

namespace qscd::hsm::provider {

// C_Finalize when it dies, unless somebody else in this process had initialised the library before us.
class Cryptoki {
public:
    // `inherited`: this is a forked child, and its parent had initialised the library. Errc::configuration when it
    // cannot be loaded or is no PKCS#11 module, else what C_Initialize says.
    static Result<std::shared_ptr<Cryptoki>> load(const ModuleSettings& settings, bool inherited);
    ~Cryptoki();
    Cryptoki(const Cryptoki&) = delete;
    Cryptoki& operator=(const Cryptoki&) = delete;

    const CK_FUNCTION_LIST& api() const { return *api_; }
    // The slots with an initialised token.
    Result<std::vector<Place>> places() const;

private:
    explicit Cryptoki(const CK_FUNCTION_LIST* api) : api_(api) {}
    const CK_FUNCTION_LIST* api_;
    bool ours_ = false;
};

class CryptokiSession {
public:
    CryptokiSession(const Cryptoki& library, std::string label, std::string serial, const SecretBytes& pin)
        : library_(library), label_(std::move(label)), serial_(std::move(serial)), pin_(pin) {}
    ~CryptokiSession() { drop(); }
    CryptokiSession(const CryptokiSession&) = delete;
    CryptokiSession& operator=(const CryptokiSession&) = delete;

    // A session that is logged in: opens one when there is none. Errc::configuration when the PIN is refused.
    Result<void> ready();
    void drop();

    Result<std::vector<CK_OBJECT_HANDLE>> search(std::span<const CK_ATTRIBUTE> wanted);
    // The attribute's value; empty when the object does not have it.
    Result<Bytes> read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
    CK_RV begin(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism);  // C_SignInit
    Result<Bytes> finish(ByteView data);                         // C_Sign

private:
    Error failed(CK_RV rv, std::string_view call);  // drops the session: an operation may be left open in it
    const CK_FUNCTION_LIST& api() const { return library_.api(); }

    const Cryptoki& library_;
    std::string label_, serial_;
    const SecretBytes& pin_;
    CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
};

}  // namespace qscd::hsm::provider
