#include "hsm/module.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "hsm/durable_folder.hpp"
#include "hsm/library.hpp"
#include "hsm/meaning.hpp"

namespace qscd::hsm {
namespace {

constexpr auto hidden_token_patience = std::chrono::seconds{1};
constexpr auto hidden_token_pause = std::chrono::milliseconds{50};
constexpr int considerate_share = 20;  // the other tokens' time to ours
constexpr unsigned slot_list_attempts = 3;

CK_UTF8CHAR* characters(const SecretBytes& pin) { return const_cast<CK_UTF8CHAR*>(pin.reveal().data()); }

// Of the whole process. Where nothing changes nothing is written: other threads may read the environment meanwhile.
std::mutex environment_lock;
void set_environment(const std::map<std::string, std::string>& wanted) {
    for (const auto& [name, value] : wanted) {
        const char* const now = std::getenv(name.c_str());
        if (now == nullptr || value != now) ::setenv(name.c_str(), value.c_str(), 1);
    }
}

}  // namespace

TokenInfo token_info(CK_SLOT_ID slot, const CK_TOKEN_INFO& info) {
    return {slot,
            padded_text(info.label),
            padded_text(info.manufacturerID),
            padded_text(info.model),
            padded_text(info.serialNumber),
            std::to_string(info.firmwareVersion.major) + "." + std::to_string(info.firmwareVersion.minor)};
}

Module::Module(ModuleSettings settings) : settings_(std::move(settings)) {
    if (!settings_.durable_folder.empty()) durable_ = std::make_unique<DurableFolder>(settings_.durable_folder);
}

std::shared_ptr<Module::Loaded> Module::shared(const CK_FUNCTION_LIST* list) {
    static std::mutex lock;
    static std::map<const CK_FUNCTION_LIST*, std::weak_ptr<Loaded>> all;
    const std::lock_guard guard{lock};
    auto out = all[list].lock();
    if (!out) all[list] = out = std::make_shared<Loaded>(list);
    return out;
}

Result<std::shared_ptr<Module>> Module::load(ModuleSettings settings) {
    std::shared_ptr<Module> out{new Module{std::move(settings)}};
    {
        const std::lock_guard guard{environment_lock};
        set_environment(out->settings_.environment);
        QSCD_TRY(const auto* api, load_library(out->settings_.library));
        out->shared_ = shared(api);
    }
    // A token that is away now may come back: the first use, or the keeper, tries again.
    if (const auto ready = out->initialise(); !ready && ready.error().code != Errc::token_away) return ready.error();
    return out;
}

Result<void> Module::initialise() {
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    if (!settings_.reserved.empty()) arguments.pReserved = settings_.reserved.data();
    // Another library of the same kind may have set the same names to its own.
    std::unique_lock guard{environment_lock, std::defer_lock};
    if (!settings_.environment.empty()) {
        guard.lock();
        set_environment(settings_.environment);
    }
    const CK_RV rv = api().C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) return error_of(rv, "C_Initialize");
    return success();
}

Module::~Module() = default;

Module::Loaded::~Loaded() {
    api->C_Finalize(nullptr);
    // The library stays loaded: some leave threads or exit handlers behind.
}

bool Module::leave() {
    if (!shared_->gate.try_close_for(parking_patience)) return false;
    return shared_->api->C_Finalize(nullptr) == CKR_OK;
}

Result<void> Module::reinitialise() {
    const std::lock_guard one{shared_->beginning_anew};
    return begin_anew();
}

Result<void> Module::reinitialise_since(std::uint64_t seen) {
    const std::lock_guard one{shared_->beginning_anew};
    if (generation() != seen) return success();
    const auto began = std::chrono::steady_clock::now();
    if (shared_->serving > 0 && began < shared_->not_again_before)
        return Error{Errc::token_away, "other tokens of the module serve: it is not begun anew yet"};
    auto done = begin_anew();
    const auto now = std::chrono::steady_clock::now();
    shared_->not_again_before = now + considerate_share * (now - began);
    return done;
}

Result<void> Module::begin_anew() {
    if (!shared_->gate.try_close_for(parking_patience))
        return Error{Errc::token_away, "a call into the module does not return"};
    // Handles count from one again after C_Finalize. Where that fails, our sessions would stay open and be forgotten.
    if (api().C_Finalize(nullptr) != CKR_OK)
        if (const auto all = slots())
            for (const auto slot : all.value()) api().C_CloseAllSessions(slot);
    ++shared_->generation;
    auto done = initialise();
    shared_->gate.open();
    return done;
}

// The list may grow between the two calls.
Result<std::vector<CK_SLOT_ID>> Module::slots() const {
    for (unsigned attempt = 1;; ++attempt) {
        CK_ULONG count = 0;
        if (const CK_RV rv = api().C_GetSlotList(CK_TRUE, nullptr, &count); rv != CKR_OK)
            return error_of(rv, "C_GetSlotList");
        std::vector<CK_SLOT_ID> out(count);
        const CK_RV rv = api().C_GetSlotList(CK_TRUE, out.data(), &count);
        if (rv == CKR_BUFFER_TOO_SMALL && attempt < slot_list_attempts) continue;
        if (rv != CKR_OK) return error_of(rv, "C_GetSlotList");
        out.resize(count);
        return out;
    }
}

Result<std::vector<TokenInfo>> Module::tokens() const {
    const auto inside = enter();
    QSCD_TRY(auto slots, this->slots());
    std::vector<TokenInfo> out;
    for (const auto slot : slots) {
        CK_TOKEN_INFO info{};
        if (api().C_GetTokenInfo(slot, &info) != CKR_OK || (info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
        out.push_back(token_info(slot, info));
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
        QSCD_TRY(auto slots, this->slots());
        const auto empty = std::ranges::find_if(slots, [&](CK_SLOT_ID slot) {
            CK_TOKEN_INFO info{};
            return api().C_GetTokenInfo(slot, &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) == 0;
        });
        if (empty == slots.end()) return Error{Errc::configuration, "the module has no empty slot for " + label};
        std::array<CK_UTF8CHAR, 32> padded;
        padded.fill(' ');
        std::ranges::copy(label.substr(0, padded.size()), padded.begin());
        CK_RV rv = api().C_InitToken(*empty, characters(so_pin), so_pin.size(), padded.data());
        if (rv != CKR_OK) return error_of(rv, "C_InitToken");
    }
    QSCD_TRY(auto token, find(label));  // its slot number may have changed
    const auto inside = enter();
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_RV rv = api().C_OpenSession(token.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
    if (rv != CKR_OK) return error_of(rv, "C_OpenSession");
    rv = api().C_Login(session, CKU_SO, characters(so_pin), so_pin.size());
    if (rv == CKR_OK) rv = api().C_InitPIN(session, characters(user_pin), user_pin.size());
    api().C_Logout(session);
    api().C_CloseSession(session);
    if (rv != CKR_OK) return error_of(rv, "C_InitPIN");
    return make_durable();
}

Result<void> Module::make_durable() { return durable_ ? durable_->sync() : success(); }

}  // namespace qscd::hsm
