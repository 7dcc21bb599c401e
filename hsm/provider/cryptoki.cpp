#include "hsm/provider/cryptoki.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "hsm/library.hpp"
#include "hsm/meaning.hpp"

namespace qscd::hsm::provider {
namespace {

constexpr std::size_t largest_signature = 1024;  // bytes: RSA-8192

}  // namespace

Result<std::shared_ptr<Cryptoki>> Cryptoki::load(const ModuleSettings& settings, bool inherited) {
    for (const auto& [name, value] : settings.environment) ::setenv(name.c_str(), value.c_str(), 1);
    QSCD_TRY(const auto* api, load_library(settings.library));
    std::shared_ptr<Cryptoki> out{new Cryptoki{api}};
    std::string reserved = settings.reserved;
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    if (!reserved.empty()) arguments.pReserved = reserved.data();
    const CK_RV rv = api->C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) return error_of(rv, "C_Initialize");
    out->ours_ = rv == CKR_OK || inherited;
    return out;
}

Cryptoki::~Cryptoki() {
    if (ours_) api_->C_Finalize(nullptr);
}

Result<std::vector<Place>> Cryptoki::places() const {
    CK_INFO about{};
    if (const CK_RV rv = api().C_GetInfo(&about); rv != CKR_OK) return error_of(rv, "C_GetInfo");
    CK_ULONG count = 0;
    if (const CK_RV rv = api().C_GetSlotList(CK_TRUE, nullptr, &count); rv != CKR_OK)
        return error_of(rv, "C_GetSlotList");
    std::vector<CK_SLOT_ID> slots(count);
    if (const CK_RV rv = api().C_GetSlotList(CK_TRUE, slots.data(), &count); rv != CKR_OK)
        return error_of(rv, "C_GetSlotList");
    slots.resize(count);
    std::vector<Place> out;
    for (const auto slot : slots) {
        Place place{.slot = slot, .library = about, .about_slot = {}, .token = {}};
        if (api().C_GetSlotInfo(slot, &place.about_slot) == CKR_OK &&
            api().C_GetTokenInfo(slot, &place.token) == CKR_OK && (place.token.flags & CKF_TOKEN_INITIALIZED) != 0)
            out.push_back(place);
    }
    return out;
}

Result<void> CryptokiSession::ready() {
    if (handle_ != CK_INVALID_HANDLE) return success();
    QSCD_TRY(const auto places, library_.places());
    const auto ours = std::ranges::find_if(places, [&](const Place& place) {
        return padded_text(place.token.label) == label_ && padded_text(place.token.serialNumber) == serial_;
    });
    if (ours == places.end()) return Error{Errc::token_away, "token " + label_ + " is not there"};
    CK_RV rv = api().C_OpenSession(ours->slot, CKF_SERIAL_SESSION, nullptr, nullptr, &handle_);
    if (rv != CKR_OK) {
        handle_ = CK_INVALID_HANDLE;
        return error_of(rv, "C_OpenSession");
    }
    rv = api().C_Login(handle_, CKU_USER, const_cast<CK_UTF8CHAR*>(pin_.reveal().data()), pin_.size());
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return success();
    auto error = failed(rv, "C_Login");
    constexpr std::array<CK_RV, 4> refusals{CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_LEN_RANGE, CKR_PIN_INVALID};
    if (std::ranges::find(refusals, rv) != refusals.end())
        error = {Errc::configuration, "the PIN of token " + label_ + " is wrong or locked: " + error.detail};
    return error;
}

void CryptokiSession::drop() {
    if (handle_ != CK_INVALID_HANDLE) api().C_CloseSession(handle_);
    handle_ = CK_INVALID_HANDLE;
}

Error CryptokiSession::failed(CK_RV rv, std::string_view call) {
    drop();
    return error_of(rv, call);
}

Result<std::vector<CK_OBJECT_HANDLE>> CryptokiSession::search(std::span<const CK_ATTRIBUTE> wanted) {
    CK_RV rv = api().C_FindObjectsInit(handle_, const_cast<CK_ATTRIBUTE*>(wanted.data()), wanted.size());
    if (rv != CKR_OK) return failed(rv, "C_FindObjectsInit");
    std::vector<CK_OBJECT_HANDLE> out;
    for (CK_ULONG count = 1; count > 0;) {
        std::array<CK_OBJECT_HANDLE, 64> some;
        rv = api().C_FindObjects(handle_, some.data(), some.size(), &count);
        if (rv != CKR_OK) return failed(rv, "C_FindObjects");
        out.insert(out.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
    }
    rv = api().C_FindObjectsFinal(handle_);
    if (rv != CKR_OK) return failed(rv, "C_FindObjectsFinal");
    return out;
}

Result<Bytes> CryptokiSession::read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
    CK_ATTRIBUTE wanted{type, nullptr, 0};
    CK_RV rv = api().C_GetAttributeValue(handle_, object, &wanted, 1);
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE) return Bytes{};
    if (rv != CKR_OK) return failed(rv, "C_GetAttributeValue");
    Bytes value(wanted.ulValueLen);
    wanted.pValue = value.data();
    rv = api().C_GetAttributeValue(handle_, object, &wanted, 1);
    if (rv != CKR_OK) return failed(rv, "C_GetAttributeValue");
    value.resize(wanted.ulValueLen);
    return value;
}

CK_RV CryptokiSession::begin(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism) {
    const CK_RV rv = api().C_SignInit(handle_, &mechanism, key);
    if (rv != CKR_OK) drop();
    return rv;
}

Result<Bytes> CryptokiSession::finish(ByteView data) {
    Bytes signature(largest_signature);  // always room enough: CKR_BUFFER_TOO_SMALL would leave the operation active
    CK_ULONG size = signature.size();
    const CK_RV rv = api().C_Sign(handle_, const_cast<std::uint8_t*>(data.data()), data.size(), signature.data(),
                                  &size);
    if (rv != CKR_OK) return failed(rv, "C_Sign");
    signature.resize(size);
    return signature;
}

}  // namespace qscd::hsm::provider
