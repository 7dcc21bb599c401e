#include "hsm/token.hpp"

#include <future>

#include "hsm/generation.hpp"
#include "hsm/token_pool.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, secret_class = CKO_SECRET_KEY, data_class = CKO_DATA;
constexpr std::array key_classes{private_class, secret_class};
constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

struct SignAttempt {
    Result<Bytes> signature;
    bool entered;
};

Result<void> gone(Session& session, const CkaId& id) {
    for (const auto& object_class : key_classes) {
        QSCD_TRY(const bool there, session.is_there(KeyObject{id, object_class}));
        if (there) return Error{Errc::internal, "key " + id.hex() + " is still there"};
    }
    return success();
}

// Only a failed C_SignInit is tried again, once, after renewal: nothing had been signed. Once C_Sign was entered its
// outcome counts as used, whatever it answered: nothing is retried, on no token. [QSCD-22]
SignAttempt sign_once(Session& session, KeyObject& key, SigningInput& input) {
    for (bool renewed = false;; renewed = true) {
        const auto handle = session.locate(key);
        Result<void> begun = handle ? Result<void>{success()} : handle.error();
        if (handle) {
            const CK_RV rv = session.begin(handle.value(), input);
            if (rv == CKR_OK) return {session.finish(input), true};
            begun = session.fail(rv, "C_SignInit");
        }
        if (renewed || !session.went_stale() || begun.error().code == Errc::key_gone) return {begun.error(), false};
        session.forget(key);
        if (const auto ready = session.renew(session.last()); !ready) return {ready.error(), false};
    }
}

Token::Outcome sign_hash(Session& session, KeyObject& key, Scheme scheme, const DtbsR& dtbsr) {
    SigningInput input{scheme, dtbsr};
    auto attempt = sign_once(session, key, input);
    if (attempt.signature && scheme == Scheme::ecdsa) attempt.signature = ecdsa_der_of(attempt.signature.value());
    return {std::move(attempt.signature), attempt.entered};
}

bool means_stale(const Session& session, const Error& error) {
    return error.code == Errc::token_away && session.went_stale();
}

}  // namespace

Token::Token(std::shared_ptr<Module> module, std::string label)
    : module_(std::move(module)), label_(std::move(label)) {}
Token::~Token() = default;

Result<std::unique_ptr<Token>> Token::open(std::shared_ptr<Module> module, std::string label, SecretBytes pin,
                                           unsigned threads, Admission admission) {
    std::unique_ptr<Token> out{new Token{std::move(module), std::move(label)}};
    out->pool_ = std::make_unique<Pool>(out->module_, out->label_, std::move(pin), std::move(admission));
    const auto there = out->pool_->start(threads);
    if (!there && there.error().code == Errc::configuration) return there.error();
    return out;
}

template <class T>
T Token::run(Asking asking, const std::function<T(Session&)>& job) {
    QSCD_TRY(pool_->admits());
    std::promise<T> promise;
    auto future = promise.get_future();
    pool_->post([&](Session& session) {
        const auto inside = module_->enter();
        promise.set_value(answer<T>(session, asking, job));
    });
    return future.get();
}

template <class T>
T Token::answer(Session& session, Asking asking, const std::function<T(Session&)>& job) {
    QSCD_TRY(pool_->admit(session));
    if (asking == Asking::proved) {
        QSCD_TRY(pool_->watch(session, session.prove()));
    }
    T result = job(session);
    // Nothing was changed by what failed, so it may be asked once more.
    if (asking == Asking::twice && !result && means_stale(session, result.error()) && session.renew(session.last()))
        result = job(session);
    return pool_->watch(session, std::move(result));
}

Result<void> Token::on_session(const std::function<Result<void>(Session&)>& job) {
    return run<Result<void>>(Asking::proved, job);
}

void Token::post(std::function<Result<void>(Session&)> job, std::function<void(const Result<void>&)> done) {
    pool_->post([this, job = std::move(job), done = std::move(done)](Session& session) {
        Result<void> result = success();
        {
            const auto inside = module_->enter();
            result = answer<Result<void>>(session, Asking::proved, job);
        }
        done(result);
    });
}

Result<GeneratedKey> Token::generate(KeyKind kind, const CkaId& id, const std::string& label) {
    QSCD_TRY(auto key, run<Result<GeneratedKey>>(Asking::proved, [&](Session& session) {
                 return generate_key_pair(session, kind, id, label);
             }));
    QSCD_TRY(module_->make_durable());
    return key;
}

Result<std::shared_ptr<KeyObject>> Token::generate_hmac_key(const CkaId& id, const std::string& label) {
    QSCD_TRY(auto key, run<Result<std::shared_ptr<KeyObject>>>(
                           Asking::proved, [&](Session& session) { return generate_secret_key(session, id, label); }));
    QSCD_TRY(module_->make_durable());
    return key;
}

Result<std::shared_ptr<KeyObject>> Token::find(CK_OBJECT_CLASS object_class, const CkaId& id) {
    return run<Result<std::shared_ptr<KeyObject>>>(Asking::twice,
                                                   [&](Session& session) -> Result<std::shared_ptr<KeyObject>> {
                                                       auto key = std::make_shared<KeyObject>(id, object_class);
                                                       QSCD_TRY(session.locate(*key));
                                                       return key;
                                                   });
}

Result<std::shared_ptr<KeyObject>> Token::find_private(const CkaId& id) { return find(private_class, id); }
Result<std::shared_ptr<KeyObject>> Token::find_secret(const CkaId& id) { return find(secret_class, id); }

Result<std::shared_ptr<KeyObject>> Token::find_by_label(const std::string& label) {
    return run<Result<std::shared_ptr<KeyObject>>>(
        Asking::twice, [&](Session& session) -> Result<std::shared_ptr<KeyObject>> {
            const std::array wanted{attribute_bytes(CKA_LABEL, view_of(label)), attribute(CKA_SIGN, yes)};
            QSCD_TRY(auto found, session.search(wanted));
            if (found.size() != 1) {
                QSCD_TRY(session.token_is_there());
                return Error{Errc::parameter_invalid, std::to_string(found.size()) + " keys labelled " + label};
            }
            QSCD_TRY(auto class_bytes, session.read(found[0], CKA_CLASS));
            QSCD_TRY(auto id_bytes, session.read(found[0], CKA_ID));
            const auto id = CkaId::from(id_bytes);
            CK_OBJECT_CLASS object_class = 0;
            if (!id || class_bytes.size() != sizeof object_class)
                return Error{Errc::internal, "key " + label + " has a CKA_ID that is not ours"};
            std::memcpy(&object_class, class_bytes.data(), sizeof object_class);
            return std::make_shared<KeyObject>(*id, object_class);
        });
}

Result<std::vector<CkaId>> Token::private_keys() {
    return run<Result<std::vector<CkaId>>>(Asking::twice, [](Session& session) -> Result<std::vector<CkaId>> {
        const std::array wanted{attribute(CKA_CLASS, private_class), attribute(CKA_TOKEN, yes)};
        QSCD_TRY(auto found, session.search(wanted));
        QSCD_TRY(session.token_is_there());  // an absent token is no empty one
        std::vector<CkaId> out;
        for (const auto handle : found) {
            QSCD_TRY(auto bytes, session.read(handle, CKA_ID));
            if (const auto id = CkaId::from(bytes)) out.push_back(*id);
        }
        return out;
    });
}

Result<std::vector<NamedKey>> Token::keys(std::string_view prefix) {
    return run<Result<std::vector<NamedKey>>>(Asking::twice, [&](Session& session) -> Result<std::vector<NamedKey>> {
        std::vector<NamedKey> out;
        for (const auto& object_class : key_classes) {
            const std::array wanted{attribute(CKA_CLASS, object_class)};
            QSCD_TRY(auto found, session.search(wanted));
            for (const auto handle : found) {
                QSCD_TRY(auto label_bytes, session.read(handle, CKA_LABEL));
                std::string label{text_of(label_bytes)};
                if (!label.starts_with(prefix)) continue;
                QSCD_TRY(auto id_bytes, session.read(handle, CKA_ID));
                const auto id = CkaId::from(id_bytes);
                if (!id) return Error{Errc::internal, "key " + label + " has a CKA_ID that is not ours"};
                out.push_back({*id, std::move(label), object_class});
            }
        }
        QSCD_TRY(session.token_is_there());  // an absent token is no empty one
        return out;
    });
}

Result<void> Token::destroy(const CkaId& id) {
    QSCD_TRY(run<Result<void>>(Asking::twice, [&](Session& session) -> Result<void> {
        for (const auto& object_class : key_classes) {
            const std::array wanted{attribute(CKA_CLASS, object_class), attribute_bytes(CKA_ID, id.bytes())};
            QSCD_TRY(auto found, session.search(wanted));
            for (const auto handle : found)
                if (const CK_RV rv = session.api().C_DestroyObject(session.handle(), handle); rv != CKR_OK)
                    return session.fail(rv, "C_DestroyObject");
        }
        return gone(session, id);
    }));
    return module_->make_durable();
}

Result<void> Token::confirm_gone(const CkaId& id) {
    return run<Result<void>>(Asking::twice, [&](Session& session) { return gone(session, id); });
}

Token::Outcome Token::sign(KeyObject& key, Scheme scheme, const DtbsR& dtbsr) {
    bool entered = false;
    auto signature = run<Result<Bytes>>(Asking::unproved, [&](Session& session) {
        auto outcome = sign_hash(session, key, scheme, dtbsr);
        entered = outcome.entered;
        return std::move(outcome.signature);
    });
    return {std::move(signature), entered};
}

Token::Outcome Token::sign_fenced(KeyObject& key, Scheme scheme, const DtbsR& dtbsr) {
    bool entered = false;
    auto signature = run<Result<Bytes>>(Asking::unproved, [&](Session& session) -> Result<Bytes> {
        auto outcome = sign_hash(session, key, scheme, dtbsr);
        entered = outcome.entered;
        if (!outcome.signature) return std::move(outcome.signature);
        auto still_there = session.is_there(key);
        if (!still_there && means_stale(session, still_there.error()) && session.renew(session.last()))
            still_there = session.is_there(key);
        if (!still_there) return still_there.error();
        if (still_there.value()) return std::move(outcome.signature);
        session.forget(key);
        return Error{Errc::key_gone, "key " + key.id().hex() + " was destroyed while it signed"};
    });
    return {std::move(signature), entered};
}

void Token::sign_all(std::shared_ptr<KeyObject> key, Scheme scheme, std::vector<DtbsR> hashes,
                     std::function<void(std::vector<Outcome>)> done) {
    pool_->post(
        [this, key = std::move(key), scheme, hashes = std::move(hashes), done = std::move(done)](Session& session) {
            std::vector<Outcome> outcomes;
            {
                const auto inside = module_->enter();
                for (const auto& hash : hashes) {
                    const auto admitted = pool_->admit(session);
                    auto outcome = admitted ? sign_hash(session, *key, scheme, hash) : Outcome{admitted.error(), false};
                    if (admitted) outcome.signature = pool_->watch(session, std::move(outcome.signature));
                    outcomes.push_back(std::move(outcome));
                    if (!outcomes.back().signature) break;
                }
            }
            done(std::move(outcomes));
        });
}

Result<Bytes> Token::hmac(KeyObject& key, ByteView message) {
    return run<Result<Bytes>>(Asking::unproved, [&](Session& session) {
        SigningInput input{message};
        return sign_once(session, key, input).signature;
    });
}

Result<SecretBytes> Token::random(std::size_t size) {
    return run<Result<SecretBytes>>(Asking::twice, [&](Session& session) -> Result<SecretBytes> {
        Bytes bytes(size);
        const CK_RV rv = session.api().C_GenerateRandom(session.handle(), bytes.data(), bytes.size());
        SecretBytes out{ByteView{bytes}};
        wipe(bytes);
        if (rv != CKR_OK) return session.fail(rv, "C_GenerateRandom");
        return out;
    });
}

Result<void> Token::create_data(const std::string& label, ByteView value) {
    QSCD_TRY(on_session([&](Session& session) -> Result<void> {
        std::array object{attribute(CKA_CLASS, data_class),
                          attribute(CKA_TOKEN, yes),
                          attribute(CKA_PRIVATE, no),
                          attribute(CKA_MODIFIABLE, no),
                          attribute_bytes(CKA_LABEL, view_of(label)),
                          attribute_bytes(CKA_APPLICATION, view_of("qscd")),
                          attribute_bytes(CKA_VALUE, value)};
        CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
        if (const CK_RV rv = session.api().C_CreateObject(session.handle(), object.data(), object.size(), &handle);
            rv != CKR_OK)
            return error_of(rv, "C_CreateObject");
        return success();
    }));
    return module_->make_durable();
}

Result<std::optional<Bytes>> Token::read_data(const std::string& label) {
    return run<Result<std::optional<Bytes>>>(Asking::twice, [&](Session& session) -> Result<std::optional<Bytes>> {
        const std::array wanted{attribute(CKA_CLASS, data_class), attribute_bytes(CKA_LABEL, view_of(label))};
        QSCD_TRY(auto found, session.search(wanted));
        if (found.empty()) {
            QSCD_TRY(session.token_is_there());
            return std::optional<Bytes>{};
        }
        if (found.size() > 1) return Error{Errc::internal, "two data objects labelled " + label};
        QSCD_TRY(auto value, session.read(found[0], CKA_VALUE));
        return std::optional<Bytes>{std::move(value)};
    });
}

bool Token::reachable() const { return pool_->serves(); }
bool Token::wait_until_reachable(std::chrono::milliseconds patience) const {
    return pool_->wait_until_serving(patience);
}
Token::Counters Token::counters() const { return pool_->counters(); }
unsigned Token::threads() const { return pool_->workers(); }

}  // namespace qscd::hsm
