// Keys that leave the module under a key-encryption key: what a module must enforce before that may be. [QSCD-30]
#include "base/random.hpp"
#include "hsm/probe/trial.hpp"

namespace qscd::hsm::probing {
namespace {

constexpr std::size_t largest_blob = 8192, tampering_step = 8, start_size = 16;

struct Way {
    CK_MECHANISM_TYPE mechanism;
    bool with_start;  // needs an initial vector
    std::string_view name, rsa_name, means;
};
constexpr std::array ways{
    Way{0x210b, false, "wrap-kwp", "wrap-rsa-kwp", "CKM_AES_KEY_WRAP_KWP"},
    Way{CKM_AES_KEY_WRAP_PAD, false, "wrap-key-wrap-pad", "wrap-rsa-key-wrap-pad", "CKM_AES_KEY_WRAP_PAD"},
    Way{CKM_AES_KEY_WRAP, false, "wrap-key-wrap", "wrap-rsa-key-wrap", "CKM_AES_KEY_WRAP"},
    Way{CKM_AES_CBC_PAD, true, "wrap-cbc-pad", "wrap-rsa-cbc-pad", "CKM_AES_CBC_PAD"},
};

// What an opened key must be, and what the key-encryption key forces on it.
const auto rules_of_opened = std::to_array<std::pair<CK_ATTRIBUTE_TYPE, CK_BBOOL>>({
    {CKA_TOKEN, no},
    {CKA_PRIVATE, yes},
    {CKA_SENSITIVE, yes},
    {CKA_EXTRACTABLE, no},
    {CKA_SIGN, yes},
    {CKA_DECRYPT, no},
    {CKA_UNWRAP, no},
    {CKA_DERIVE, no},
});

struct Blob {
    const Way* way;
    std::array<std::uint8_t, start_size> start{};
    Bytes bytes = {};
    CK_MECHANISM mechanism() {
        return {way->mechanism, way->with_start ? start.data() : nullptr, way->with_start ? start.size() : 0};
    }
};

using Attributes = std::vector<CK_ATTRIBUTE>;

class Wrapping {
public:
    Wrapping(Trial& trial, std::vector<Finding>& findings) : trial_(trial), findings_(findings) {}

    void run() {
        make_kek();
        add("kek-made", "an AES-256 key that wraps and unwraps, and nothing else", wrapped_keys, kek_answer_);
        add("kek-only-wraps", "it does not encrypt or decrypt: blobs are not opened as plain bytes", wrapped_keys,
            only_wraps());
        // A refused generation closes the session, and the key-encryption key with it: not asked for in vain.
        const bool elliptic = round_trips(KeyKind::p256, trial_.offers(CKM_EC_KEY_PAIR_GEN));
        const bool rsa = round_trips(
            KeyKind::rsa3072, trial_.depth == Depth::full || (template_taken_ && !trial_.offers(CKM_EC_KEY_PAIR_GEN)));
        add("wraps-p256", "one way at least takes P-256 keys out and in", mask({Use::wrapped_elliptic}),
            {elliptic, "", kek_ != CK_INVALID_HANDLE});
        add("wraps-rsa", "one way at least takes RSA keys out and in", mask({Use::wrapped_rsa}),
            {rsa, "", tried_rsa_ || kek_ == CK_INVALID_HANDLE});
        add("unwrap-template-enforced", "CKA_UNWRAP_TEMPLATE: a blob opens as a hidden signing key or not at all",
            wrapped_keys, enforces_template());
        add("tampered-blob-refused", "a blob with a bit changed anywhere does not open", wrapped_keys,
            tampering_ ? *tampering_ : untried("nothing round-trips"));
        add("unwrapped-told", "an opened key claims neither CKA_LOCAL nor CKA_NEVER_EXTRACTABLE", nobody,
            opened_told_ ? *opened_told_ : untried("nothing round-trips"));
        add("wrap-with-trusted-enforced", "CKA_WRAP_WITH_TRUSTED: no wrapping under a key that is not CKA_TRUSTED",
            nobody, trusts_only_trusted());
    }
    std::optional<CK_MECHANISM_TYPE> chosen() const {
        return best_ ? std::optional{best_->way->mechanism} : std::nullopt;
    }

private:
    void add(std::string_view name, std::string_view means, unsigned needed_by, Answer answer) {
        findings_.push_back({name, means, needed_by, answer.tried, answer.found, std::move(answer.detail)});
    }
    CK_SESSION_HANDLE session() const { return trial_.session.handle(); }
    const CK_FUNCTION_LIST& api() const { return trial_.api(); }

    Attributes opened_rules() const {
        Attributes out;
        for (const auto& [type, value] : rules_of_opened) out.push_back(attribute(type, value));
        return out;
    }

    // The strict one; where the module refuses CKA_UNWRAP_TEMPLATE, one without, to see what else it does.
    void make_kek() {
        if (!trial_.offers(CKM_AES_KEY_GEN)) return void(kek_answer_ = {false, "the module makes no AES keys"});
        if (trial_.lifetime != Lifetime::session) return void(kek_answer_ = {false, "no session keys"});
        auto forced = opened_rules();
        forced.insert(forced.begin(), attribute(CKA_CLASS, private_class));
        const CK_ULONG size = 32;
        Attributes wanted{attribute(CKA_TOKEN, no),
                          attribute(CKA_PRIVATE, yes),
                          attribute(CKA_SENSITIVE, yes),
                          attribute(CKA_EXTRACTABLE, no),
                          attribute(CKA_WRAP, yes),
                          attribute(CKA_UNWRAP, yes),
                          attribute(CKA_ENCRYPT, no),
                          attribute(CKA_DECRYPT, no),
                          attribute(CKA_SIGN, no),
                          attribute(CKA_VERIFY, no),
                          attribute(CKA_DERIVE, no),
                          attribute(CKA_VALUE_LEN, size),
                          {CKA_UNWRAP_TEMPLATE, forced.data(), forced.size() * sizeof(CK_ATTRIBUTE)}};
        CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
        template_answer_ = api().C_GenerateKey(session(), &mechanism, wanted.data(), wanted.size(), &kek_);
        template_taken_ = template_answer_ == CKR_OK;
        CK_RV rv = template_answer_;
        if (rv != CKR_OK) {
            wanted.pop_back();
            rv = api().C_GenerateKey(session(), &mechanism, wanted.data(), wanted.size(), &kek_);
        }
        if (rv != CKR_OK) {
            kek_ = CK_INVALID_HANDLE;
            return void(kek_answer_ = {false, in_hex(rv)});
        }
        trial_.keep(kek_);
        for (const auto& each : wanted) {
            if (each.ulValueLen != sizeof(CK_BBOOL)) continue;
            const auto back = trial_.session.read_up_to(kek_, each.type, 1);
            if (!back || back.value() != Bytes{*static_cast<const CK_BBOOL*>(each.pValue)})
                return void(kek_answer_ = {false, "the token says otherwise of attribute " + in_hex(each.type)});
        }
        kek_answer_ = {true};
    }

    Answer only_wraps() {
        if (kek_ == CK_INVALID_HANDLE) return untried("no such key");
        const SecondSession second{trial_};
        if (second.rv != CKR_OK) return {false, "C_OpenSession answered " + in_hex(second.rv)};
        std::array<std::uint8_t, start_size> start{};
        CK_MECHANISM mechanism{CKM_AES_CBC_PAD, start.data(), start.size()};
        if (api().C_DecryptInit(second.handle, &mechanism, kek_) == CKR_OK) return {false, "it decrypts"};
        if (api().C_EncryptInit(second.handle, &mechanism, kek_) == CKR_OK) return {false, "it encrypts"};
        return {true};
    }

    Result<CK_OBJECT_HANDLE> open(Blob& blob, const Bytes& bytes, Attributes wanted) {
        const CK_KEY_TYPE type = opened_type_;
        wanted.insert(wanted.begin(), {attribute(CKA_CLASS, private_class), attribute(CKA_KEY_TYPE, type)});
        auto mechanism = blob.mechanism();
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
        const CK_RV rv = api().C_UnwrapKey(session(), &mechanism, kek_, const_cast<std::uint8_t*>(bytes.data()),
                                           bytes.size(), wanted.data(), wanted.size(), &key);
        if (rv != CKR_OK) return error_of(rv, "C_UnwrapKey");
        trial_.keep(key);
        return key;
    }

    // Out, in, and it signs as before.
    Answer round_trip(const TrialKey& key, Blob& blob) {
        random_into(blob.start);
        auto mechanism = blob.mechanism();
        blob.bytes.resize(largest_blob);
        CK_ULONG size = blob.bytes.size();
        if (const CK_RV rv = api().C_WrapKey(session(), &mechanism, kek_, key.handle, blob.bytes.data(), &size);
            rv != CKR_OK)
            return {false, "C_WrapKey answered " + in_hex(rv)};
        blob.bytes.resize(size);
        const auto opened = open(blob, blob.bytes, opened_rules());
        if (!opened) return failed(opened.error());
        SigningInput input{key.scheme(), some_hash()};
        const auto signature = sign_in(trial_, session(), opened.value(), input);
        const bool good = signature && verifies(*key.public_key, key.scheme(), some_hash(), signature.value());
        if (good && !opened_told_) opened_told_ = told_of(opened.value());
        trial_.destroy(opened.value());
        if (!signature) return failed(signature.error());
        return {good, good ? std::to_string(size) + " bytes" : "the opened key signs otherwise"};
    }

    // The first way that round-trips and refuses tampered blobs is the one for the product; else the first that round-trips.
    bool round_trips(KeyKind kind, bool wanted) {
        const bool elliptic = row_of(kind).elliptic;
        std::optional<TrialKey> key;
        std::string why = elliptic ? "no elliptic curves" : "it takes long";
        if (wanted) {
            auto made = kek_ == CK_INVALID_HANDLE ? Error{Errc::internal, "no key-encryption key"}
                                                  : make_key(trial_, kind, Lifetime::until_wrapped);
            if (!made && elliptic && kek_ != CK_INVALID_HANDLE) made = make_lenient_key(trial_, yes);
            if (made) key = std::move(made).value();
            else why = made.error().detail;
        }
        bool any = false;
        for (const auto& way : ways) {
            Answer answer = untried(why);
            Blob blob{&way};
            if (key && !trial_.offers(way.mechanism)) answer = {false, "the mechanism is not there"};
            else if (key) {
                opened_type_ = elliptic ? CKK_EC : CKK_RSA;
                answer = round_trip(*key, blob);
            }
            if (answer.found) {
                any = true;
                consider(blob, elliptic);
            }
            add(elliptic ? way.name : way.rsa_name, way.means, nobody, std::move(answer));
        }
        tried_rsa_ = tried_rsa_ || (!elliptic && key.has_value());
        return any;
    }

    void consider(Blob& blob, bool elliptic) {
        if (tampering_ && tampering_->found) return;
        auto answer = refuses_tampered(blob);
        if (tampering_ && !answer.found) return;
        tampering_ = std::move(answer);
        best_ = blob;
        best_type_ = elliptic ? CKK_EC : CKK_RSA;
    }

    Answer refuses_tampered(Blob& blob) {
        for (std::size_t at = 0; at < blob.bytes.size(); at += tampering_step) {
            auto bytes = blob.bytes;
            bytes[at] ^= 1;
            const auto opened = open(blob, bytes, opened_rules());
            if (!opened) continue;
            trial_.destroy(opened.value());
            return {false, std::string{blob.way->means} + " opened one with byte " + std::to_string(at) + " changed"};
        }
        return {true, std::string{blob.way->means}};
    }

    Answer told_of(CK_OBJECT_HANDLE opened) {
        for (const CK_ATTRIBUTE_TYPE type : {CKA_LOCAL, CKA_NEVER_EXTRACTABLE, CKA_ALWAYS_SENSITIVE}) {
            const auto said = trial_.session.read_up_to(opened, type, 1);
            if (!said) return failed(said.error());
            if (said.value() != Bytes{CK_FALSE}) return {false, "attribute " + in_hex(type) + " is claimed"};
        }
        return {true};
    }

    // Opened as a readable key, as one for another use, and without a word about what it shall be.
    Answer enforces_template() {
        if (kek_ == CK_INVALID_HANDLE) return untried("no key-encryption key");
        if (!template_taken_) return {false, "the attribute is refused: " + in_hex(template_answer_)};
        if (!best_) return untried("nothing round-trips");
        opened_type_ = best_type_;
        struct Attempt {
            std::string_view says;
            std::vector<std::pair<CK_ATTRIBUTE_TYPE, CK_BBOOL>> changed;
        };
        const std::array attempts{Attempt{"a readable key", {{CKA_SENSITIVE, no}, {CKA_EXTRACTABLE, yes}}},
                                  Attempt{"an extractable key", {{CKA_EXTRACTABLE, yes}}},
                                  Attempt{"a key for agreement", {{CKA_DERIVE, yes}}},
                                  Attempt{"a key that decrypts", {{CKA_DECRYPT, yes}}},
                                  Attempt{"a key that does not sign", {{CKA_SIGN, no}}}};
        for (const auto& attempt : attempts) {
            auto wanted = opened_rules();
            for (const auto& [type, value] : attempt.changed)
                for (auto& each : wanted)
                    if (each.type == type) each = attribute(type, value);
            if (const auto opened = open(*best_, best_->bytes, wanted); opened && breaks_rules(opened.value()))
                return {false, "a blob opened as " + std::string{attempt.says}};
        }
        const auto bare = open(*best_, best_->bytes, {attribute(CKA_TOKEN, no)});
        if (bare && breaks_rules(bare.value())) return {false, "a blob opened as a key without rules"};
        return {true, bare ? "rules that are not asked for are added" : "all rules must be asked for"};
    }

    bool breaks_rules(CK_OBJECT_HANDLE opened) {
        for (const auto& [type, value] : rules_of_opened) {
            const auto said = trial_.session.read_up_to(opened, type, 1);
            if (!said || said.value() != Bytes{value}) return true;
        }
        return false;
    }

    Answer trusts_only_trusted() {
        if (kek_ == CK_INVALID_HANDLE || !best_) return untried("nothing round-trips");
        if (best_type_ != CKK_EC) return untried("no P-256 keys");
        const std::array wanted{attribute(CKA_SENSITIVE, yes), attribute(CKA_EXTRACTABLE, yes),
                                attribute(CKA_SIGN, yes), attribute(CKA_WRAP_WITH_TRUSTED, yes)};
        Bytes point;
        const auto key = make_plain_pair(trial_, wanted, point);
        if (!key) return failed(key.error());
        auto mechanism = best_->mechanism();
        Bytes out(largest_blob);
        CK_ULONG size = out.size();
        return refused(api().C_WrapKey(session(), &mechanism, kek_, key.value().handle, out.data(), &size));
    }

    static void random_into(std::array<std::uint8_t, start_size>& start) {
        const auto drawn = random_bytes(start.size());
        std::ranges::copy(drawn, start.begin());
    }

    Trial& trial_;
    std::vector<Finding>& findings_;
    CK_OBJECT_HANDLE kek_ = CK_INVALID_HANDLE;
    Answer kek_answer_{false};
    bool template_taken_ = false, tried_rsa_ = false;
    CK_RV template_answer_ = CKR_OK;
    CK_KEY_TYPE opened_type_ = CKK_EC, best_type_ = CKK_EC;
    std::optional<Blob> best_;
    std::optional<Answer> tampering_, opened_told_;
};

}  // namespace

Result<void> try_wrapping(Trial& trial, std::vector<Finding>& findings, std::optional<CK_MECHANISM_TYPE>& chosen) {
    QSCD_TRY(trial.session.ready());
    Wrapping wrapping{trial, findings};
    wrapping.run();
    chosen = wrapping.chosen();
    return success();
}

}  // namespace qscd::hsm::probing
