// Wrapped keys against resident ones, in turns within one run, both through the pool with eight requests outstanding.
// `ratio` is the wrapped rate over the resident rate: what opening a key for each request costs. And what a start costs
// with the key-encryption keys of a million wrapped keys in the token: of the keys themselves nothing is loaded.
#include <benchmark/benchmark.h>
#include <fstream>
#include <latch>
#include <malloc.h>
#include <unistd.h>

#include "base/random.hpp"
#include "benchmarks/fresh_token.hpp"
#include "hsm/wrapping/wrapping.hpp"

namespace {

using namespace qscd;
using namespace qscd::benchmarks;
using Steady = std::chrono::steady_clock;

constexpr int outstanding = 8;
constexpr int rounds = 800;  // signatures in one measurement, P-256; the others do a tenth
constexpr int million_over_a_thousand = 1'000;

const hsm::KeyOwner owner{std::array<std::uint8_t, 16>{'a', 'n', 'n', 'a'}};

struct WrappingToken {
    FreshToken tokens = FreshToken{};
    std::shared_ptr<hsm::KeyObject> binding =
        tokens.token().generate_hmac_key(random_fixed<CkaId>(), "binding").value();
    hsm::Wrapping wrapping{tokens.token(), hsm::may_wrap(hsm::probe(tokens.token()).value()).value(), binding};
    hsm::KeyEncryptionKey kek = wrapping.make_kek(random_fixed<CkaId>(), "kek").value();

    hsm::WrappedKey make(KeyKind kind) { return wrapping.generate(kind, kek.id, random_fixed<CkaId>(), owner).value(); }
};

double seconds_since(Steady::time_point began) { return std::chrono::duration<double>(Steady::now() - began).count(); }

std::size_t resident_bytes() {
    (void)::malloc_trim(0);
    std::size_t total = 0, pages = 0;
    std::ifstream{"/proc/self/statm"} >> total >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Requests of one hash per second.
double rate(hsm::SigningKey& key, Scheme scheme, int count) {
    std::atomic<int> left = count - outstanding;
    std::latch done{count};
    hsm::SigningKey::Done next = [&](std::vector<hsm::Token::Outcome> outcomes) {
        if (!outcomes.front().signature) std::abort();
        if (left.fetch_sub(1) > 0) key.sign_all(scheme, {hash()}, next);
        done.count_down();
    };
    const auto began = Steady::now();
    for (int i = 0; i < outstanding; ++i) key.sign_all(scheme, {hash()}, next);
    done.wait();
    return count / seconds_since(began);
}

void wrapped_and_resident(benchmark::State& run, KeyKind kind) {
    WrappingToken place;
    const auto scheme = row_of(kind).elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1;
    const auto stored = place.make(kind);
    const auto wrapped = place.wrapping.signing_key(stored, owner);
    const auto resident = hsm::resident_key(place.tokens.token(), place.tokens.key(kind).key->id());
    const int count = kind == KeyKind::p256 ? rounds : rounds / 10;
    double of_wrapped = 0, of_resident = 0;
    for ([[maybe_unused]] auto _ : run) {
        of_resident += rate(*resident, scheme, count);
        of_wrapped += rate(*wrapped, scheme, count);
    }
    const auto turns = static_cast<double>(run.iterations());
    run.counters["resident_per_s"] = of_resident / turns;
    run.counters["wrapped_per_s"] = of_wrapped / turns;
    run.counters["ratio"] = of_wrapped / of_resident;
    run.counters["stored_bytes"] = static_cast<double>(encode(stored).size());
}

void start_with_a_million(benchmark::State& run) {
    double start = 0, first = 0;
    std::size_t bytes = 0;
    for ([[maybe_unused]] auto _ : run) {
        WrappingToken place;
        for (int i = 1; i < million_over_a_thousand; ++i)
            if (!place.wrapping.make_kek(random_fixed<CkaId>(), "kek")) std::abort();
        const auto wrapped = place.wrapping.signing_key(place.make(KeyKind::p256), owner);
        const auto before = resident_bytes();
        auto began = Steady::now();
        place.tokens.reload();
        start = seconds_since(began);
        began = Steady::now();
        rate(*wrapped, Scheme::ecdsa, outstanding);
        first = seconds_since(began);
        bytes = std::max(before, resident_bytes());
    }
    run.counters["start_s"] = start;
    run.counters["first_signatures_s"] = first;  // its key-encryption key is searched for, once
    run.counters["process_MB"] = static_cast<double>(bytes) / 1e6;
}

#define QSCD_WRAPPED(kind, name) \
    BENCHMARK_CAPTURE(wrapped_and_resident, name, kind)->Iterations(10)->Unit(benchmark::kMillisecond)->UseRealTime()
QSCD_WRAPPED(KeyKind::p256, P256);
QSCD_WRAPPED(KeyKind::p384, P384);
QSCD_WRAPPED(KeyKind::rsa3072, RSA3072);
QSCD_WRAPPED(KeyKind::rsa4096, RSA4096);
BENCHMARK(start_with_a_million)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
