// What somebody with the token's login can do to wrapped keys: looked at while they are objects of a session, and tried
// with blobs and key-encryption keys in hand, on a real SoftHSM2. [QSCD-01] [QSCD-30]
#include "hsm/wrapping/key_encryption_key.hpp"
#include "tests/unit/hsm/other_owner.hpp"
#include "tests/unit/hsm/wrapping/wrapping_world.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
constexpr CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, secret_class = CKO_SECRET_KEY;

// Holds the module in `function` on one thread, until looked at from another.
struct Held {
    Held(const SpiedToken& held_place, const std::string& function) : place(held_place), gate(place.folder / "gate") {
        place.command("hold " + function + " " + gate.string() + "\n");
    }
    ~Held() {
        std::ofstream{gate} << "open";
        if (work.joinable()) work.join();
        std::filesystem::remove(gate);
        place.command("");
    }
    const SpiedToken& place;
    std::filesystem::path gate;
    std::thread work = {};
};

struct WrappingAttack : WrappingTest {
    // The private key with that CKA_ID, once it is there.
    CK_OBJECT_HANDLE wait_for(const CkaId& id) {
        CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
        while (found == CK_INVALID_HANDLE)
            EXPECT_TRUE(token.on_session([&](Session& session) -> Result<void> {
                const std::array wanted{attribute(CKA_CLASS, private_class), attribute_bytes(CKA_ID, id.bytes())};
                QSCD_TRY(auto all, session.search(wanted));
                if (!all.empty()) found = all.front();
                return success();
            }));
        return found;
    }
    void expect_unreadable(CK_OBJECT_HANDLE key, KeyKind kind) {
        const std::vector<CK_ATTRIBUTE_TYPE> elliptic{CKA_VALUE};
        const std::vector<CK_ATTRIBUTE_TYPE> rsa{CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
                                                 CKA_EXPONENT_1,       CKA_EXPONENT_2, CKA_COEFFICIENT};
        EXPECT_TRUE(token.on_session([&](Session& session) -> Result<void> {
            for (const auto type : row_of(kind).elliptic ? elliptic : rsa) {
                Bytes out(4096);
                CK_ATTRIBUTE wanted{type, out.data(), out.size()};
                EXPECT_EQ(session.api().C_GetAttributeValue(session.handle(), key, &wanted, 1),
                          CK_RV{CKR_ATTRIBUTE_SENSITIVE})
                    << type;
                EXPECT_EQ(out, Bytes(4096)) << type;
            }
            QSCD_TRY(auto sensitive, session.read(key, CKA_SENSITIVE));
            EXPECT_EQ(sensitive, Bytes{CK_TRUE});
            return success();
        }));
    }
    // What the module answers to `call` with the key-encryption key.
    CK_RV with_kek(const std::function<CK_RV(const CK_FUNCTION_LIST&, CK_SESSION_HANDLE, CK_OBJECT_HANDLE)>& call) {
        CK_RV rv = CKR_OK;
        EXPECT_TRUE(token.on_session([&](Session& session) -> Result<void> {
            KeyObject kek{world.kek->id, secret_class};
            QSCD_TRY(auto handle, session.locate(kek));
            rv = call(session.api(), session.handle(), handle);
            return session.reopen();
        }));
        return rv;
    }
    // Whatever opens is as the rules say.
    CK_RV unwrap(const WrappedKey& key, std::vector<CK_ATTRIBUTE> wanted) {
        return with_kek([&](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE kek) {
            CK_MECHANISM mechanism{key.mechanism, nullptr, 0};
            CK_OBJECT_HANDLE out = CK_INVALID_HANDLE;
            const CK_RV rv = api.C_UnwrapKey(session, &mechanism, kek, const_cast<std::uint8_t*>(key.blob.data()),
                                             key.blob.size(), wanted.data(), wanted.size(), &out);
            if (rv != CKR_OK) return rv;
            for (const auto& rule : opened_key_rules) {
                CK_BBOOL value = 0xff;
                CK_ATTRIBUTE asked{rule.type, &value, sizeof value};
                EXPECT_EQ(api.C_GetAttributeValue(session, out, &asked, 1), CK_RV{CKR_OK});
                EXPECT_EQ(value, rule.value) << rule.name;
            }
            return rv;
        });
    }
    static std::vector<CK_ATTRIBUTE> full_template() {
        static constexpr CK_KEY_TYPE elliptic = CKK_EC;
        auto out = template_of(opened_key_rules, true);
        out.push_back(attribute(CKA_CLASS, private_class));
        out.push_back(attribute(CKA_KEY_TYPE, elliptic));
        return out;
    }
    static void set(std::vector<CK_ATTRIBUTE>& wanted, CK_ATTRIBUTE_TYPE type, const CK_BBOOL& value) {
        *std::ranges::find(wanted, type, &CK_ATTRIBUTE::type) = attribute(type, value);
    }
};

struct EveryKindUnderAttack : WrappingAttack, ::testing::WithParamInterface<KeyKind> {};
INSTANTIATE_TEST_SUITE_P(, EveryKindUnderAttack, ::testing::Values(KeyKind::p256, KeyKind::rsa3072),
                         [](const auto& test) { return row_of(test.param).elliptic ? "EC" : "RSA"; });

TEST_P(EveryKindUnderAttack, QSCD_01_TheValueIsNotReadableWhileTheKeyIsExtractable) {
    for (const std::string moment : {"C_WrapKey", "C_DestroyObject"}) {
        SCOPED_TRACE(moment);
        const auto id = random_fixed<CkaId>();
        Held held{place, moment};
        held.work = std::thread{[&] { EXPECT_TRUE(wrapping.generate(GetParam(), world.kek->id, id, anna)); }};
        expect_unreadable(wait_for(id), GetParam());
    }
}

TEST_P(EveryKindUnderAttack, QSCD_01_TheValueIsNotReadableWhileTheKeyIsOpen) {
    const auto key = make(GetParam());
    Held held{place, "C_DestroyObject"};
    held.work = std::thread{[&] { EXPECT_TRUE(sign(key).signature); }};
    expect_unreadable(wait_for(key.id), GetParam());
}

TEST_F(WrappingAttack, QSCD_30_AnOpenKeyIsNeitherCopiedNorWrappedAgain) {
    const auto key = make();
    Held held{place, "C_DestroyObject"};
    held.work = std::thread{[&] { EXPECT_TRUE(sign(key).signature); }};
    const auto open = wait_for(key.id);
    EXPECT_TRUE(token.on_session([&](Session& session) -> Result<void> {
        CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
        for (const auto& change : {attribute(CKA_TOKEN, yes), attribute(CKA_TOKEN, no), attribute(CKA_EXTRACTABLE, yes),
                                   attribute(CKA_SENSITIVE, no)}) {
            auto wanted = change;
            EXPECT_NE(session.api().C_CopyObject(session.handle(), open, &wanted, 1, &copy), CK_RV{CKR_OK});
        }
        for (const auto& change : {attribute(CKA_EXTRACTABLE, yes), attribute(CKA_SENSITIVE, no),
                                   attribute(CKA_TOKEN, yes), attribute(CKA_COPYABLE, yes)}) {
            auto wanted = change;
            EXPECT_NE(session.api().C_SetAttributeValue(session.handle(), open, &wanted, 1), CK_RV{CKR_OK});
        }
        KeyObject kek{world.kek->id, secret_class};
        QSCD_TRY(auto handle, session.locate(kek));
        CK_MECHANISM mechanism{key.mechanism, nullptr, 0};
        Bytes out(4096);
        CK_ULONG size = out.size();
        EXPECT_EQ(session.api().C_WrapKey(session.handle(), &mechanism, handle, open, out.data(), &size),
                  CK_RV{CKR_KEY_UNEXTRACTABLE})
            << "there is no re-wrap";
        return success();
    }));
}

TEST_F(WrappingAttack, QSCD_30_AnotherProcessWithTheLoginDoesNotSeeTheKeyThatIsMadeOrOpen) {
    OtherOwner other{place, "signers"};
    const auto key = make();
    for (const std::string moment : {"C_WrapKey", "C_DestroyObject"}) {
        SCOPED_TRACE(moment);
        const bool making = moment == "C_WrapKey";
        const auto id = making ? random_fixed<CkaId>() : key.id;
        Held held{place, moment};
        held.work = std::thread{[&] {
            if (making) EXPECT_TRUE(wrapping.generate(KeyKind::p256, world.kek->id, id, anna));
            else EXPECT_TRUE(sign(key).signature);
        }};
        wait_for(id);
        EXPECT_EQ(other.say("destroy " + id.hex()), "ok") << "for it there is nothing to destroy";
        wait_for(id);
    }
}

TEST_F(WrappingAttack, QSCD_14_AKekThatAnotherProcessDestroyedOpensNothingThoughItsHandleIsKnown) {
    const auto kek = wrapping.make_kek(random_fixed<CkaId>(), "kek-other").value();
    const auto key = wrapping.generate(KeyKind::p256, kek.id, random_fixed<CkaId>(), anna).value();
    ASSERT_TRUE(sign(key).signature);
    OtherOwner other{place, "signers"};
    ASSERT_EQ(other.say("destroy " + kek.id.hex()), "ok");
    const auto outcome = sign(key);
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::key_gone);
    EXPECT_FALSE(outcome.entered);
    EXPECT_TRUE(token.reachable());
}

TEST_F(WrappingAttack, QSCD_30_TheMeansOfThisTestOpenABlobWithTheFullTemplate) {
    EXPECT_EQ(unwrap(make(), full_template()), CK_RV{CKR_OK});
}

TEST_F(WrappingAttack, QSCD_30_NobodyOpensABlobAsAnotherKeyThanTheTemplateSays) {
    const auto key = make();
    for (const auto& rule : opened_key_rules) {
        SCOPED_TRACE(rule.name);
        auto wanted = full_template();
        set(wanted, rule.type, rule.value == CK_TRUE ? no : yes);
        EXPECT_EQ(unwrap(key, wanted), CK_RV{CKR_TEMPLATE_INCONSISTENT});
        // Not named: SoftHSM2 refuses it too, but where its own default is the rule.
        std::erase_if(wanted, [&](const CK_ATTRIBUTE& each) { return each.type == rule.type; });
        const bool by_default = rule.type == CKA_TOKEN || rule.type == CKA_PRIVATE;
        EXPECT_EQ(unwrap(key, wanted), by_default ? CK_RV{CKR_OK} : CK_RV{CKR_TEMPLATE_INCONSISTENT});
    }
    // As bytes of a secret key, which could be read or used to decrypt.
    static constexpr CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    std::vector<CK_ATTRIBUTE> secret{attribute(CKA_CLASS, secret_class), attribute(CKA_KEY_TYPE, generic),
                                     attribute(CKA_TOKEN, no), attribute(CKA_SENSITIVE, no),
                                     attribute(CKA_EXTRACTABLE, yes)};
    EXPECT_NE(unwrap(key, secret), CK_RV{CKR_OK});
}

TEST_F(WrappingAttack, QSCD_30_AKekDoesNothingButWrapAndUnwrap) {
    const auto begin = [&](auto call) {
        return with_kek([&](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE kek) {
            Bytes iv(16);
            CK_MECHANISM mechanism{CKM_AES_CBC_PAD, iv.data(), iv.size()};
            return (api.*call)(session, &mechanism, kek);
        });
    };
    EXPECT_NE(begin(&CK_FUNCTION_LIST::C_DecryptInit), CK_RV{CKR_OK});
    EXPECT_NE(begin(&CK_FUNCTION_LIST::C_EncryptInit), CK_RV{CKR_OK});
    EXPECT_NE(begin(&CK_FUNCTION_LIST::C_SignInit), CK_RV{CKR_OK});
    EXPECT_NE(begin(&CK_FUNCTION_LIST::C_VerifyInit), CK_RV{CKR_OK});
    for (const auto& change : {attribute(CKA_DECRYPT, yes), attribute(CKA_EXTRACTABLE, yes),
                               attribute(CKA_SENSITIVE, no), CK_ATTRIBUTE{CKA_UNWRAP_TEMPLATE, nullptr, 0}})
        EXPECT_NE(with_kek([&](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE kek) {
                      auto wanted = change;
                      return api.C_SetAttributeValue(session, kek, &wanted, 1);
                  }),
                  CK_RV{CKR_OK});
    EXPECT_EQ(with_kek([&](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE kek) {
                  Bytes out(64);
                  CK_ATTRIBUTE wanted{CKA_VALUE, out.data(), out.size()};
                  return api.C_GetAttributeValue(session, kek, &wanted, 1);
              }),
              CK_RV{CKR_ATTRIBUTE_SENSITIVE});
    EXPECT_NE(with_kek([&](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE kek) {
                  CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
                  auto wanted = attribute(CKA_TOKEN, no);
                  return api.C_CopyObject(session, kek, &wanted, 1, &copy);
              }),
              CK_RV{CKR_OK});
}

TEST_F(WrappingAttack, QSCD_20_AResidentKeyIsNotWrappedUnderAKek) {
    const auto resident = token.generate(KeyKind::p256, random_fixed<CkaId>(), "resident").value();
    const auto handle = wait_for(resident.key->id());
    EXPECT_EQ(with_kek([&](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE kek) {
                  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
                  Bytes out(4096);
                  CK_ULONG size = out.size();
                  return api.C_WrapKey(session, &mechanism, kek, handle, out.data(), &size);
              }),
              CK_RV{CKR_KEY_UNEXTRACTABLE});
    ASSERT_TRUE(token.destroy(resident.key->id()));
}

}  // namespace
}  // namespace qscd::hsm
