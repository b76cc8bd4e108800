#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <random>

namespace kvasir {

namespace {

using Clock = std::chrono::steady_clock;

/// What is read back of each generated token, as the window does: its logits and the attention of all heads
/// of one layer, or of one more layer in turn.
enum class Watching { nothing, layer, survey };
constexpr const char* watching_names[] = {"", ", one layer watched", ", all layers surveyed"};

/// A test as llama-bench names them: "pp512" runs a prompt, "tg64 @ d512" generates behind 512 tokens.
struct Test {
    std::string name;
    bool generates = false;
    uint32_t n = 0, depth = 0;
    Watching watching = Watching::nothing;

    uint32_t positions() const { return generates ? depth + n + 3 : n; } ///< that the cache needs
};

struct Result {
    Test test;
    double median = 0, min = 0, max = 0; ///< tokens/s
    double bytes = 0;                    ///< that one run has to move at least
    std::optional<double> of_plain;      ///< watched: median over the rounds of its speed by the plain one's
    double gb_s() const { return bytes * median / test.n / 1e9; }
};

struct OperationTime {
    std::string test, op;
    uint64_t count = 0, bytes = 0;
    double ms = 0, share = 0;
    double gb_s() const { return ms > 0 ? static_cast<double>(bytes) / ms / 1e6 : 0; }
};

std::vector<Test> tests_of(const BenchOptions& options) {
    std::vector<Test> tests;
    for (uint32_t n : options.prompts) tests.push_back({"pp" + std::to_string(n), false, n, 0});
    for (uint32_t depth : options.depths) {
        const std::string behind = depth ? " @ d" + std::to_string(depth) : "";
        for (const Watching watching : {Watching::nothing, Watching::layer, Watching::survey})
            if (options.n && (options.watch || watching == Watching::nothing))
                tests.push_back(
                    {"tg" + std::to_string(options.n) + behind + watching_names[static_cast<int>(watching)],
                     true, options.n, depth, watching});
    }
    return tests;
}

/// Runs tests in one session. Timed prompts are random ids that never begin alike, so that no prefix is found
/// in the cache; what stands before a generation is the same each time and is found there.
class Runner {
  public:
    Runner(Session& session, uint32_t n_vocab, Watching watching = Watching::nothing)
        : session_(session), n_vocab_(n_vocab) {
        if (watching == Watching::nothing) return;
        session.watch({session.spec().n_layers / 2}, watching == Watching::survey);
        session.on_attention = [](AttentionRows&&) {};
        session.on_logits = [](std::span<const float>) {};
    }

    double seconds(const Test& test) { return test.generates ? generate(test) : prompt(test.n); }

  private:
    double prompt(uint32_t n) {
        session_.rewind(0);
        const std::vector<int32_t> ids = random_ids(n, ++runs_);
        const auto start = Clock::now();
        session_.prompt(ids);
        session_.logits(); // waits for the device
        return std::chrono::duration<double>(Clock::now() - start).count();
    }

    double generate(const Test& test) {
        const SamplerOptions greedy{.temperature = 0};
        session_.prompt(random_ids(test.depth + 1, 0));
        session_.next(greedy); // the first token needs no step of its own
        const auto start = Clock::now();
        for (uint32_t i = 0; i < test.n; ++i)
            if (!session_.next(greedy))
                throw Error("running " + test.name, "the context is full", "a larger --context");
        return std::chrono::duration<double>(Clock::now() - start).count();
    }

    std::vector<int32_t> random_ids(uint32_t n, uint32_t run) const {
        std::mt19937 random(run);
        std::vector<int32_t> ids(n);
        for (int32_t& id : ids) id = static_cast<int32_t>(random() % n_vocab_);
        ids[0] = static_cast<int32_t>(run % n_vocab_);
        return ids;
    }

    Session& session_;
    uint32_t n_vocab_, runs_ = 0;
};

/// What one step has to read of the weights: all but the rows of the embedding that are not looked up.
double weight_bytes(const ModelFile& file, const ModelSpec& spec) {
    double bytes = 0;
    for (const TensorInfo& tensor : file.tensors)
        if (spec.tied || tensor.name != "token_embd.weight") bytes += static_cast<double>(tensor.bytes());
    return bytes;
}

/// Bytes that a run of the test has to move: for each generated token all weights once and the cache before
/// it; for a prompt the weights once and its own keys and values.
double least_bytes(const Test& test, double weights, double kv_per_token) {
    const double n = test.n;
    if (!test.generates) return weights + n * kv_per_token;
    return n * (weights + (test.depth + 1 + (n + 1) / 2) * kv_per_token);
}

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// One test, or a plain one and its watched ones in turns, so that what else the machine does meets all
/// alike.
std::vector<Result> measure(std::span<Runner* const> runners, std::span<const Test> tests,
                            uint32_t repetitions) {
    std::vector<std::vector<double>> speeds(tests.size());
    for (uint32_t r = 0; r <= repetitions; ++r)
        for (size_t i = 0; i < tests.size(); ++i) {
            throw_if_interrupted();
            show_progress(tests[i].name + ": " +
                          (r ? std::to_string(r) + " of " + std::to_string(repetitions) : "warm-up"));
            const double seconds = runners[static_cast<size_t>(tests[i].watching)]->seconds(tests[i]);
            if (r > 0) speeds[i].push_back(tests[i].n / seconds);
        }
    show_progress("");
    std::vector<Result> results;
    for (size_t i = 0; i < tests.size(); ++i) {
        const auto [least, most] = std::minmax_element(speeds[i].begin(), speeds[i].end());
        results.push_back({tests[i], median_of(speeds[i]), *least, *most, 0, {}});
        if (tests[i].watching == Watching::nothing) continue;
        std::vector<double> ratios;
        for (size_t r = 0; r < repetitions; ++r) ratios.push_back(speeds[i][r] / speeds[0][r]);
        results.back().of_plain = median_of(ratios);
    }
    return results;
}

/// Times of each operation in one run of the test, all layers together, the longest first.
std::vector<OperationTime> profile(Runner& runner, Session& session, const Test& test) {
    runner.seconds(test); // pipelines, caches
    session.take_profile();
    runner.seconds(test);
    std::map<std::string, OperationTime> by_name;
    double total = 0;
    for (const ProfileEntry& entry : session.take_profile()) {
        OperationTime& time = by_name[entry.op];
        time.count += entry.count;
        time.bytes += entry.bytes;
        time.ms += entry.ms;
        total += entry.ms;
    }
    std::vector<OperationTime> times;
    for (auto& [name, time] : by_name) {
        time.test = test.name;
        time.op = name;
        time.share = total > 0 ? time.ms / total : 0;
        times.push_back(time);
    }
    std::sort(times.begin(), times.end(), [](const auto& a, const auto& b) { return a.ms > b.ms; });
    return times;
}

std::vector<OperationTime> profile_all(const BenchOptions& options, Device& device, const Model& model,
                                       uint32_t n_ctx, const std::vector<Test>& tests) {
    std::vector<OperationTime> all;
    for (const Watching what : {Watching::nothing, Watching::layer, Watching::survey}) {
        if (what != Watching::nothing && !options.watch) break;
        Session session(device, model, {.n_ctx = n_ctx, .kv = options.model.kv, .profile = true});
        Runner runner(session, model.spec.n_vocab, what);
        for (const Test& test : tests) {
            if (test.watching != what) continue;
            throw_if_interrupted();
            const std::vector<OperationTime> times = profile(runner, session, test);
            all.insert(all.end(), times.begin(), times.end());
        }
    }
    return all;
}

/// How long the model took to load. A copy reads and writes each byte, so that loading at copying's speed is
/// half the bytes that copying moves.
struct Loading {
    uint64_t bytes = 0; ///< of the weights in the file
    double seconds = 0;

    double gb_s() const { return static_cast<double>(bytes) / seconds / 1e9; }
    double fraction_of_copy(double copy) const { return gb_s() * 1e9 / (copy / 2); }
};

nlohmann::json to_json(const DeviceInfo& device, const std::string& model, double copy, const Loading& load,
                       const std::vector<Result>& results, const std::vector<OperationTime>& operations) {
    nlohmann::json tests = nlohmann::json::array(), ops = nlohmann::json::array();
    for (const Result& r : results) {
        tests.push_back({{"name", r.test.name},
                         {"tokens_per_second", {{"median", r.median}, {"min", r.min}, {"max", r.max}}},
                         {"gb_s", r.gb_s()},
                         {"fraction_of_copy", r.gb_s() * 1e9 / copy}});
        if (r.of_plain) tests.back()["fraction_of_plain"] = *r.of_plain;
    }
    for (const OperationTime& o : operations)
        ops.push_back({{"test", o.test},
                       {"op", o.op},
                       {"count", o.count},
                       {"ms", o.ms},
                       {"share", o.share},
                       {"gb_s", o.gb_s()}});
    nlohmann::json json{{"device", device.name},
                        {"driver", device.driver},
                        {"model", model},
                        {"copy_gb_s", copy / 1e9},
                        {"load",
                         {{"bytes", load.bytes},
                          {"seconds", load.seconds},
                          {"gb_s", load.gb_s()},
                          {"fraction_of_copy", load.fraction_of_copy(copy)}}},
                        {"tests", tests}};
    if (!operations.empty()) json["ops"] = ops;
    return json;
}

std::string describe(const DeviceInfo& device, double copy, const Loading& load,
                     const std::vector<Result>& results, const std::vector<OperationTime>& operations) {
    std::string text = device.name + ", " + device.driver + ", copies " + fixed(copy / 1e9, 2) + " GB/s\n";
    text += mebibytes(load.bytes) + " loaded in " + fixed(load.seconds, 2) + " s, " + fixed(load.gb_s(), 2) +
            " GB/s, " + fixed(100 * load.fraction_of_copy(copy), 1) + " % of a copy's speed\n\n";
    std::vector<std::vector<std::string>> rows{{"test", "tokens/s", "min", "max", "GB/s", "of copy"}};
    const bool watched =
        std::any_of(results.begin(), results.end(), [](const Result& r) { return r.of_plain.has_value(); });
    if (watched) rows[0].emplace_back("of plain");
    for (const Result& r : results) {
        rows.push_back({r.test.name, fixed(r.median, 1), fixed(r.min, 1), fixed(r.max, 1), fixed(r.gb_s(), 2),
                        fixed(100 * r.gb_s() * 1e9 / copy, 1) + " %"});
        if (watched) rows.back().push_back(r.of_plain ? fixed(100 * *r.of_plain, 1) + " %" : "");
    }
    text += table(rows);
    std::string test;
    rows.clear();
    for (size_t i = 0; i <= operations.size(); ++i) {
        if (i == operations.size() || operations[i].test != test) {
            if (!rows.empty()) text += "\n" + table(rows);
            if (i == operations.size()) break;
            test = operations[i].test;
            rows = {{test, "count", "ms", "share", "GB/s"}};
        }
        const OperationTime& o = operations[i];
        rows.push_back({o.op, std::to_string(o.count), fixed(o.ms, 3), fixed(100 * o.share, 1) + " %",
                        fixed(o.gb_s(), 2)});
    }
    return text;
}

} // namespace

int run(const BenchOptions& options) {
    const std::vector<Test> tests = tests_of(options);
    uint32_t positions = 0;
    for (const Test& test : tests) positions = std::max(positions, test.positions());
    if (options.model.context && options.model.context < positions)
        throw Error("running these tests in a context of " + std::to_string(options.model.context),
                    "they need " + std::to_string(positions) + " positions",
                    "a larger --context or smaller -p, -n, -d");
    Running running(options.model, positions);
    const double copy = running.device->copy_bandwidth();
    const ModelFile file = read_model(running.path);
    const double weights = weight_bytes(file, running.model.spec);
    Loading load{.seconds = running.load_seconds};
    for (const TensorInfo& tensor : file.tensors) load.bytes += tensor.bytes();
    const auto kv = static_cast<double>(running.model.spec.kv_bytes_per_token(options.model.kv));

    const uint32_t n_vocab = running.model.spec.n_vocab;
    Runner runner(running.session, n_vocab);
    std::vector<Runner*> runners{&runner};
    std::deque<Session> watched; // each watches from its first token on: to begin would be recording anew
    std::deque<Runner> watching;
    for (const Watching what : {Watching::layer, Watching::survey})
        if (options.watch)
            runners.push_back(
                &watching.emplace_back(watched.emplace_back(*running.device, running.model,
                                                            SessionOptions{.n_ctx = running.session.n_ctx(),
                                                                           .kv = options.model.kv}),
                                       n_vocab, what));
    std::vector<Result> results;
    for (size_t first = 0; first < tests.size();) {
        const size_t n = options.watch && tests[first].generates ? runners.size() : 1;
        for (Result& result : measure(runners, std::span(tests).subspan(first, n), options.repetitions)) {
            result.bytes = least_bytes(result.test, weights, kv);
            results.push_back(std::move(result));
        }
        first += n;
    }
    std::vector<OperationTime> operations;
    if (options.ops)
        operations = profile_all(options, *running.device, running.model, running.session.n_ctx(), tests);
    const DeviceInfo& device = running.device->info();
    print(options.json ? to_text(to_json(device, running.path, copy, load, results, operations))
                       : describe(device, copy, load, results, operations));
    return 0;
}

} // namespace kvasir
