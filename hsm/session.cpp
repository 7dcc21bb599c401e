#include "hsm/session.hpp"

#include <algorithm>
#include <openssl/ecdsa.h>

#include "base/openssl.hpp"

namespace qscd::hsm {
namespace {

struct DigestRow {
    HashAlgorithm algorithm;
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
    std::array<std::uint8_t, 19> digest_info;  // RFC 8017, 9.2, note 1
};
constexpr std::array digest_rows{
    DigestRow{HashAlgorithm::sha256,
              CKM_SHA256,
              CKG_MGF1_SHA256,
              {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
               0x04, 0x20}},
    DigestRow{HashAlgorithm::sha384,
              CKM_SHA384,
              CKG_MGF1_SHA384,
              {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00,
               0x04, 0x30}},
    DigestRow{HashAlgorithm::sha512,
              CKM_SHA512,
              CKG_MGF1_SHA512,
              {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00,
               0x04, 0x40}},
};

constexpr std::size_t largest_signature = 1024;  // bytes: RSA-8192

}  // namespace

SigningInput::SigningInput(Scheme scheme, const DtbsR& dtbsr) : data(dtbsr.bytes().begin(), dtbsr.bytes().end()) {
    const auto& row = digest_rows[static_cast<std::size_t>(dtbsr.algorithm()) - 1];
    switch (scheme) {
        case Scheme::ecdsa: mechanism.mechanism = CKM_ECDSA; break;
        case Scheme::rsa_pkcs1:
            mechanism.mechanism = CKM_RSA_PKCS;
            data.insert(data.begin(), row.digest_info.begin(), row.digest_info.end());
            break;
        case Scheme::rsa_pss:
            pss = {row.hash, row.mgf, dtbsr.bytes().size()};
            mechanism = {CKM_RSA_PKCS_PSS, &pss, sizeof pss};
            break;
    }
}

SigningInput::SigningInput(ByteView message) : data(message.begin(), message.end()) {
    mechanism.mechanism = CKM_SHA256_HMAC;
}

Bytes ecdsa_der_of(ByteView raw) {
    const auto half = static_cast<int>(raw.size() / 2);
    const std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>> signature{ECDSA_SIG_new()};
    ECDSA_SIG_set0(signature.get(), BN_bin2bn(raw.data(), half, nullptr), BN_bin2bn(raw.data() + half, half, nullptr));
    return der_of(*signature, i2d_ECDSA_SIG);
}

Session::~Session() {
    const auto inside = module_->enter();
    drop();
}

void Session::drop() {
    if (handle_ != CK_INVALID_HANDLE && opened_in_ == module_->generation()) login_.close(api(), {handle_, opened_in_});
    handle_ = CK_INVALID_HANDLE;
}

Error Session::fail(CK_RV rv, std::string_view call) {
    last_ = rv;
    return error_of(rv, call);
}

bool Session::current() const {
    return handle_ != CK_INVALID_HANDLE && opened_in_ == module_->generation() && opened_at_ == login_.turn();
}

Result<void> Session::ready() {
    if (current()) return success();
    clear();
    auto opened = reopen();
    // Lost again between opening and login.
    if (!opened && went_stale()) opened = reopen();
    return opened;
}

Result<void> Session::reopen() {
    drop();
    const auto generation = module_->generation();
    const auto turn = login_.turn();
    QSCD_TRY(const auto slots, module_->slots());
    const auto found = std::ranges::find_if(slots, [&](CK_SLOT_ID slot) {
        CK_TOKEN_INFO info{};
        if (api().C_GetTokenInfo(slot, &info) != CKR_OK) return false;
        const std::string_view label{reinterpret_cast<const char*>(info.label), sizeof info.label};
        return label.starts_with(label_) && label.find_first_not_of(' ', label_.size()) == std::string_view::npos;
    });
    if (found == slots.end()) return Error{Errc::token_away, "there is no token labelled " + label_};
    CK_RV rv = api().C_OpenSession(*found, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_);
    if (rv != CKR_OK) {
        handle_ = CK_INVALID_HANDLE;
        return fail(rv, "C_OpenSession");
    }
    slot_ = *found;
    opened_in_ = generation;
    opened_at_ = turn;
    login_.opened({handle_, generation});
    rv = login_.log_in(api(), handle_);
    if (rv == CKR_OK) return success();
    drop();
    if (meaning_of(rv) == Meaning::pin)
        return Error{Errc::configuration, "the PIN of token " + label_ + " is wrong, expired or locked"};
    return fail(rv, "C_Login");
}

bool Session::alive() const {
    CK_SESSION_INFO info{};
    return handle_ != CK_INVALID_HANDLE && opened_in_ == module_->generation() &&
           api().C_GetSessionInfo(handle_, &info) == CKR_OK && info.state == CKS_RW_USER_FUNCTIONS;
}

Result<void> Session::prove() { return alive() ? success() : reopen(); }

Result<void> Session::renew(CK_RV stale) {
    const bool only_the_handle = stale == CKR_OBJECT_HANDLE_INVALID || stale == CKR_KEY_HANDLE_INVALID;
    return only_the_handle ? prove() : reopen();
}

Result<CK_ULONG> Session::session_limit() {
    CK_TOKEN_INFO info{};
    if (const CK_RV rv = api().C_GetTokenInfo(slot_, &info); rv != CKR_OK) return fail(rv, "C_GetTokenInfo");
    CK_ULONG limit = 0;
    for (const auto each : {info.ulMaxSessionCount, info.ulMaxRwSessionCount})
        if (each != CK_EFFECTIVELY_INFINITE && each != CK_UNAVAILABLE_INFORMATION)
            limit = limit == 0 ? each : std::min(limit, each);
    return limit;
}

Result<bool> Session::token_is_there() {
    CK_TOKEN_INFO info{};
    const CK_RV rv = api().C_GetTokenInfo(slot_, &info);
    if (rv != CKR_OK) return fail(rv, "C_GetTokenInfo");
    return true;
}

Result<std::vector<CK_OBJECT_HANDLE>> Session::search(std::span<const CK_ATTRIBUTE> wanted) {
    const auto failed = [&](CK_RV rv, std::string_view call) {
        drop();
        return fail(rv, call);
    };
    CK_RV rv = api().C_FindObjectsInit(handle_, const_cast<CK_ATTRIBUTE*>(wanted.data()), wanted.size());
    if (rv != CKR_OK) return failed(rv, "C_FindObjectsInit");
    std::vector<CK_OBJECT_HANDLE> out;
    for (;;) {
        std::array<CK_OBJECT_HANDLE, 256> some;
        CK_ULONG count = 0;
        rv = api().C_FindObjects(handle_, some.data(), some.size(), &count);
        if (rv != CKR_OK) return failed(rv, "C_FindObjects");
        if (count == 0) break;
        out.insert(out.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
    }
    rv = api().C_FindObjectsFinal(handle_);
    if (rv != CKR_OK) return failed(rv, "C_FindObjectsFinal");
    return out;
}

void Session::remember(KeyObject& key, CK_OBJECT_HANDLE handle, std::uint64_t generation) {
    const std::lock_guard guard{key.lock_};
    key.handle_ = handle;
    key.generation_ = generation;
}

Result<CK_OBJECT_HANDLE> Session::locate(KeyObject& key) {
    const auto now = generation();  // before the search: a login during it may void what it finds
    {
        const std::lock_guard guard{key.lock_};
        if (key.generation_ == now) return key.handle_;
    }
    const std::array wanted{attribute(CKA_CLASS, key.class_), attribute_bytes(CKA_ID, key.id_.bytes())};
    QSCD_TRY(auto found, search(wanted));
    if (found.size() == 1) {
        remember(key, found[0], now);
        return found[0];
    }
    if (found.size() > 1) return Error{Errc::internal, "two keys with CKA_ID " + key.id_.hex()};
    // An empty search is "token away" until C_GetTokenInfo says otherwise: an absent token is not a destroyed key.
    QSCD_TRY(token_is_there());
    return Error{Errc::key_gone, "the token is there and key " + key.id_.hex() + " is not"};
}

Result<bool> Session::is_there(const KeyObject& key) {
    const std::array wanted{attribute(CKA_CLASS, key.class_), attribute_bytes(CKA_ID, key.id_.bytes())};
    QSCD_TRY(auto found, search(wanted));
    if (!found.empty()) return true;
    QSCD_TRY(token_is_there());
    return false;
}

CK_RV Session::begin(CK_OBJECT_HANDLE key, SigningInput& input) {
    return api().C_SignInit(handle_, &input.mechanism, key);
}

Result<Bytes> Session::finish(const SigningInput& input) {
    Bytes signature(largest_signature);  // always room enough: CKR_BUFFER_TOO_SMALL would leave the operation active
    CK_ULONG size = signature.size();
    const CK_RV rv = api().C_Sign(handle_, const_cast<std::uint8_t*>(input.data.data()), input.data.size(),
                                  signature.data(), &size);
    if (rv != CKR_OK) {
        drop();
        return fail(rv, "C_Sign");
    }
    signature.resize(size);
    return signature;
}

Result<Bytes> Session::read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
    CK_ATTRIBUTE wanted{type, nullptr, 0};
    if (const CK_RV rv = api().C_GetAttributeValue(handle_, object, &wanted, 1); rv != CKR_OK)
        return fail(rv, "C_GetAttributeValue");
    Bytes value(wanted.ulValueLen);
    wanted.pValue = value.data();
    if (const CK_RV rv = api().C_GetAttributeValue(handle_, object, &wanted, 1); rv != CKR_OK)
        return fail(rv, "C_GetAttributeValue");
    value.resize(wanted.ulValueLen);
    return value;
}

Result<Bytes> Session::read_up_to(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, std::size_t limit) {
    Bytes value(limit);
    CK_ATTRIBUTE wanted{type, value.data(), value.size()};
    if (const CK_RV rv = api().C_GetAttributeValue(handle_, object, &wanted, 1); rv != CKR_OK)
        return fail(rv, "C_GetAttributeValue");
    value.resize(wanted.ulValueLen);
    return value;
}

}  // namespace qscd::hsm
