// Signing through the pool against the module's own C_SignInit and C_Sign, in turns within one run. `ratio` is the pool's
// rate over the raw rate with as many threads as the pool has busy: 1 is the module's own speed.
#include <benchmark/benchmark.h>
#include <latch>

#include "benchmarks/fresh_token.hpp"

namespace {

using namespace qscd;
using namespace qscd::benchmarks;

constexpr int rounds = 400;  // signatures in one measurement, P-256; RSA does a tenth

FreshToken& shared() {
    static FreshToken token;
    return token;
}

double seconds_since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// Signatures per second by raw calls on `threads` threads, each with its session.
double raw_rate(KeyKind kind, int threads, int count) {
    std::latch ready{threads + 1}, done{threads};
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i)
        workers.emplace_back([&] {
            FreshToken::Raw raw{shared(), kind};
            ready.arrive_and_wait();
            for (int j = 0; j < count / threads; ++j)
                if (!raw.sign()) std::abort();
            done.count_down();
        });
    ready.arrive_and_wait();
    const auto began = std::chrono::steady_clock::now();
    done.wait();
    const auto rate = count / seconds_since(began);
    for (auto& worker : workers) worker.join();
    return rate;
}

// The same through the pool with `outstanding` requests waiting at any moment.
double pool_rate(KeyKind kind, int outstanding, int count) {
    const auto& key = shared().key(kind);
    std::atomic<int> left = count - outstanding;
    std::latch done{count};
    std::function<void(std::vector<hsm::Token::Outcome>)> next = [&](std::vector<hsm::Token::Outcome> outcomes) {
        if (!outcomes.front().signature) std::abort();
        if (left.fetch_sub(1) > 0)
            shared().token().sign_all(key.key, row_of(kind).elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1, {hash()},
                                      next);
        done.count_down();
    };
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < outstanding; ++i)
        shared().token().sign_all(key.key, row_of(kind).elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1, {hash()}, next);
    done.wait();
    return count / seconds_since(began);
}

void session_pool(benchmark::State& state, KeyKind kind, int outstanding) {
    shared().key(kind);
    const int count = row_of(kind).elliptic ? rounds : rounds / 10;
    const int threads = std::min(outstanding, 2);
    double raw = 0, pool = 0;
    for (auto _ : state) {
        raw += raw_rate(kind, threads, count);
        pool += pool_rate(kind, outstanding, count);
    }
    const auto turns = static_cast<double>(state.iterations());
    state.counters["raw_per_s"] = raw / turns;
    state.counters["pool_per_s"] = pool / turns;
    state.counters["ratio"] = pool / raw;
}

#define QSCD_POOL(kind, name, outstanding)                   \
    BENCHMARK_CAPTURE(session_pool, name, kind, outstanding) \
        ->Iterations(20)                                     \
        ->Unit(benchmark::kMillisecond)                      \
        ->UseRealTime()
QSCD_POOL(KeyKind::p256, P256_one_outstanding, 1);
QSCD_POOL(KeyKind::p256, P256_eight_outstanding, 8);
QSCD_POOL(KeyKind::p384, P384_one_outstanding, 1);
QSCD_POOL(KeyKind::p384, P384_eight_outstanding, 8);
QSCD_POOL(KeyKind::rsa3072, RSA3072_one_outstanding, 1);
QSCD_POOL(KeyKind::rsa3072, RSA3072_eight_outstanding, 8);
QSCD_POOL(KeyKind::rsa4096, RSA4096_one_outstanding, 1);
QSCD_POOL(KeyKind::rsa4096, RSA4096_eight_outstanding, 8);

}  // namespace

BENCHMARK_MAIN();
