#include "ca/issuing/publisher.hpp"

#include "base/file.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/crl.hpp"

namespace qscd::ca {
namespace {

constexpr std::string_view certificate_type = "application/pkix-cert", crl_type = "application/pkix-crl";

}  // namespace

Publisher::Publisher(Parts parts) : parts_(std::move(parts)), thread_([this] { run(); }) {}

Publisher::~Publisher() {
    {
        const std::lock_guard guard{lock_};
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Publisher::wake() {
    {
        const std::lock_guard guard{lock_};
        woken_ = true;
    }
    changed_.notify_all();
}

void Publisher::run() {
    bool unpublished = false;
    std::unique_lock guard{lock_};
    while (!stopping_) {
        unpublished |= std::exchange(woken_, false);
        guard.unlock();
        unpublished |= renew_crls();
        if (unpublished) unpublished = !publish_all();
        guard.lock();
        // Every now and then the clock is looked at, which may be set, and what failed is tried again.
        changed_.wait_for(guard, parts_.patience, [&] { return stopping_ || woken_; });
    }
}

void Publisher::complain(Level level, std::string_view event, const std::string& about, const Error& error) {
    auto reason = describe(error);
    if (complaints_[about] == reason) return;
    note(level, event, {{"about", about}, {"reason", reason}});
    complaints_[about] = std::move(reason);
}

bool Publisher::renew_crls() {
    bool any = false;
    for (const auto& authority : authorities) {
        const auto now = parts_.clock.now();
        const auto old = crls_.find(authority.name);
        if (old != crls_.end() && now < old->second.made_at + crl_interval && now >= old->second.made_at) continue;
        const auto renewed = [&]() -> Result<Crl> {
            QSCD_TRY(const auto key, parts_.keys(authority));
            QSCD_TRY(const auto number, parts_.register_of_certificates.next_crl_number(authority.name));
            QSCD_TRY(auto der, sign_crl({.issuer = parts_.hierarchy.issuing(authority),
                                         .number = number,
                                         .this_update = now,
                                         .next_update = now + crl_validity},
                                        *key));
            note("crl-signed", {{"issuer", std::string{authority.name}}, {"number", std::to_string(number)}});
            return Crl{std::move(der), now, now + crl_validity};
        }();
        const std::string about{authority.name};
        if (renewed) {
            crls_.insert_or_assign(authority.name, renewed.value());
            settle(about);
            any = true;
        } else {
            complain(Level::alarm, "crl-not-signed", about, renewed.error());
        }
    }
    return any;
}

bool Publisher::send(std::string path, ByteView content, TimePoint next_update) {
    pb::StatusRequest request;
    auto& publish = *request.mutable_publish();
    publish.set_path(path);
    publish.set_content_type(std::string{path.ends_with(".crl") ? crl_type : certificate_type});
    publish.set_content(std::string{text_of(content)});
    publish.set_next_update(unix_seconds(next_update));
    const auto sent = parts_.publish(request);
    if (sent) settle(path);
    else
        complain(sent.error().code == Errc::service_away ? Level::info : Level::warning, "not-published", path,
                 sent.error());
    return sent.has_value();
}

bool Publisher::publish_all() {
    bool all = send(certificate_path(root_name), der_of(*parts_.hierarchy.root, i2d_X509), TimePoint{});
    if (!all) return false;  // statusd is not there: it says when it is
    for (const auto& authority : authorities) {
        all &= send(certificate_path(authority.name), der_of(parts_.hierarchy.issuing(authority), i2d_X509),
                    TimePoint{});
        if (const auto crl = crls_.find(authority.name); crl != crls_.end())
            all &= send(crl_path(authority.name), crl->second.der, crl->second.next_update);
    }
    const auto root_crl = [&]() -> Result<Crl> {
        QSCD_TRY(const auto der, read_file(parts_.root_crl));
        QSCD_TRY(const auto parsed, crl_from_der(view_of(der)));
        if (X509_CRL_get0_nextUpdate(parsed.get()) == nullptr)
            return Error{Errc::configuration, "the root's CRL has no nextUpdate"};
        QSCD_TRY(const auto next_update, time_of(*X509_CRL_get0_nextUpdate(parsed.get())));
        return Crl{bytes_of(der), TimePoint{}, next_update};
    }();
    if (root_crl) return send(crl_path(root_name), root_crl.value().der, root_crl.value().next_update) && all;
    complain(Level::alarm, "root-crl-unreadable", crl_path(root_name), root_crl.error());
    return false;
}

}  // namespace qscd::ca
