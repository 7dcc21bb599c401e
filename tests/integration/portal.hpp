// A portal that speaks the CSC API, version 2, over real HTTPS, and says exactly what a test wants said.
// Thread rules: one thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/digest.hpp"
#include "tests/integration/signer.hpp"

namespace qscd::integration {

struct Answer {
    unsigned status = 0;
    std::string error, description, body;
    net::Headers headers;
    json::Object object() const;
    std::string text(std::string_view name) const;  // a string member of the object
    std::vector<Bytes> signatures() const;
    bool operator==(const Answer& other) const { return status == other.status && body == other.body; }
};
std::ostream& operator<<(std::ostream& out, const Answer& answer);
Answer answer_of(net::ClientResponse response);

// The hash of a document that nobody has; another number, another document.
Bytes hash_numbered(unsigned number, HashAlgorithm algorithm = HashAlgorithm::sha256);
boost::json::array base64_of(const std::vector<Bytes>& hashes);

struct SigningRequest {
    std::string credential, sad;
    std::vector<Bytes> hashes;
    std::string algorithm = "1.2.840.10045.4.3.2";  // ecdsa-with-SHA256
    std::string hash_algorithm = {}, parameters = {};
    boost::json::object body() const;
};

struct Factors {
    std::string pin, held, value;  // held: "TOTP" or "SMS"
};

class Portal {
public:
    // Adds the client and gets it a token for a day.
    Portal(RunningDeployment& deployment, std::string client, const std::vector<std::string>& usernames);

    const std::string& client() const { return client_; }
    const std::string& secret() const { return secret_; }
    const std::string& token() const { return token_; }
    std::string token_for(std::chrono::seconds life) const;

    Answer post(std::string_view method, std::string_view body, net::Headers extra = {}) const;
    Answer call(std::string_view method, const boost::json::object& body, net::Headers extra = {}) const;
    // The same call `times` times at once, each over a connection of its own.
    std::vector<Answer> call_at_once(std::string_view method, const boost::json::object& body, unsigned times) const;
    Answer get_token(std::string_view form, net::Headers extra = {}) const;  // oauth2/token

    static boost::json::object authorisation(const std::string& credential, const std::vector<Bytes>& hashes,
                                             const Factors& factors, HashAlgorithm algorithm = HashAlgorithm::sha256);
    Answer authorise(const std::string& credential, const std::vector<Bytes>& hashes, const Factors& factors,
                     HashAlgorithm algorithm = HashAlgorithm::sha256) const;
    Answer challenge(const std::string& credential, const std::vector<Bytes>& hashes) const;
    // The SAD token, with right factors: a fresh code of the app, or one that is sent to the phone.
    std::string sad_for(Signer& signer, const Credential& credential, const std::vector<Bytes>& hashes,
                        HashAlgorithm algorithm = HashAlgorithm::sha256) const;
    Answer sign(const SigningRequest& request, net::Headers extra = {}) const;

private:
    RunningDeployment& deployment_;
    std::string client_, secret_, token_;
};

}  // namespace qscd::integration
