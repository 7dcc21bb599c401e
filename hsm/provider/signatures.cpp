// SIGNATURE of the provider [provider-signature(7)]. Hashes in software, hands the digest to ProviderKey::sign. One
// table serves RSA and ECDSA. Verification is the default provider's.
#include <charconv>
#include <exception>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/algorithm_identifier.hpp"
#include "hsm/provider/verification.hpp"

namespace qscd::hsm::provider {
namespace {

struct HashNames {
    HashAlgorithm algorithm;
    std::array<const char*, 3> names;  // the first is how we answer
};
constexpr std::array hash_names{
    HashNames{HashAlgorithm::sha256, {"SHA256", "SHA2-256", "SHA-256"}},
    HashNames{HashAlgorithm::sha384, {"SHA384", "SHA2-384", "SHA-384"}},
    HashNames{HashAlgorithm::sha512, {"SHA512", "SHA2-512", "SHA-512"}},
};
const HashNames& names_of(HashAlgorithm algorithm) { return hash_names[static_cast<std::size_t>(algorithm) - 1]; }

std::optional<HashAlgorithm> hash_named(const char* name) {
    for (const auto& row : hash_names)
        for (const char* spelling : row.names)
            if (OPENSSL_strcasecmp(spelling, name) == 0) return row.algorithm;
    return std::nullopt;
}

// An ECDSA signature does not say which hash it is over, so a caller of EVP_PKEY_sign need not either.
std::optional<HashAlgorithm> hash_of_size(std::size_t size) {
    for (const auto& row : hash_rows)
        if (row.size == size) return row.algorithm;
    return std::nullopt;
}

// OpenSSL asks and answers numbers, CMS texts.
struct PaddingRow {
    Scheme scheme;
    int number;
    const char* text;
};
constexpr std::array paddings{
    PaddingRow{Scheme::rsa_pkcs1, RSA_PKCS1_PADDING, OSSL_PKEY_RSA_PAD_MODE_PKCSV15},
    PaddingRow{Scheme::rsa_pss, RSA_PKCS1_PSS_PADDING, OSSL_PKEY_RSA_PAD_MODE_PSS},
};

using Hash = std::unique_ptr<EVP_MD, FreeWith<EVP_MD_free>>;

struct Context {
    const Surroundings* surroundings = nullptr;
    SharedKey key;
    Scheme scheme{};
    std::optional<HashAlgorithm> hash;
    std::optional<HashAlgorithm> mask_hash;  // MGF1, where asked for
    int salt = RSA_PSS_SALTLEN_DIGEST;       // as asked for: a length, or this constant
    EvpMdCtx state;
    std::unique_ptr<Verification> verification;  // while the context verifies
};

Context& at(void* context) { return *static_cast<Context*>(context); }

Error unsupported(std::string what) { return {Errc::not_supported, std::string{name} + ": " + std::move(what)}; }

// What a token is asked for has one form; anything else would be announced in one way and signed in another.
Result<HashAlgorithm> settled(const Context& context) {
    if (!context.hash) return unsupported("no hash was chosen");
    if (context.scheme != Scheme::rsa_pss) return *context.hash;
    if (context.mask_hash && *context.mask_hash != *context.hash) return unsupported("MGF1 with another hash");
    if (context.salt != RSA_PSS_SALTLEN_DIGEST && context.salt != static_cast<int>(size_of(*context.hash)))
        return unsupported("a PSS salt of another length than the hash");
    return *context.hash;
}

Result<Bytes> sign_with(const Context& context, const DtbsR& digest) {
    try {
        return context.key->signer->sign(context.scheme, digest);
    } catch (const std::exception& exception) {  // OpenSSL's C frames stand between us and the caller
        return Error{Errc::internal, std::string{"sign: "} + exception.what()};
    }
}

std::size_t largest_signature(const Context& context) {
    return static_cast<std::size_t>(EVP_PKEY_get_size(context.key->public_key.get()));
}

int sign_digest(const Context& context, HashAlgorithm hash, ByteView bytes, unsigned char* out, std::size_t* out_size,
                std::size_t room) {
    const auto digest = DtbsR::from(hash, bytes);
    if (!digest) return refuse(digest.error());
    if (room < largest_signature(context)) return refuse({Errc::internal, "the room for the signature is too small"});
    const auto signature = sign_with(context, digest.value());
    if (!signature) return refuse(signature.error());
    if (signature.value().empty() || signature.value().size() > room)
        return refuse({Errc::internal, "a signature of impossible size"});
    std::ranges::copy(signature.value(), out);
    *out_size = signature.value().size();
    forget_error();
    return 1;
}

void* create(void* surroundings, const char*) {
    auto out = std::make_unique<Context>();
    out->surroundings = static_cast<const Surroundings*>(surroundings);
    return out.release();
}
void release(void* context) { delete static_cast<Context*>(context); }

// EVP_DigestSignFinal finishes on a copy, so that the original can go on.
void* duplicate(void* context) {
    const auto& from = at(context);
    auto out = std::make_unique<Context>();
    out->surroundings = from.surroundings;
    out->key = from.key;
    out->scheme = from.scheme;
    out->hash = from.hash;
    out->mask_hash = from.mask_hash;
    out->salt = from.salt;
    if (from.state) {
        out->state.reset(EVP_MD_CTX_new());
        if (!out->state || EVP_MD_CTX_copy_ex(out->state.get(), from.state.get()) != 1) return nullptr;
    }
    if (from.verification) {
        out->verification = from.verification->copy();
        if (!out->verification) return nullptr;
    }
    return out.release();
}

int set_hash(Context& context, const char* hash_name) {
    const auto hash = hash_named(hash_name);
    if (!hash) return refuse(unsupported(std::string{"the hash "} + hash_name));
    if (context.state && context.hash != hash) return refuse(unsupported("another hash once hashing has begun"));
    context.hash = hash;
    return 1;
}

int set_padding(Context& context, const OSSL_PARAM& parameter) {
    int number = 0;
    const char* text = nullptr;
    const bool by_text = OSSL_PARAM_get_utf8_string_ptr(&parameter, &text) == 1;
    if (!by_text && OSSL_PARAM_get_int(&parameter, &number) != 1) return 0;
    for (const auto& row : paddings) {
        if (by_text ? OPENSSL_strcasecmp(row.text, text) == 0 : row.number == number) {
            context.scheme = row.scheme;
            return 1;
        }
    }
    return refuse(unsupported("this RSA padding"));
}

int set_salt(Context& context, const OSSL_PARAM& parameter) {
    const char* text = nullptr;
    if (OSSL_PARAM_get_utf8_string_ptr(&parameter, &text) != 1) return OSSL_PARAM_get_int(&parameter, &context.salt);
    const std::string_view words{text};
    if (words == OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) {
        context.salt = RSA_PSS_SALTLEN_DIGEST;
        return 1;
    }
    const auto [end, wrong] = std::from_chars(words.data(), words.data() + words.size(), context.salt);
    if (wrong != std::errc{} || end != words.data() + words.size())
        return refuse(unsupported("a PSS salt length that is not fixed"));
    return 1;
}

int set_parameters(void* data, const OSSL_PARAM parameters[]) {
    auto& context = at(data);
    if (parameters == nullptr) return 1;
    if (context.verification) return context.verification->set(parameters);
    const char* text = nullptr;
    if (const auto* p = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_DIGEST)) {
        if (OSSL_PARAM_get_utf8_string_ptr(p, &text) != 1 || set_hash(context, text) != 1) return 0;
    }
    if (context.scheme == Scheme::ecdsa) return 1;
    if (const auto* p = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE)) {
        if (set_padding(context, *p) != 1) return 0;
    }
    if (const auto* p = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_MGF1_DIGEST)) {
        if (OSSL_PARAM_get_utf8_string_ptr(p, &text) != 1) return 0;
        context.mask_hash = hash_named(text);
        if (!context.mask_hash) return refuse(unsupported(std::string{"MGF1 with the hash "} + text));
    }
    if (const auto* p = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) {
        if (set_salt(context, *p) != 1) return 0;
    }
    return 1;
}

// CMS reads back padding and salt through the text form, the EVP_PKEY_CTX_get_rsa_… calls as numbers.
int answer(OSSL_PARAM& parameter, int number, const char* text) {
    return parameter.data_type == OSSL_PARAM_UTF8_STRING ? OSSL_PARAM_set_utf8_string(&parameter, text)
                                                         : OSSL_PARAM_set_int(&parameter, number);
}

int answer_algorithm(const Context& context, OSSL_PARAM& parameter) {
    const auto hash = settled(context);
    if (!hash) return refuse(hash.error());
    const auto der = algorithm_identifier(context.scheme, hash.value());
    return !der.empty() && OSSL_PARAM_set_octet_string(&parameter, der.data(), der.size()) == 1;
}

int answer_padding(const Context& context, OSSL_PARAM& parameter) {
    for (const auto& row : paddings)
        if (row.scheme == context.scheme) return answer(parameter, row.number, row.text);
    return 0;
}

int answer_salt(const Context& context, OSSL_PARAM& parameter) {
    if (!context.hash) return answer(parameter, RSA_PSS_SALTLEN_DIGEST, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST);
    const auto size = static_cast<int>(size_of(*context.hash));
    return answer(parameter, size, std::to_string(size).c_str());
}

int answer_hash(std::optional<HashAlgorithm> hash, OSSL_PARAM& parameter) {
    return OSSL_PARAM_set_utf8_string(&parameter, hash ? names_of(*hash).names[0] : "");
}

int get_parameters(void* data, OSSL_PARAM parameters[]) {
    const auto& context = at(data);
    if (parameters == nullptr) return 1;
    if (context.verification) return context.verification->get(parameters);
    if (auto* p = OSSL_PARAM_locate(parameters, OSSL_SIGNATURE_PARAM_ALGORITHM_ID)) {
        if (answer_algorithm(context, *p) != 1) return 0;
    }
    if (auto* p = OSSL_PARAM_locate(parameters, OSSL_SIGNATURE_PARAM_DIGEST)) {
        if (answer_hash(context.hash, *p) != 1) return 0;
    }
    if (context.scheme == Scheme::ecdsa) return 1;
    if (auto* p = OSSL_PARAM_locate(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE)) {
        if (answer_padding(context, *p) != 1) return 0;
    }
    if (auto* p = OSSL_PARAM_locate(parameters, OSSL_SIGNATURE_PARAM_MGF1_DIGEST)) {
        if (answer_hash(context.mask_hash ? context.mask_hash : context.hash, *p) != 1) return 0;
    }
    if (auto* p = OSSL_PARAM_locate(parameters, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) {
        if (answer_salt(context, *p) != 1) return 0;
    }
    return 1;
}

const OSSL_PARAM* settable(void*, void*) {
    static const OSSL_PARAM all[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
        OSSL_PARAM_END,
    };
    return all;
}

const OSSL_PARAM* gettable(void*, void*) {
    static const OSSL_PARAM all[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
        OSSL_PARAM_END,
    };
    return all;
}

// A context may be started again, with or without another key.
int start(Context& context, void* key, const OSSL_PARAM parameters[]) {
    context.verification.reset();
    if (key != nullptr) context.key = *static_cast<SharedKey*>(key);
    if (!context.key || !context.key->signer) return refuse({Errc::internal, "the key has no private part here"});
    context.scheme = context.key->elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1;
    context.hash.reset();
    context.mask_hash.reset();
    context.salt = RSA_PSS_SALTLEN_DIGEST;
    context.state.reset();
    return set_parameters(&context, parameters);
}

int sign_init(void* data, void* key, const OSSL_PARAM parameters[]) { return start(at(data), key, parameters); }

int sign(void* data, unsigned char* out, std::size_t* out_size, std::size_t room, const unsigned char* digest,
         std::size_t digest_size) {
    auto& context = at(data);
    if (out == nullptr) {
        *out_size = largest_signature(context);
        return 1;
    }
    if (!context.hash && context.scheme == Scheme::ecdsa) context.hash = hash_of_size(digest_size);
    const auto hash = settled(context);
    if (!hash) return refuse(hash.error());
    return sign_digest(context, hash.value(), {digest, digest_size}, out, out_size, room);
}

// The padding comes after this call, so what fits together is checked when the signature is made.
int digest_sign_init(void* data, const char* hash_name, void* key, const OSSL_PARAM parameters[]) {
    auto& context = at(data);
    if (start(context, key, parameters) != 1) return 0;
    if (hash_name != nullptr && *hash_name != '\0' && set_hash(context, hash_name) != 1) return 0;
    if (!context.hash) context.hash = HashAlgorithm::sha256;
    context.state.reset(EVP_MD_CTX_new());
    const Hash hash{EVP_MD_fetch(context.surroundings->library, names_of(*context.hash).names[0], default_provider)};
    if (!context.state || !hash || EVP_DigestInit_ex2(context.state.get(), hash.get(), nullptr) != 1)
        return refuse({Errc::internal, "no such hash: is OpenSSL's default provider there?"});
    return 1;
}

int digest_sign_update(void* data, const unsigned char* part, std::size_t size) {
    const auto& context = at(data);
    return context.state ? EVP_DigestUpdate(context.state.get(), part, size) : 0;
}

int digest_sign_final(void* data, unsigned char* out, std::size_t* out_size, std::size_t room) {
    auto& context = at(data);
    if (out == nullptr) {
        *out_size = largest_signature(context);
        return 1;
    }
    const auto hash = settled(context);
    if (!hash) return refuse(hash.error());
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> bytes;
    unsigned size = 0;
    if (!context.state || EVP_DigestFinal_ex(context.state.get(), bytes.data(), &size) != 1)
        return refuse({Errc::internal, "no hash to finish"});
    context.state.reset();
    return sign_digest(context, hash.value(), {bytes.data(), size}, out, out_size, room);
}

int digest_sign(void* data, unsigned char* out, std::size_t* out_size, std::size_t room, const unsigned char* message,
                std::size_t size) {
    if (out != nullptr && digest_sign_update(data, message, size) != 1) return 0;
    return digest_sign_final(data, out, out_size, room);
}

bool take_public_half(Context& context, void* key) {
    context.verification.reset();
    if (key != nullptr) context.key = *static_cast<SharedKey*>(key);
    return context.key && context.key->public_key;
}

int verify_init(void* data, void* key, const OSSL_PARAM parameters[]) {
    auto& context = at(data);
    if (!take_public_half(context, key)) return 0;
    context.verification = Verification::of_digest(*context.key, parameters);
    return context.verification ? 1 : 0;
}

int verify(void* data, const unsigned char* signature, std::size_t signature_size, const unsigned char* digest,
           std::size_t size) {
    const auto& context = at(data);
    return context.verification ? context.verification->verify({signature, signature_size}, {digest, size}) : 0;
}

int digest_verify_init(void* data, const char* hash_name, void* key, const OSSL_PARAM parameters[]) {
    auto& context = at(data);
    if (!take_public_half(context, key)) return 0;
    context.verification = Verification::of_message(*context.key, hash_name, parameters);
    return context.verification ? 1 : 0;
}

int digest_verify_update(void* data, const unsigned char* part, std::size_t size) {
    const auto& context = at(data);
    return context.verification ? context.verification->update({part, size}) : 0;
}

int digest_verify_final(void* data, const unsigned char* signature, std::size_t size) {
    const auto& context = at(data);
    return context.verification ? context.verification->finish({signature, size}) : 0;
}

}  // namespace

const OSSL_DISPATCH* signatures() {
    static const OSSL_DISPATCH entries[] = {
        entry<OSSL_FUNC_signature_newctx_fn>(OSSL_FUNC_SIGNATURE_NEWCTX, create),
        entry<OSSL_FUNC_signature_freectx_fn>(OSSL_FUNC_SIGNATURE_FREECTX, release),
        entry<OSSL_FUNC_signature_dupctx_fn>(OSSL_FUNC_SIGNATURE_DUPCTX, duplicate),
        entry<OSSL_FUNC_signature_sign_init_fn>(OSSL_FUNC_SIGNATURE_SIGN_INIT, sign_init),
        entry<OSSL_FUNC_signature_sign_fn>(OSSL_FUNC_SIGNATURE_SIGN, sign),
        entry<OSSL_FUNC_signature_digest_sign_init_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),
        entry<OSSL_FUNC_signature_digest_sign_update_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digest_sign_update),
        entry<OSSL_FUNC_signature_digest_sign_final_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digest_sign_final),
        entry<OSSL_FUNC_signature_digest_sign_fn>(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, digest_sign),
        entry<OSSL_FUNC_signature_verify_init_fn>(OSSL_FUNC_SIGNATURE_VERIFY_INIT, verify_init),
        entry<OSSL_FUNC_signature_verify_fn>(OSSL_FUNC_SIGNATURE_VERIFY, verify),
        entry<OSSL_FUNC_signature_digest_verify_init_fn>(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, digest_verify_init),
        entry<OSSL_FUNC_signature_digest_verify_update_fn>(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE,
                                                           digest_verify_update),
        entry<OSSL_FUNC_signature_digest_verify_final_fn>(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, digest_verify_final),
        entry<OSSL_FUNC_signature_get_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_parameters),
        entry<OSSL_FUNC_signature_gettable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, gettable),
        entry<OSSL_FUNC_signature_set_ctx_params_fn>(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_parameters),
        entry<OSSL_FUNC_signature_settable_ctx_params_fn>(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable),
        {0, nullptr},
    };
    return entries;
}

}  // namespace qscd::hsm::provider
