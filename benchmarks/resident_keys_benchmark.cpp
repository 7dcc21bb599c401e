// Resident keys in number: what 10,000 in one token cost a signature, a start and memory; what a burst of enrolments costs
// running signatures when it goes to the same token and to another shard; and what signing in processes of their own could
// win. SoftHSM2, P-256. `ratio` is told with each.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fstream>
#include <latch>
#include <malloc.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.hpp"
#include "benchmarks/fresh_token.hpp"

namespace {

using namespace qscd;
using namespace qscd::benchmarks;
using Steady = std::chrono::steady_clock;

constexpr int few = 10, many = 10'000;
constexpr int signatures = 20'000;
constexpr int outstanding = 8;

double seconds_since(Steady::time_point began) { return std::chrono::duration<double>(Steady::now() - began).count(); }

std::size_t resident_bytes() {
    (void)::malloc_trim(0);
    std::size_t total = 0, pages = 0;
    std::ifstream{"/proc/self/statm"} >> total >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Signatures a second through the pool, eight outstanding, until `over` says so.
double rate_until(hsm::Token& token, const std::shared_ptr<hsm::KeyObject>& key, const std::function<bool()>& over) {
    std::atomic<int> under_way = outstanding, made = 0;
    std::latch done{outstanding};
    std::function<void(std::vector<hsm::Token::Outcome>)> next = [&](std::vector<hsm::Token::Outcome> outcomes) {
        if (!outcomes.front().signature) std::abort();
        ++made;
        if (over()) {
            --under_way;
            done.count_down();
            return;
        }
        token.sign_all(key, Scheme::ecdsa, {hash()}, next);
    };
    const auto began = Steady::now();
    for (int i = 0; i < outstanding; ++i) token.sign_all(key, Scheme::ecdsa, {hash()}, next);
    done.wait();
    return made / seconds_since(began);
}

double rate(hsm::Token& token, const std::shared_ptr<hsm::KeyObject>& key) {
    std::atomic<int> left = signatures;
    return rate_until(token, key, [&] { return left.fetch_sub(1) <= 0; });
}

// What the module itself does, on one thread.
double raw_rate(FreshToken& tokens) {
    FreshToken::Raw raw{tokens, KeyKind::p256};
    const auto began = Steady::now();
    for (int i = 0; i < signatures; ++i)
        if (!raw.sign()) std::abort();
    return signatures / seconds_since(began);
}

void few_and_many_keys(benchmark::State& run) {
    double with_few = 0, with_many = 0, raw_with_few = 0, raw_with_many = 0, start = 0;
    std::size_t bytes = 0;
    for ([[maybe_unused]] auto _ : run) {
        FreshToken tokens;
        tokens.fill(few);
        const auto key = tokens.key(KeyKind::p256).key;
        rate(tokens.token(), key);
        with_few = rate(tokens.token(), key);
        raw_with_few = raw_rate(tokens);
        tokens.fill(many - few);
        const auto before = resident_bytes();
        const auto began = Steady::now();
        tokens.reload();
        start = seconds_since(began);
        const auto after = resident_bytes();
        bytes = after > before ? after : before;
        rate(tokens.token(), key);
        with_many = rate(tokens.token(), key);
        raw_with_many = raw_rate(tokens);
    }
    run.counters["with_10_per_s"] = with_few;
    run.counters["with_10000_per_s"] = with_many;
    run.counters["ratio"] = with_many / with_few;
    run.counters["raw_ratio"] = raw_with_many / raw_with_few;
    run.counters["start_s"] = start;
    run.counters["process_MB"] = static_cast<double>(bytes) / 1e6;
}

// Signing goes on in one token while keys are made, one after the other, in the same or in another one.
void enrolment_burst(benchmark::State& run, bool another_shard) {
    constexpr int keys_in_the_burst = 200, keys_before = 1'000;
    double alone = 0, beside = 0, made_per_s = 0;
    for ([[maybe_unused]] auto _ : run) {
        FreshToken tokens;
        tokens.fill(keys_before);
        const auto key = tokens.key(KeyKind::p256).key;
        auto& enrolling = another_shard ? tokens.second() : tokens.token();
        rate(tokens.token(), key);
        alone = rate(tokens.token(), key);
        std::atomic<bool> over = false;
        std::thread burst{[&] {
            const auto began = Steady::now();
            for (int i = 0; i < keys_in_the_burst; ++i)
                if (!enrolling.generate(KeyKind::p256, random_fixed<CkaId>(), "burst")) std::abort();
            made_per_s = keys_in_the_burst / seconds_since(began);
            over = true;
        }};
        beside = rate_until(tokens.token(), key, [&] { return over.load(); });
        burst.join();
    }
    run.counters["alone_per_s"] = alone;
    run.counters["beside_per_s"] = beside;
    run.counters["keys_made_per_s"] = made_per_s;
    run.counters["ratio"] = beside / alone;
}

// Each worker is this program again, on a token of its own and one thread: no calls between processes are counted, so
// what they win is the most that processes can win.
constexpr const char* worker_word = "--worker";

int work() {
    FreshToken tokens{1};
    const auto key = tokens.key(KeyKind::p256).key;
    rate(tokens.token(), key);
    std::printf("ready\n");
    (void)std::fflush(stdout);
    std::string go;
    char letter = 0;
    while (::read(STDIN_FILENO, &letter, 1) == 1 && letter != '\n') go += letter;
    std::printf("%.1f\n", rate(tokens.token(), key));
    return 0;
}

struct Worker {
    pid_t process = 0;
    int to = -1;
    std::FILE* from = nullptr;
    Worker() {
        std::array<int, 2> in{}, out{};
        if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) std::abort();
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        std::string program = "/proc/self/exe", word = worker_word;
        std::array<char*, 3> words{program.data(), word.data(), nullptr};
        if (::posix_spawn(&process, program.c_str(), &actions, nullptr, words.data(), environ) != 0) std::abort();
        posix_spawn_file_actions_destroy(&actions);
        ::close(in[0]);
        ::close(out[1]);
        to = in[1];
        from = ::fdopen(out[0], "r");
    }
    std::string line() const {
        std::array<char, 64> text{};
        return std::fgets(text.data(), text.size(), from) == nullptr ? "" : text.data();
    }
    ~Worker() {
        ::close(to);
        (void)std::fclose(from);
        ::waitpid(process, nullptr, 0);
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
};

void worker_processes(benchmark::State& run) {
    double threads = 0, processes = 0;
    for ([[maybe_unused]] auto _ : run) {
        {
            FreshToken tokens;
            const auto key = tokens.key(KeyKind::p256).key;
            rate(tokens.token(), key);
            threads = rate(tokens.token(), key);
        }
        Worker left, right;
        for (auto* each : {&left, &right})
            if (each->line() != "ready\n") std::abort();
        for (auto* each : {&left, &right})
            if (::write(each->to, "\n", 1) != 1) std::abort();
        processes = 0;
        for (auto* each : {&left, &right}) processes += std::strtod(each->line().c_str(), nullptr);
    }
    run.counters["two_threads_per_s"] = threads;
    run.counters["two_processes_per_s"] = processes;
    run.counters["ratio"] = processes / threads;
}

BENCHMARK(few_and_many_keys)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(enrolment_burst, same_token, false)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(enrolment_burst, another_shard, true)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(worker_processes)->Iterations(3)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

int main(int count, char** words) {
    if (count == 2 && std::string_view{words[1]} == worker_word) return work();
    benchmark::Initialize(&count, words);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
