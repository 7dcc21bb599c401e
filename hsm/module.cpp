#include "hsm/module.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <thread>

#include "hsm/durable_folder.hpp"
#include "hsm/meaning.hpp"

namespace qscd::hsm {
namespace {

constexpr auto hidden_token_patience = std::chrono::seconds{1};
constexpr auto hidden_token_pause = std::chrono::milliseconds{50};

// PKCS#11 strings are padded with blanks and not terminated.
template <std::size_t N>
std::string trimmed(const CK_UTF8CHAR (&text)[N]) {
    std::string out{reinterpret_cast<const char*>(text), N};
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

CK_UTF8CHAR* characters(const SecretBytes& pin) { return const_cast<CK_UTF8CHAR*>(pin.reveal().data()); }

Result<std::vector<CK_SLOT_ID>> slots_of(const CK_FUNCTION_LIST& api) {
    CK_ULONG count = 0;
    if (const CK_RV rv = api.C_GetSlotList(CK_TRUE, nullptr, &count); rv != CKR_OK)
        return error_of(rv, "C_GetSlotList");
    std::vector<CK_SLOT_ID> slots(count);
    if (const CK_RV rv = api.C_GetSlotList(CK_TRUE, slots.data(), &count); rv != CKR_OK)
        return error_of(rv, "C_GetSlotList");
    slots.resize(count);
    return slots;
}

}  // namespace

Module::Module(ModuleSettings settings) : settings_(std::move(settings)) {
    if (!settings_.durable_folder.empty()) durable_ = std::make_unique<DurableFolder>(settings_.durable_folder);
}

Result<std::shared_ptr<Module>> Module::load(ModuleSettings settings) {
    for (const auto& [name, value] : settings.environment) ::setenv(name.c_str(), value.c_str(), 1);
    std::shared_ptr<Module> out{new Module{std::move(settings)}};
    const auto& library = out->settings_.library;
    out->library_ = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (out->library_ == nullptr) return Error{Errc::configuration, "cannot load " + library.string()};
    const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(out->library_, "C_GetFunctionList"));
    CK_FUNCTION_LIST* api = nullptr;
    if (list == nullptr || list(&api) != CKR_OK || api == nullptr)
        return Error{Errc::configuration, library.string() + " is not a PKCS#11 module"};
    out->api_ = api;
    // A token that is away now may come back: the first use, or the keeper, tries again.
    if (const auto ready = out->initialise(); !ready && ready.error().code != Errc::token_away) return ready.error();
    return out;
}

Result<void> Module::initialise() {
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    if (!settings_.reserved.empty()) arguments.pReserved = settings_.reserved.data();
    const CK_RV rv = api_->C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) return error_of(rv, "C_Initialize");
    return success();
}

Module::~Module() {
    if (api_ != nullptr) api_->C_Finalize(nullptr);
    // The library stays loaded: some leave threads or exit handlers behind.
}

Result<void> Module::reinitialise() {
    const std::lock_guard alone{gate_};
    api_->C_Finalize(nullptr);
    ++generation_;
    return initialise();
}

Result<std::vector<TokenInfo>> Module::tokens() const {
    const auto inside = enter();
    QSCD_TRY(auto slots, slots_of(*api_));
    std::vector<TokenInfo> out;
    for (const auto slot : slots) {
        CK_TOKEN_INFO info{};
        if (api_->C_GetTokenInfo(slot, &info) != CKR_OK || (info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
        out.push_back({slot, trimmed(info.label), trimmed(info.manufacturerID), trimmed(info.model),
                       trimmed(info.serialNumber),
                       std::to_string(info.firmwareVersion.major) + "." + std::to_string(info.firmwareVersion.minor)});
    }
    return out;
}

Result<TokenInfo> Module::find(const std::string& label) const {
    const auto deadline = std::chrono::steady_clock::now() + hidden_token_patience;
    for (;;) {
        QSCD_TRY(auto all, tokens());
        const auto found = std::ranges::find(all, label, &TokenInfo::label);
        if (found != all.end()) return *found;
        if (std::chrono::steady_clock::now() >= deadline)
            return Error{Errc::token_away, "there is no token labelled " + label};
        std::this_thread::sleep_for(hidden_token_pause);  // no module tells when its slot list changes
    }
}

Result<void> Module::initialise_token(const std::string& label, const SecretBytes& so_pin,
                                      const SecretBytes& user_pin) {
    QSCD_TRY(auto existing, tokens());
    if (std::ranges::count(existing, label, &TokenInfo::label) != 0)
        return Error{Errc::configuration, "there is a token labelled " + label + " already"};
    {
        const auto inside = enter();
        QSCD_TRY(auto slots, slots_of(*api_));
        const auto empty = std::ranges::find_if(slots, [&](CK_SLOT_ID slot) {
            CK_TOKEN_INFO info{};
            return api_->C_GetTokenInfo(slot, &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) == 0;
        });
        if (empty == slots.end()) return Error{Errc::configuration, "the module has no empty slot for " + label};
        std::array<CK_UTF8CHAR, 32> padded;
        padded.fill(' ');
        std::ranges::copy(label.substr(0, padded.size()), padded.begin());
        CK_RV rv = api_->C_InitToken(*empty, characters(so_pin), so_pin.size(), padded.data());
        if (rv != CKR_OK) return error_of(rv, "C_InitToken");
    }
    QSCD_TRY(auto token, find(label));  // its slot number may have changed
    const auto inside = enter();
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_RV rv = api_->C_OpenSession(token.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
    if (rv != CKR_OK) return error_of(rv, "C_OpenSession");
    rv = api_->C_Login(session, CKU_SO, characters(so_pin), so_pin.size());
    if (rv == CKR_OK) rv = api_->C_InitPIN(session, characters(user_pin), user_pin.size());
    api_->C_Logout(session);
    api_->C_CloseSession(session);
    if (rv != CKR_OK) return error_of(rv, "C_InitPIN");
    return make_durable();
}

Result<void> Module::make_durable() { return durable_ ? durable_->sync() : success(); }

}  // namespace qscd::hsm
