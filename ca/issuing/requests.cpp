#include "ca/issuing/requests.hpp"

#include "base/crash_point.hpp"
#include "protocol/message.hpp"
#include "protocol/sam.pb.h"

namespace qscd::ca {
namespace {

constexpr std::size_t longest_list = 100;
constexpr std::size_t list_bytes = 48 * 1024;  // leaves a frame room for everything but the certificates

template <class Message>
CaRequests::Reply reply(Message message) {
    return std::make_unique<Message>(std::move(message));
}
std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

pb::RegisterEntry message_of(const RegisterEntry& entry) {
    pb::RegisterEntry out;
    out.set_number(entry.number);
    out.set_serial(string_of(entry.serial));
    out.set_issuer(entry.issuer);
    out.set_credential(string_of(entry.credential.bytes()));
    out.set_state(std::string{name_of(entry.state)});
    out.set_not_after(unix_seconds(entry.not_after));
    out.set_certificate(string_of(entry.certificate));
    return out;
}

}  // namespace

Result<CaRequests::Reply> CaRequests::answer(std::string_view role, ByteView request) {
    if (role != "bootstrap") return Error{Errc::access_denied, "cad answers the owner's command alone"};
    QSCD_TRY(const auto message, protocol::decode<pb::CaRequest>(request));
    switch (message.request_case()) {
        case pb::CaRequest::kIssue: return issue(message.issue());
        case pb::CaRequest::kReceipt: return receipt(message.receipt());
        case pb::CaRequest::kList: return list(message.list());
        case pb::CaRequest::kHealth: return health();
        case pb::CaRequest::REQUEST_NOT_SET: break;
    }
    return Error{Errc::not_supported, "an empty request"};
}

Result<CaRequests::Reply> CaRequests::issue(const pb::IssueCertificate& request) {
    QSCD_TRY(const auto issued, parts_.issuing.issue(request.grant(), request.key_proof()));
    pb::IssuedCertificate out;
    out.set_certificate(string_of(issued.certificate));
    for (const auto& each : issued.chain) out.add_chain(string_of(each));
    crash_point("cad.issue.before-answer");
    return reply(std::move(out));
}

Result<CaRequests::Reply> CaRequests::receipt(const pb::RecordReceipt& request) {
    QSCD_TRY(parts_.issuing.record(request.receipt()));
    return reply(pb::Done{});
}

Result<CaRequests::Reply> CaRequests::list(const pb::ListCertificates& request) {
    QSCD_TRY(const auto entries, parts_.register_of_certificates.list(
                                     request.after(), std::min<std::size_t>(request.count(), longest_list)));
    pb::RegisterEntries out;
    for (const auto& entry : entries) {
        if (out.ByteSizeLong() + entry.certificate.size() > list_bytes) break;
        *out.add_entries() = message_of(entry);
    }
    return reply(std::move(out));
}

Result<CaRequests::Reply> CaRequests::health() {
    const auto store = parts_.register_of_certificates.healthy();
    const bool token = parts_.token_reachable();
    pb::CaHealthReport out;
    out.set_token(token);
    out.set_store(store.has_value());
    out.set_detail(!store ? describe(store.error()) : token ? "" : "the token is away");
    return reply(std::move(out));
}

}  // namespace qscd::ca
