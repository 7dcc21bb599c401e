#include "hsm/contents.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "hsm/session.hpp"

namespace qscd::hsm {
namespace {

struct Kind {
    CK_OBJECT_CLASS object_class;
    std::string_view name;
};
constexpr std::array kinds{Kind{CKO_DATA, "data"}, Kind{CKO_PRIVATE_KEY, "private"}, Kind{CKO_SECRET_KEY, "secret"}};

struct Flag {
    CK_ATTRIBUTE_TYPE type;
    std::string_view name;
};
constexpr std::array key_flags{
    Flag{CKA_TOKEN, "CKA_TOKEN"},
    Flag{CKA_PRIVATE, "CKA_PRIVATE"},
    Flag{CKA_SENSITIVE, "CKA_SENSITIVE"},
    Flag{CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE"},
    Flag{CKA_EXTRACTABLE, "CKA_EXTRACTABLE"},
    Flag{CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE"},
    Flag{CKA_LOCAL, "CKA_LOCAL"},
    Flag{CKA_MODIFIABLE, "CKA_MODIFIABLE"},
    Flag{CKA_COPYABLE, "CKA_COPYABLE"},
    Flag{CKA_SIGN, "CKA_SIGN"},
    Flag{CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER"},
    Flag{CKA_VERIFY, "CKA_VERIFY"},
    Flag{CKA_ENCRYPT, "CKA_ENCRYPT"},
    Flag{CKA_DECRYPT, "CKA_DECRYPT"},
    Flag{CKA_WRAP, "CKA_WRAP"},
    Flag{CKA_UNWRAP, "CKA_UNWRAP"},
    Flag{CKA_DERIVE, "CKA_DERIVE"},
};
constexpr std::array data_flags{Flag{CKA_TOKEN, "CKA_TOKEN"}, Flag{CKA_PRIVATE, "CKA_PRIVATE"},
                                Flag{CKA_MODIFIABLE, "CKA_MODIFIABLE"}};

constexpr std::size_t longest_label = 32;

// An attribute that the module does not know, or that such an object has not, is left out.
Result<Bytes> read_if_known(Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
    auto value = session.read(object, type);
    if (value) return std::move(value).value();
    QSCD_TRY(session.token_is_there());
    return Bytes{};
}

Result<HeldObject> describe(Session& session, CK_OBJECT_HANDLE object, const Kind& kind) {
    HeldObject out;
    out.kind = kind.name;
    QSCD_TRY(const auto label, read_if_known(session, object, CKA_LABEL));
    out.label = label.size() > longest_label ? "sha256:" + sha256(label).hex() : std::string{text_of(label)};
    const auto read_flags = [&](std::span<const Flag> flags) -> Result<void> {
        for (const auto& flag : flags) {
            QSCD_TRY(const auto value, read_if_known(session, object, flag.type));
            if (value.size() == 1) out.attributes.emplace_back(flag.name, value[0] == CK_TRUE ? "true" : "false");
        }
        return success();
    };
    if (kind.object_class == CKO_DATA) {
        QSCD_TRY(const auto application, read_if_known(session, object, CKA_APPLICATION));
        out.application = text_of(application);
        QSCD_TRY(const auto value, read_if_known(session, object, CKA_VALUE));
        if (!value.empty()) out.value = sha256(value).hex();
        QSCD_TRY(read_flags(data_flags));
        return out;
    }
    QSCD_TRY(const auto id, read_if_known(session, object, CKA_ID));
    out.id = to_hex(id);
    QSCD_TRY(const auto mechanism, read_if_known(session, object, CKA_KEY_GEN_MECHANISM));
    if (CK_ULONG number = 0; mechanism.size() == sizeof number) {
        std::memcpy(&number, mechanism.data(), sizeof number);
        out.mechanism = std::to_string(number);
    }
    QSCD_TRY(read_flags(key_flags));
    return out;
}

Result<std::vector<CK_OBJECT_HANDLE>> all_of(Session& session, const Kind& kind) {
    const std::array wanted{attribute(CKA_CLASS, kind.object_class)};
    QSCD_TRY(auto found, session.search(wanted));
    QSCD_TRY(session.token_is_there());
    return found;
}

}  // namespace

Result<std::vector<HeldObject>> contents(Token& token) {
    std::vector<HeldObject> out;
    QSCD_TRY(token.on_session([&](Session& session) -> Result<void> {
        out.clear();
        for (const auto& kind : kinds) {
            QSCD_TRY(const auto found, all_of(session, kind));
            for (const auto handle : found) {
                QSCD_TRY(auto object, describe(session, handle, kind));
                out.push_back(std::move(object));
            }
        }
        return success();
    }));
    std::ranges::sort(
        out, {}, [](const HeldObject& each) { return std::tie(each.kind, each.application, each.label, each.id); });
    return out;
}

Result<std::vector<HeldObject>> clear(Token& token) {
    QSCD_TRY(auto before, contents(token));
    QSCD_TRY(token.on_session([&](Session& session) -> Result<void> {
        for (const auto& kind : kinds) {
            QSCD_TRY(const auto found, all_of(session, kind));
            for (const auto handle : found)
                if (const CK_RV rv = session.api().C_DestroyObject(session.handle(), handle); rv != CKR_OK)
                    return error_of(rv, "C_DestroyObject");
            QSCD_TRY(const auto left, all_of(session, kind));
            if (!left.empty()) return Error{Errc::internal, "the token still holds what was destroyed"};
        }
        return success();
    }));
    QSCD_TRY(token.module().make_durable());
    return before;
}

}  // namespace qscd::hsm
