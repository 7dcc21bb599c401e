#include "qscd/gateway/health.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace qscd::gateway {
namespace {

constexpr std::chrono::seconds kept{1};

std::string class_of(Errc code) { return std::string{name_of(code)}; }

net::Response json(unsigned status, const boost::json::object& object) {
    return {status, "application/json", boost::json::serialize(object)};
}

void tell(std::string& detail, std::string_view who, const std::string& what) {
    if (!what.empty()) detail += (detail.empty() ? "" : "; ") + std::string{who} + ": " + what;
}

}  // namespace

Health::Report Health::asked() {
    Report out{"ready", "ready", "ready", {}, {}};
    if (const auto store = access_.healthy(); !store) {
        out.gatewayd = class_of(store.error().code);
        tell(out.detail, "gatewayd", describe(store.error()));
    }
    if (const auto sam = sam_.health(); !sam) {
        out.samd = class_of(sam.error().code);
        tell(out.detail, "samd", describe(sam.error()));
    } else {
        out.missing.assign(sam.value().missing().begin(), sam.value().missing().end());
        for (const auto& shard : sam.value().shards())
            if (!shard.usable()) out.absent_shards.push_back(shard.number());
        if (!sam.value().store() || !sam.value().tokens()) {
            out.samd = class_of(sam.value().store() ? Errc::token_away : Errc::store_away);
            tell(out.detail, "samd", sam.value().detail());
        } else if (sam.value().clock() == "jumped") {
            out.samd = "clock_jumped";
            tell(out.detail, "samd", sam.value().detail());
        }
    }
    if (const auto ra = registration_.health(); !ra) {
        out.rad = class_of(ra.error().code);
        tell(out.detail, "rad", describe(ra.error()));
    } else if (!ra.value().store()) {  // its token is needed for Grants alone, not for signing
        out.rad = class_of(Errc::store_away);
        tell(out.detail, "rad", ra.value().detail());
    }
    return out;
}

Health::Report Health::report() {
    const std::lock_guard one{lock_};
    if (std::chrono::steady_clock::now() >= fresh_until_) {
        last_ = asked();
        fresh_until_ = std::chrono::steady_clock::now() + kept;
    }
    return last_;
}

std::string_view Health::regime() const {
    return name_of(policy_.has_trial() ? policy::Regime::trial : policy::Regime::qualified);
}

net::Response Health::live() const { return json(200, {{"status", "live"}}); }

net::Response Health::ready() {
    const auto now = report();
    boost::json::array missing;
    for (const auto& each : now.missing) missing.emplace_back(each);
    boost::json::array absent_shards;
    for (const auto number : now.absent_shards) absent_shards.emplace_back(number);
    return json(now.ready() ? 200 : 503, {{"status", now.ready() ? "ready" : "not ready"},
                                          {"policy", regime()},
                                          {"gatewayd", now.gatewayd},
                                          {"samd", now.samd},
                                          {"rad", now.rad},
                                          {"missing", std::move(missing)},
                                          {"absent_shards", std::move(absent_shards)}});
}

}  // namespace qscd::gateway
