// The whole path over TLS against the module alone: a portal's `credentials/authorize` and `signatures/signHash`, two
// factors checked, four commits synced, one signature made and verified. `ratio` is the raw C_Sign rate of one thread,
// measured in the same run, over the rate of complete signatures: how many raw signatures one complete one costs.
#include <barrier>
#include <benchmark/benchmark.h>
#include <boost/json/serialize.hpp>

#include "benchmarks/fresh_token.hpp"
#include "tests/integration/portal.hpp"

namespace {

using namespace qscd;
using namespace qscd::integration;

constexpr unsigned signers_on_stage = 8, rounds = 40;
constexpr std::chrono::seconds step{30};  // each code is good once: the clock moves on by a step for each round
constexpr int raw_signatures = 4000;

struct Stage {
    RunningDeployment deployment;
    std::vector<std::unique_ptr<Signer>> signers;
    std::vector<Credential> credentials;
    std::optional<Portal> portal;

    Stage() {
        std::vector<std::string> names;
        for (unsigned i = 1; i <= signers_on_stage; ++i) {
            names.push_back("signer-" + std::to_string(i));
            signers.push_back(std::make_unique<Signer>(deployment, names.back(), i));
            credentials.push_back(signers.back()->enrol("qscd-totp", "P-256"));
        }
        portal.emplace(deployment, "bench", names);
    }
    static Stage& shared() {
        static Stage stage;
        return stage;
    }
};

double seconds_since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double raw_rate() {
    static benchmarks::FreshToken token;
    benchmarks::FreshToken::Raw raw{token, KeyKind::p256};
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < raw_signatures; ++i)
        if (!raw.sign()) std::abort();
    return raw_signatures / seconds_since(began);
}

class Caller {
public:
    Caller(Stage& stage, std::size_t index) : stage_(stage), index_(index), client_(endpoint(stage)) {
        for (unsigned i = 0; i < rounds; ++i)
            codes_.push_back(stage.signers[index]->code_at(stage.deployment.now() + step * (i + 1)));
    }
    void sign(unsigned round) {
        const auto& credential = stage_.credentials[index_].id;
        const std::vector<Bytes> hashes{hash_numbered(round)};
        const auto authorised = post(
            "credentials/authorize",
            Portal::authorisation(credential, hashes, {stage_.signers[index_]->pin(), "TOTP", codes_[round]}));
        const auto signature = post("signatures/signHash",
                                    SigningRequest{credential, authorised.text("SAD"), hashes}.body());
        if (signature.signatures().size() != 1) std::abort();
    }

private:
    static net::Endpoint endpoint(Stage& stage) {
        auto out = net::Endpoint::from_url(stage.deployment.settings().public_url + "/csc/v2").value();
        out.ca_pem = stage.deployment.in("tls/ca.pem");
        return out;
    }
    Answer post(std::string_view method, const boost::json::object& body) {
        auto response = client_.request(
            "POST", "/" + std::string{method},
            {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + stage_.portal->token()}},
            boost::json::serialize(body));
        if (!response || response.value().status != 200) std::abort();
        return answer_of(std::move(response.value()));
    }
    Stage& stage_;
    std::size_t index_;
    net::Client client_;
    std::vector<std::string> codes_;
};

void signing_path(benchmark::State& state, unsigned outstanding) {
    auto& stage = Stage::shared();
    double spent = 0, raw = 0;
    for (auto _ : state) {
        std::vector<std::unique_ptr<Caller>> callers;
        for (unsigned i = 0; i < outstanding; ++i) callers.push_back(std::make_unique<Caller>(stage, i));
        raw += raw_rate();
        std::barrier together{static_cast<std::ptrdiff_t>(outstanding) + 1};
        std::vector<std::thread> threads;
        for (auto& caller : callers)
            threads.emplace_back([&] {
                for (unsigned round = 0; round < rounds; ++round) {
                    together.arrive_and_wait();
                    caller->sign(round);
                    together.arrive_and_wait();
                }
            });
        for (unsigned round = 0; round < rounds; ++round) {
            stage.deployment.advance(step);
            const auto began = std::chrono::steady_clock::now();
            together.arrive_and_wait();
            together.arrive_and_wait();
            if (round > 0) spent += seconds_since(began);  // the first one opens the connections
        }
        for (auto& thread : threads) thread.join();
    }
    const auto turns = static_cast<double>(state.iterations());
    const auto rate = turns * (rounds - 1) * outstanding / spent;
    state.counters["raw_per_s"] = raw / turns;
    state.counters["complete_per_s"] = rate;
    state.counters["ratio"] = raw / turns / rate;
}

BENCHMARK_CAPTURE(signing_path, one_outstanding, 1U)->Iterations(5)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(signing_path, eight_outstanding, 8U)->Iterations(5)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
