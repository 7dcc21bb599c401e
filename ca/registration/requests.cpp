#include "ca/registration/requests.hpp"

#include "protocol/message.hpp"
#include "protocol/sam.pb.h"

namespace qscd::ca {
namespace {

template <class Message>
RaRequests::Reply reply(Message message) {
    return std::make_unique<Message>(std::move(message));
}
std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

// Who may ask what. What does not stand here is refused.
struct Permission {
    std::string_view role;
    pb::RaRequest::RequestCase request;
};
constexpr std::array permissions{
    Permission{"bootstrap", pb::RaRequest::kAddAccount},    Permission{"bootstrap", pb::RaRequest::kFindSigner},
    Permission{"bootstrap", pb::RaRequest::kCreateRequest}, Permission{"bootstrap", pb::RaRequest::kRecordAcceptance},
    Permission{"bootstrap", pb::RaRequest::kApprove},       Permission{"bootstrap", pb::RaRequest::kGetGrant},
    Permission{"bootstrap", pb::RaRequest::kHealth},        Permission{"gatewayd", pb::RaRequest::kFindSigner},
    Permission{"gatewayd", pb::RaRequest::kHealth},
};

Result<EnrolmentId> enrolment_in(const std::string& bytes) {
    const auto id = EnrolmentId::from(view_of(bytes));
    if (!id) return Error{Errc::parameter_invalid, "an enrolment has 16 bytes", {"string", "enrolment"}};
    return *id;
}

pb::Account message_of(const Account& account) {
    pb::Account out;
    out.set_signer(string_of(account.signer.bytes()));
    out.set_username(account.username);
    return out;
}

Result<RaRequests::Reply> add_account(Registration& registration, pb::AddAccount& request) {
    const SecretBytes password{std::string_view{request.password()}};
    wipe(*request.mutable_password());
    QSCD_TRY(const auto account,
             registration.add_account(request.username(), password, request.email(), request.phone()));
    return reply(message_of(account));
}

Result<RaRequests::Reply> find_signer(Registration& registration, const pb::FindSigner& request) {
    QSCD_TRY(const auto account, registration.find_signer(request.username()));
    return reply(message_of(account));
}

Result<RaRequests::Reply> create_request(Registration& registration, const pb::CreateRequest& request) {
    QSCD_TRY(const auto created, registration.create_request(request));
    pb::RequestCreated out;
    out.set_enrolment(string_of(created.enrolment.bytes()));
    out.set_grant_body(string_of(created.grant_body));
    out.set_needs_officer(created.needs_officer);
    return reply(std::move(out));
}

Result<RaRequests::Reply> record_acceptance(Registration& registration, const pb::RecordAcceptance& request) {
    QSCD_TRY(const auto enrolment, enrolment_in(request.enrolment()));
    const auto terms = Sha256Digest::from(view_of(request.terms_digest()));
    if (!terms) return Error{Errc::parameter_invalid, "a digest of the terms has 32 bytes", {"string", "terms_digest"}};
    QSCD_TRY(const auto digest, registration.record_acceptance(enrolment, *terms, request.language()));
    pb::AcceptanceRecorded out;
    out.set_acceptance_digest(string_of(digest.bytes()));
    return reply(std::move(out));
}

Result<RaRequests::Reply> given_grant(Registration& registration, const EnrolmentId& enrolment) {
    QSCD_TRY(auto paper, registration.grant(enrolment));
    pb::SignedPaper out;
    *out.mutable_paper() = std::move(paper);
    return reply(std::move(out));
}

Result<RaRequests::Reply> approve(Registration& registration, const pb::ApproveRequest& request) {
    QSCD_TRY(const auto enrolment, enrolment_in(request.enrolment()));
    QSCD_TRY(registration.approve(enrolment, view_of(request.key_id()), view_of(request.signature())));
    return given_grant(registration, enrolment);
}

Result<RaRequests::Reply> get_grant(Registration& registration, const pb::GetGrant& request) {
    QSCD_TRY(const auto enrolment, enrolment_in(request.enrolment()));
    return given_grant(registration, enrolment);
}

}  // namespace

Result<RaRequests::Reply> RaRequests::answer(std::string_view role, ByteView request) {
    QSCD_TRY(auto message, protocol::decode<pb::RaRequest>(request));
    const auto allowed = std::ranges::any_of(permissions, [&](const Permission& each) {
        return each.role == role && each.request == message.request_case();
    });
    if (!allowed) {
        if (message.has_add_account()) wipe(*message.mutable_add_account()->mutable_password());
        return Error{Errc::access_denied, "rad does not answer this to " + std::string{role}};
    }
    return answer_allowed(message);
}

Result<RaRequests::Reply> RaRequests::answer_allowed(pb::RaRequest& request) {
    auto& registration = parts_.registration;
    switch (request.request_case()) {
        case pb::RaRequest::kAddAccount: return add_account(registration, *request.mutable_add_account());
        case pb::RaRequest::kFindSigner: return find_signer(registration, request.find_signer());
        case pb::RaRequest::kCreateRequest: return create_request(registration, request.create_request());
        case pb::RaRequest::kRecordAcceptance: return record_acceptance(registration, request.record_acceptance());
        case pb::RaRequest::kApprove: return approve(registration, request.approve());
        case pb::RaRequest::kGetGrant: return get_grant(registration, request.get_grant());
        case pb::RaRequest::kHealth: return health();
        case pb::RaRequest::REQUEST_NOT_SET: break;
    }
    return Error{Errc::not_supported, "an empty request"};
}

Result<RaRequests::Reply> RaRequests::health() {
    const auto store = parts_.registration.healthy();
    const bool token = parts_.token_reachable();
    pb::RaHealthReport out;
    out.set_token(token);
    out.set_store(store.has_value());
    out.set_detail(!store ? describe(store.error()) : token ? "" : "the token is away");
    return reply(std::move(out));
}

}  // namespace qscd::ca
