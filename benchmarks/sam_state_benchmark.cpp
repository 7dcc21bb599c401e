// What samd's state costs, each against what the machine itself can do in the same run: a batch and a whole two-factor
// check as multiples of one module HMAC and of one fdatasync; signatures a second with 10 and with 10,000 signers; a start
// with many cells, and what a cell takes in memory. On SQLite and, where it is installed, on PostgreSQL.
#include <barrier>
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fstream>
#include <malloc.h>
#include <unistd.h>

#include "authn/pin.hpp"
#include "tests/instruments/cluster/cluster.hpp"
#include "tests/unit/qscd/sam/state/owner.hpp"

namespace {

using namespace qscd;
using namespace qscd::sam;
using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point began) { return std::chrono::duration<double>(Steady::now() - began).count(); }

template <class Act>
double median_of(std::size_t count, Act act) {
    std::vector<double> times;
    for (std::size_t i = 0; i < count; ++i) {
        const auto began = Steady::now();
        act();
        times.push_back(seconds_since(began));
    }
    std::ranges::sort(times);
    return times[count / 2];
}

// One page appended and synced, on the file system that the stores are on.
double sync_time(const std::filesystem::path& folder) {
    const auto path = folder / "sync";
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
    if (file.get() < 0) std::abort();
    const std::array<char, 4096> page{};
    return median_of(300, [&] {
        if (::write(file.get(), page.data(), page.size()) < 0 || ::fdatasync(file.get()) != 0) std::abort();
    });
}

double hmac_time(hsm::Token& token) {
    const auto key = token.find_by_label("K_pin").value();
    const Bytes input(128);
    return median_of(2000, [&] {
        if (!token.hmac(*key, input)) std::abort();
    });
}

std::size_t resident() {
    (void)::malloc_trim(0);
    std::size_t total = 0, pages = 0;
    std::ifstream{"/proc/self/statm"} >> total >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

struct State : StateTest {
    void TestBody() override {}
    std::unique_ptr<instruments::Cluster> cluster;

    explicit State(bool postgresql) {
        if (postgresql) {
            cluster = std::make_unique<instruments::Cluster>();
            owner.database = store::Database::open(cluster->room_for("samd")).value();
        }
        start();
    }
    void reopen() {
        owner.ledger->record({Event::stopped, "samd"});
        commit();
        owner.ledger.reset();
        start();
    }
};

bool skipped(benchmark::State& run, bool postgresql) {
    if (!postgresql || instruments::Cluster::installed()) return false;
    run.SkipWithError("PostgreSQL is not installed");
    return true;
}

void batch(benchmark::State& run, bool postgresql) {
    if (skipped(run, postgresql)) return;
    State state{postgresql};
    const auto id = state.put();
    state.commit();
    unsigned round = 0;
    double one = 0;
    for ([[maybe_unused]] auto _ : run)
        one = median_of(400, [&] {
            state.change(id, std::to_string(++round));
            state.commit();
        });
    run.counters["batch_ms"] = one * 1e3;
    run.counters["in_fdatasyncs"] = one / sync_time(state.tokens.folder);
    run.counters["in_hmacs"] = one / hmac_time(*state.owner.token);
}

void start_up(benchmark::State& run, bool postgresql) {
    if (skipped(run, postgresql)) return;
    const auto cells = static_cast<std::size_t>(run.range(0));
    State state{postgresql};
    constexpr std::size_t page = 10'000;
    for (std::size_t made = 0; made < cells; made += page) {
        for (std::size_t i = 0; i < page; ++i)
            state.owner.ledger->put(StateTest::credential(random_fixed<CredentialId>()));
        state.owner.ledger->record({Event::factors_set, "bootstrap"});
        state.commit();
    }
    state.owner.ledger->record({Event::stopped, "samd"});
    state.commit();
    state.owner.ledger.reset();
    const auto before = resident();
    for ([[maybe_unused]] auto _ : run) state.start();
    run.counters["bytes_a_cell"] = static_cast<double>(resident() - before) / static_cast<double>(cells);
}

struct Signers : TrialSam {
    void TestBody() override {}
    sam::Credential first = enrol(anna());
    std::vector<sam::Credential> all{first};

    // Cells like the first one's, as samd writes them; they share its key.
    void populate(std::size_t count) {
        if (all.size() >= count) return;
        stop();
        in_store([&](Ledger& ledger) {
            const auto cell = ledger.credential(first.id).value().value();
            const auto app = ledger.device(*DeviceId::from(view_of(cell.app_device()))).value().value();
            while (all.size() < count) {
                auto device = app;
                auto credential = cell;
                const auto id = random_fixed<CredentialId>();
                device.set_id(std::string{text_of(random_bytes(16))});
                credential.set_id(std::string{text_of(id.bytes())});
                credential.set_app_device(device.id());
                // Its verifier is over its own name.
                const auto pin = authn::Pin::from(SecretBytes{"48151623"}, 4, 8).value();
                const auto key = *CkaId::from(view_of(cell.pin_key()));
                const auto input = pin.verifier_input(key.bytes(), id, *authn::PinSalt::from(view_of(cell.pin_salt())),
                                                      *Sha256Digest::from(view_of(cell.pin_policy())));
                credential.set_pin_verifier(std::string{text_of(ledger.custody().pin_mac(key, input).value())});
                ledger.put(device);
                ledger.put(credential);
                all.push_back(first);
                all.back().id = id;
            }
            ledger.record({Event::factors_set, "bootstrap"});
        });
        start();
    }

    bool flow(std::size_t index, const std::string& code, const std::string& portal) {
        const auto& credential = all[index];
        const auto sad = authorise(credential, {.code = code, .client = portal});
        return sad && sign(credential, sad.value().sad(), {"contract"}, "", Scheme::ecdsa, portal);
    }

    // Eight at once; each signer's turn comes with a step of its own.
    double rate(std::size_t signers, unsigned rounds) {
        constexpr unsigned callers = 8;
        unsigned done = 0;
        double time = 0;
        for (unsigned round = 0; round < rounds; ++round) {
            next_step();
            const auto now_code = code(first);
            const auto began = Steady::now();
            std::vector<std::thread> threads;
            std::atomic<unsigned> good = 0;
            for (unsigned caller = 0; caller < callers; ++caller)
                threads.emplace_back([&, caller] {
                    good += flow((round * callers + caller) * 7919 % signers, now_code, "portal") ? 1 : 0;
                });
            for (auto& thread : threads) thread.join();
            time += seconds_since(began);
            done += good;
        }
        if (done != rounds * callers) (void)std::fprintf(stderr, "only %u flows of %u\n", done, rounds * callers);
        return done / time;
    }
};

void two_factor_check(benchmark::State& run) {
    Signers signers;
    double one = 0;
    for ([[maybe_unused]] auto _ : run)
        one = median_of(200, [&] {
            signers.next_step();
            if (!signers.authorise(signers.first, {.code = signers.code(signers.first)})) std::abort();
        });
    run.counters["check_ms"] = one * 1e3;
    run.counters["in_fdatasyncs"] = one / sync_time(signers.tokens.folder);
    run.counters["in_hmacs"] = one / hmac_time(*signers.running->sam_token);
}

void few_and_many_signers(benchmark::State& run) {
    Signers signers;
    double few = 0, many = 0;
    for ([[maybe_unused]] auto _ : run) {
        signers.populate(10);
        signers.rate(10, 20);
        few = signers.rate(10, 150);
        signers.populate(10'000);
        signers.rate(10'000, 20);
        many = signers.rate(10'000, 150);
    }
    run.counters["with_10_a_second"] = few;
    run.counters["with_10000_a_second"] = many;
    run.counters["ratio"] = many / few;
}

BENCHMARK_CAPTURE(batch, sqlite, false)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(batch, postgresql, true)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(two_factor_check)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(few_and_many_signers)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(start_up, sqlite, false)->Arg(10'000)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(start_up, postgresql, true)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
