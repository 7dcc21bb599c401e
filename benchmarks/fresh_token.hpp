// A SoftHSM2 token in a folder of its own, and the raw module beside our room: both in one process, so that what they
// sign can be compared in one run.
#pragma once

#include <filesystem>

#include "hsm/token.hpp"

namespace qscd::benchmarks {

class FreshToken {
public:
    explicit FreshToken(unsigned threads = 2);
    ~FreshToken();
    hsm::Token& token() { return *token_; }
    hsm::Token& second();  // another token of the same module
    const hsm::GeneratedKey& key(KeyKind kind);
    void fill(int count);  // so many P-256 keys more
    void reload();         // as a start finds them: the module anew, and the keys of key() found

    // C_SignInit and C_Sign with a cached handle on a session of the caller's thread: what the module itself can do.
    class Raw {
    public:
        Raw(FreshToken& owner, KeyKind kind);
        ~Raw();
        bool sign();

    private:
        const CK_FUNCTION_LIST& api_;
        CK_SESSION_HANDLE session_ = 0;
        CK_OBJECT_HANDLE key_ = 0;
        CK_MECHANISM mechanism_{};
        Bytes input_;
    };

private:
    std::filesystem::path folder_;
    std::shared_ptr<hsm::Module> module_;
    std::unique_ptr<hsm::Token> token_, second_;
    unsigned threads_;
    std::map<KeyKind, hsm::GeneratedKey> keys_;
};

DtbsR hash();

}  // namespace qscd::benchmarks
