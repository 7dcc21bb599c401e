#include "tests/integration/portal.hpp"

#include <boost/json/serialize.hpp>
#include <latch>
#include <thread>

namespace qscd::integration {
namespace {

constexpr std::size_t longest = 100'000;

}  // namespace

json::Object Answer::object() const {
    auto parsed = json::Object::parse(body);
    require(parsed.has_value(), "the answer is no JSON object: " + body);
    return std::move(parsed).value();
}
std::string Answer::text(std::string_view name) const {
    auto found = object().string(name, longest);
    require(found.has_value(), "no " + std::string{name} + " in " + body);
    return std::move(found).value();
}
std::vector<Bytes> Answer::signatures() const {
    require(status == 200, "no signatures: " + body);
    std::vector<Bytes> out;
    const auto texts = object().strings("signatures", 100, longest);
    for (const auto& each : texts.value()) out.push_back(from_base64(each).value());
    return out;
}

std::ostream& operator<<(std::ostream& out, const Answer& answer) { return out << answer.status << " " << answer.body; }

Answer answer_of(net::ClientResponse response) {
    Answer out{response.status, {}, {}, std::move(response.body), std::move(response.headers)};
    if (out.status < 400) return out;
    const auto object = json::Object::parse(out.body);
    if (!object) return out;
    out.error = object.value().optional_string("error", longest).value().value_or("");
    out.description = object.value().optional_string("error_description", longest).value().value_or("");
    return out;
}

Bytes hash_numbered(unsigned number, HashAlgorithm algorithm) {
    const auto document = "document " + std::to_string(number);
    Bytes out(size_of(algorithm));
    EVP_Digest(document.data(), document.size(), out.data(), nullptr,
               EVP_get_digestbyname(row_of(algorithm).name.data()), nullptr);
    return out;
}

boost::json::array base64_of(const std::vector<Bytes>& hashes) {
    boost::json::array out;
    for (const auto& hash : hashes) out.emplace_back(to_base64(hash));
    return out;
}

boost::json::object SigningRequest::body() const {
    boost::json::object out{
        {"credentialID", credential}, {"SAD", sad}, {"hashes", base64_of(hashes)}, {"signAlgo", algorithm}};
    if (!hash_algorithm.empty()) out["hashAlgorithmOID"] = hash_algorithm;
    if (!parameters.empty()) out["signAlgoParams"] = parameters;
    return out;
}

Portal::Portal(RunningDeployment& deployment, std::string client, const std::vector<std::string>& usernames)
    : deployment_(deployment), client_(std::move(client)) {
    std::vector<std::string> words{"client", "add", client_};
    for (const auto& username : usernames) words.insert(words.end(), {"--signer", username});
    secret_ = deployment_.answer(words).string("client_secret", longest).value();
    deployment_.remember_secret(secret_);
    token_ = token_for(std::chrono::hours{24});
}

std::string Portal::token_for(std::chrono::seconds life) const {
    auto token = deployment_.answer({"client", "token", client_, "--seconds", std::to_string(life.count())})
                     .string("access_token", longest)
                     .value();
    deployment_.remember_secret(token);
    return token;
}

Answer Portal::post(std::string_view method, std::string_view body, net::Headers extra) const {
    const auto add = [&](const char* name, std::string value) {
        if (std::ranges::none_of(extra, [&](const auto& each) { return each.first == name; }))
            extra.emplace_back(name, std::move(value));
    };
    add("Content-Type", "application/json");
    add("Authorization", "Bearer " + token_);
    return answer_of(deployment_.https("POST", "/csc/v2/" + std::string{method}, extra, body));
}

Answer Portal::call(std::string_view method, const boost::json::object& body, net::Headers extra) const {
    return post(method, boost::json::serialize(body), std::move(extra));
}

std::vector<Answer> Portal::call_at_once(std::string_view method, const boost::json::object& body,
                                         unsigned times) const {
    const auto text = boost::json::serialize(body), path = "/csc/v2/" + std::string{method};
    const net::Headers headers{{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token_}};
    std::vector<net::Client> clients;
    for (unsigned i = 0; i < times; ++i) {
        clients.push_back(deployment_.another_client());
        required(clients.back().request("GET", "/health/live"), "a connection");
    }
    std::vector<Answer> answers(times);
    {
        std::vector<std::jthread> threads;
        std::latch together{times};
        for (unsigned i = 0; i < times; ++i)
            threads.emplace_back([&, i] {
                together.arrive_and_wait();
                auto response = clients[i].request("POST", path, headers, text);
                if (response) answers[i] = answer_of(std::move(response).value());
            });
        for (auto& thread : threads) thread.join();
    }
    for (const auto& answer : answers)
        if (answer.status == 200 && answer.object().has("SAD")) deployment_.remember_secret(answer.text("SAD"));
    return answers;
}

Answer Portal::get_token(std::string_view form, net::Headers extra) const {
    if (std::ranges::none_of(extra, [](const auto& each) { return each.first == "Content-Type"; }))
        extra.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    auto answer = answer_of(deployment_.https("POST", "/csc/v2/oauth2/token", extra, form));
    if (answer.status == 200) deployment_.remember_secret(answer.text("access_token"));
    return answer;
}

boost::json::object Portal::authorisation(const std::string& credential, const std::vector<Bytes>& hashes,
                                          const Factors& factors, HashAlgorithm algorithm) {
    return {{"credentialID", credential},
            {"numSignatures", hashes.size()},
            {"hashes", base64_of(hashes)},
            {"hashAlgorithmOID", row_of(algorithm).oid},
            {"authData", boost::json::array{boost::json::object{{"id", "PIN"}, {"value", factors.pin}},
                                            boost::json::object{{"id", factors.held}, {"value", factors.value}}}}};
}

Answer Portal::authorise(const std::string& credential, const std::vector<Bytes>& hashes, const Factors& factors,
                         HashAlgorithm algorithm) const {
    auto answer = call("credentials/authorize", authorisation(credential, hashes, factors, algorithm));
    if (answer.status == 200) deployment_.remember_secret(answer.text("SAD"));
    return answer;
}

Answer Portal::challenge(const std::string& credential, const std::vector<Bytes>& hashes) const {
    boost::json::object body{{"credentialID", credential}, {"authObjectID", "SMS"}};
    if (!hashes.empty()) {
        body["numSignatures"] = hashes.size();
        body["hashes"] = base64_of(hashes);
        body["hashAlgorithmOID"] = row_of(HashAlgorithm::sha256).oid;
    }
    return call("credentials/getChallenge", body);
}

std::string Portal::sad_for(Signer& signer, const Credential& credential, const std::vector<Bytes>& hashes,
                            HashAlgorithm algorithm) const {
    const bool sms = credential.profile == "qscd-sms";
    if (sms) {
        const auto sent = challenge(credential.id, hashes);
        require(sent.status == 204, "getChallenge: " + sent.body);
    }
    const auto answer = authorise(credential.id, hashes,
                                  {signer.pin(), sms ? "SMS" : "TOTP", sms ? signer.sent_code() : signer.fresh_code()},
                                  algorithm);
    require(answer.status == 200, "authorize: " + answer.body);
    return answer.text("SAD");
}

Answer Portal::sign(const SigningRequest& request, net::Headers extra) const {
    return call("signatures/signHash", request.body(), std::move(extra));
}

}  // namespace qscd::integration
