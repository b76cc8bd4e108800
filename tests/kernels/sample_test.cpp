#include "shaders/lib/random.h"
#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

namespace kvasir::kernels {

namespace {

/// Options that keep everything.
SamplerOptions all(float temperature, uint32_t seed = 1) {
    return {
        .temperature = temperature, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .seed = seed};
}

/// Distinct logits in shuffled places: the r-th largest is 8 - r * step. Clear gaps, so that every threshold
/// is between two of them.
Values ladder(uint32_t n_vocab, double step) {
    const auto order = Random(7).permutation(n_vocab);
    Values logits(n_vocab);
    for (uint32_t rank = 0; rank < n_vocab; ++rank) logits[order[rank]] = static_cast<float>(8 - rank * step);
    return logits;
}

/// The top_p that keeps exactly n of these: half-way between the mass of n - 1 and that of n. Of what top_k
/// left.
float top_p_for(const Values& logits, uint32_t n, uint32_t top_k = 0) {
    Values sorted(logits);
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    if (top_k > 0) sorted.resize(top_k);
    const Values p = reference::softmax(sorted);
    return static_cast<float>(std::accumulate(p.begin(), p.begin() + n - 1, 0.0) + p[n - 1] / 2);
}

/// The min_p that keeps exactly n of a ladder: half a step below the n-th.
float min_p_for(uint32_t n, double step) {
    return static_cast<float>(std::exp(-step * (n - 0.5)));
}

} // namespace

std::vector<SampleCase> sample_cases() {
    std::vector<SampleCase> cases;
    for (const uint32_t n_vocab : {1u, 7u, 257u, 32003u}) {
        const std::string name = std::to_string(n_vocab) + " ids, ";
        const Values logits = ladder(n_vocab, 0.05);
        const uint32_t n_draws = n_vocab > 1000 ? 4 : 100;
        const auto at_most = [&](uint32_t n) { return std::min(n, n_vocab); };
        cases.push_back({name + "greedy", logits, all(0), 3});
        cases.push_back({name + "all", logits, all(0.8f), n_draws});
        SamplerOptions o = all(1.5f);
        o.top_k = 3;
        cases.push_back({name + "top-k", logits, o, n_draws});
        o = all(1.5f);
        o.top_p = top_p_for(logits, at_most(5));
        cases.push_back({name + "top-p", logits, o, n_draws});
        o = all(1.5f);
        o.min_p = min_p_for(at_most(5), 0.05);
        cases.push_back({name + "min-p", logits, o, n_draws});
        o.top_k = at_most(30);
        o.top_p = top_p_for(logits, at_most(20), o.top_k);
        o.repeat_penalty = 1.3f;
        o.min_p = 0.02f;
        cases.push_back({name + "everything", logits, o, n_draws, 0, 5});
        o = all(0);
        o.repeat_penalty = 1.7f;
        cases.push_back({name + "greedy with a penalty", logits, o, n_draws, 0, 70});
    }
    cases.push_back({"equal logits, greedy", Values(257, 1.0), all(0), 2});
    cases.push_back({"logits all below zero", ladder(257, 0.3), all(0.7f), 200, -100});
    cases.push_back(
        {"logits of both signs, penalty",
         ladder(64, 0.3),
         {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1.2f, .seed = 3},
         100,
         {},
         100});
    cases.push_back({"temperature near zero", ladder(257, 0.05), all(1e-4f), 50});
    cases.push_back({"huge temperature", ladder(257, 0.05), all(1e4f), 200});
    cases.push_back({"one far ahead", ladder(257, 90), all(1), 50});
    cases.push_back({"another seed", ladder(257, 0.05), all(1, 0xfedcba98u), 200});
    cases.push_back({"a step of several tokens", ladder(257, 0.05), all(1), 1, 0, 9, 5});
    return cases;
}

namespace {

/// Rounding of logit / temperature + noise does not decide between candidates that are further apart than
/// this.
constexpr double clear_gap = 1e-3;

/// Draws of a case one after the other, each a step that feeds the next.
struct Draws {
    std::vector<int32_t> ids; ///< the sequence: random history, then what was drawn
    uint64_t stray = 0;
    uint32_t first; ///< of the drawn ones

    Draws(Device& device, const Tuning& tuning, const SampleCase& one, const Values& logits) {
        Random random(3);
        const auto n_vocab = static_cast<uint32_t>(logits.size());
        first = one.n_history + one.n_tokens;
        const uint32_t end = first + one.n_draws + (one.n_draws - 1) * (one.n_tokens - 1);
        std::vector<uint32_t> sequence(end + 4, poison);
        for (uint32_t i = 0; i < first; ++i) sequence[i] = random.bits() % n_vocab;
        const Buffer id_buffer = upload(device, sequence);
        const Rows input = input_rows(device, logits, n_vocab);
        Output penalised(device, n_vocab);
        Stage stage(device, tuning);
        stage.state() = {one.n_history,     one.options.seed,  one.options.temperature,    one.options.top_k,
                         one.options.top_p, one.options.min_p, one.options.repeat_penalty, poison};
        const State before = stage.state();
        stage.run(one.n_tokens, [&](const Step& step) {
            for (uint32_t i = 0; i < one.n_draws; ++i)
                ops::sample(step, input, penalised.rows.buffer, id_buffer);
        });
        State expected = before;
        expected.pos = end - 1; // the newest token's
        stray += std::memcmp(&expected, &stage.state(), sizeof expected) != 0;
        auto after = download(id_buffer);
        for (size_t i = 0; i < sequence.size(); ++i)
            stray += (i < first || i >= end) && after[i] != sequence[i];
        ids.assign(after.begin(), after.begin() + std::ptrdiff_t(end));
        Comparison comparison("", 0);
        penalised.read();
        for (uint32_t i = 0; i < n_vocab; ++i) penalised.expect(comparison, i, 0, 0);
        penalised.finish(comparison);
        stray += comparison.result().stray;
    }
};

Values logits_of(const SampleCase& one) {
    Values logits(one.logits);
    for (double& value : logits) value = static_cast<float>(value + one.offset);
    return logits;
}

double score(const reference::Candidates& from, const SamplerOptions& options, uint32_t position,
             int32_t id) {
    for (size_t i = 0; i < from.ids.size(); ++i)
        if (from.ids[i] == id)
            return options.temperature == 0
                       ? from.logits[i]
                       : from.logits[i] / options.temperature + reference::gumbel(options.seed, position, id);
    return -HUGE_VAL;
}

} // namespace

/// The value is the score (logit / temperature + noise) of the token that was chosen, which the reference
/// computes for itself: it must be the best one's, or within clear_gap of it; a token that is no candidate
/// has none.
CaseResult run(Device& device, const Tuning& tuning, const SampleCase& one) {
    const Values logits = logits_of(one);
    const Draws draws(device, tuning, one, logits);
    Comparison comparison(one.name, logits.size() * 4);
    comparison.stray(draws.stray);
    for (uint32_t at = draws.first; at < draws.ids.size(); at += one.n_tokens) {
        const auto candidates = reference::candidates(logits, std::span(draws.ids).first(at), one.options);
        const int32_t best = reference::choose(candidates, one.options.temperature, one.options.seed, at);
        const double highest = score(candidates, one.options, at, best);
        comparison.value(highest,
                         draws.ids[at] == best ? highest : score(candidates, one.options, at, draws.ids[at]),
                         one.options.temperature == 0 ? 0 : clear_gap);
    }
    return comparison.result();
}

TEST_CASE("sample") {
    check_all(sample_cases(), true,
              static_cast<CaseResult (*)(Device&, const Tuning&, const SampleCase&)>(&run));
}

TEST_CASE("greedy takes the lowest id among equals") {
    Values logits(1000, 0.5);
    logits[0] = logits[1] = 0.25;
    logits[700] = logits[333] = logits[999] = 2;
    for (const auto& [name, tuning] : tunings(test_device(), true)) {
        CAPTURE(name);
        const SampleCase one{"ties", logits, all(0), 1};
        CHECK(Draws(test_device(), tuning, one, logits).ids.back() == 333);
    }
}

// Nearly equal logits and a temperature that makes them equal: each survivor is as likely as any other, and
// 40 n draws miss one of n <= 40 with a probability of n (1 - 1/n)^(40 n) < 40 e^-40.
TEST_CASE("what is drawn in the end is exactly the survivors") {
    const uint32_t n_vocab = 257;
    const double step = 0.05;
    const Values logits = ladder(n_vocab, step);
    SamplerOptions top_k = all(1e6f), top_p = all(1e6f), min_p = all(1e6f), both = all(1e6f);
    top_k.top_k = 40;
    top_p.top_p = top_p_for(logits, 29);
    min_p.min_p = min_p_for(17, step);
    both.top_k = 35;
    both.top_p = top_p_for(logits, 24, 35);
    both.min_p = min_p_for(30, step);
    const std::vector<std::pair<SamplerOptions, size_t>> all_options{
        {top_k, 40}, {top_p, 29}, {min_p, 17}, {both, 24}};
    for (const auto& [name, tuning] : tunings(test_device(), true))
        for (const auto& [options, n] : all_options) {
            CAPTURE(name);
            CAPTURE(n);
            const auto candidates = reference::candidates(logits, {}, options);
            REQUIRE(candidates.ids.size() == n);
            const SampleCase one{"survivors", logits, options, uint32_t(20 * n)};
            const Draws draws(test_device(), tuning, one, logits);
            const std::set<int32_t> drawn(draws.ids.begin() + draws.first, draws.ids.end());
            CHECK(drawn == std::set<int32_t>(candidates.ids.begin(), candidates.ids.end()));
        }
}

// At the border of top-k and top-p the kernel keeps all that are equal, where a sort would keep those with
// lower ids: a threshold does not tell them apart, and neither choice is better.
TEST_CASE("equals at a threshold all stay") {
    const Values logits = {5, 1, 3, 3, 3, 0};
    SamplerOptions options = all(1e6f);
    options.top_k = 2;
    for (const auto& [name, tuning] : tunings(test_device(), true)) {
        CAPTURE(name);
        const Draws draws(test_device(), tuning, {"ties", logits, options, 160}, logits);
        CHECK(std::set<int32_t>(draws.ids.begin() + draws.first, draws.ids.end()) ==
              std::set<int32_t>{0, 2, 3, 4});
    }
}

TEST_CASE("equal seeds choose equally, other seeds otherwise") {
    const Values logits = ladder(257, 0.01);
    for (const auto& [name, tuning] : tunings(test_device(), true)) {
        CAPTURE(name);
        const auto drawn = [&](uint32_t seed) {
            return Draws(test_device(), tuning, {"seed", logits, all(1, seed), 64}, logits).ids;
        };
        CHECK(drawn(5) == drawn(5));
        CHECK(drawn(5) != drawn(6));
    }
}

// u next to 1 has the largest noise, -log(-log(u)), and a float32 logarithm is worst there. Two ids whose
// scores differ by a little more than clear_gap, one way and the other.
TEST_CASE("the noise of a number next to 1 is that of the reference") {
    for (const uint32_t numerator : {0xffffffu, 0xfffff9u, 0xffff01u, 0xc00001u, 0x800001u, 0x7fffffu}) {
        CAPTURE(numerator);
        uint32_t seed = 0; // the first whose noise for id 1 at position 1 is made of this number
        while (shader::random_numerator(seed, 1, 1) != numerator) ++seed;
        const double gap = reference::gumbel(seed, 1, 1) - reference::gumbel(seed, 1, 0);
        for (const auto& [name, tuning] : tunings(test_device(), true))
            for (const int32_t winner : {0, 1}) {
                CAPTURE(name);
                const Values logits = {gap, winner == 1 ? 2 * clear_gap : -2 * clear_gap};
                CHECK(
                    Draws(test_device(), tuning, {"next to 1", logits, all(1, seed), 1}, logits).ids.back() ==
                    winner);
            }
    }
}

// Pearson's chi-square of 4096 draws: 23 degrees of freedom exceed 49.73 with a probability of 0.001 (tables
// of the chi-square distribution). The seed is fixed, so the draws are the same each time.
TEST_CASE("draws follow the softmax") {
    const uint32_t n_draws = 4096;
    const Values logits = ladder(24, 0.1);
    const float temperature = 0.9f;
    Values scaled(logits);
    for (double& value : scaled) value /= double(temperature);
    const Values p = reference::softmax(scaled);
    for (const auto& [name, tuning] : tunings(test_device(), true)) {
        CAPTURE(name);
        const Draws draws(test_device(), tuning, {"softmax", logits, all(temperature, 42), n_draws}, logits);
        std::vector<double> counts(logits.size());
        for (auto id = draws.ids.begin() + draws.first; id != draws.ids.end(); ++id) counts[size_t(*id)] += 1;
        double chi_square = 0;
        for (size_t i = 0; i < counts.size(); ++i)
            chi_square += (counts[i] - n_draws * p[i]) * (counts[i] - n_draws * p[i]) / (n_draws * p[i]);
        CHECK(chi_square < 49.73);
    }
}

} // namespace kvasir::kernels
