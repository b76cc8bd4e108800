#include "shaders/lib/random.h"
#include "tests/reference/ops.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace kvasir::reference {
namespace {

const SamplerOptions all{.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1};

std::vector<int32_t> kept(const Values& logits, const SamplerOptions& options) {
    return candidates(logits, {}, options).ids;
}

/// Logits whose softmax is these probabilities.
Values logits_of(const Values& probabilities) {
    Values l;
    for (double p : probabilities) l.push_back(std::log(p));
    return l;
}

TEST_CASE("penalty: each distinct id of the last 64 once, towards less likely") {
    std::vector<int32_t> history = {3};
    for (int i = 0; i < 63; ++i) history.push_back(i % 2);
    const Values l = {2, -2, 5, 4};
    CHECK(penalise(l, history, 2) == Values{1, -4, 5, 2});
    history.push_back(0); // id 3 is now 65 tokens back
    CHECK(penalise(l, history, 2) == Values{1, -4, 5, 4});
    CHECK(penalise(l, {}, 2) == l);
    CHECK(candidates(l, std::vector<int32_t>{2}, {.temperature = 0, .repeat_penalty = 1.5f}).ids[0] == 3);
}

TEST_CASE("candidates are sorted by probability, then id") {
    CHECK(kept({1, 3, 1, 2}, all) == std::vector<int32_t>{1, 3, 0, 2});
}

TEST_CASE("top-k keeps k, of equal ones the lower ids") {
    SamplerOptions options = all;
    options.top_k = 3;
    CHECK(kept({1, 5, 1, 5, 1}, options) == std::vector<int32_t>{1, 3, 0});
    options.top_k = 99;
    CHECK(kept({1, 5, 1, 5, 1}, options).size() == 5);
}

TEST_CASE("top-p is the smallest set that reaches p, of what top-k kept") {
    const Values l = logits_of({0.1, 0.4, 0.2, 0.3});
    SamplerOptions options = all;
    const auto with = [&](float top_p) {
        options.top_p = top_p;
        return kept(l, options);
    };
    CHECK(with(0.39f) == std::vector<int32_t>{1});
    CHECK(with(0.41f) == std::vector<int32_t>{1, 3});
    CHECK(with(0.69f) == std::vector<int32_t>{1, 3});
    CHECK(with(0.71f) == std::vector<int32_t>{1, 3, 2});
    CHECK(with(0.0f) == std::vector<int32_t>{1});
    CHECK(with(1.0f).size() == 4);
    // Of the top two the masses are 4/7 and 3/7.
    options.top_k = 2;
    CHECK(with(0.56f) == std::vector<int32_t>{1});
    CHECK(with(0.58f) == std::vector<int32_t>{1, 3});
    // Temperature comes later.
    options.temperature = 100;
    CHECK(with(0.56f) == std::vector<int32_t>{1});
}

TEST_CASE("min-p keeps what is at least that fraction of the best") {
    const Values l = logits_of({0.1, 0.4, 0.2, 0.3});
    SamplerOptions options = all;
    options.min_p = 0.51f;
    CHECK(kept(l, options) == std::vector<int32_t>{1, 3});
    options.min_p = 0.49f;
    CHECK(kept(l, options) == std::vector<int32_t>{1, 3, 2});
    options.min_p = 1.0f;
    CHECK(kept(l, options) == std::vector<int32_t>{1});
}

TEST_CASE("u lies inside (0, 1) in float32 too, and differs in every argument") {
    // random_numerator is odd and below 2^24, so float32 holds it and 2^24 minus it exactly.
    double mean = 0, square = 0;
    const int n = 100000;
    for (int i = 0; i < n; ++i) {
        const uint32_t numerator = shader::random_numerator(5, uint32_t(i % 317), uint32_t(i / 317));
        CHECK_UNARY(numerator % 2 == 1 && numerator < (1u << 24));
        const double u = numerator / 16777216.0;
        mean += u / n;
        square += u * u / n;
    }
    // Uniform: mean 1/2 +- sqrt(1/12 n), second moment 1/3 +- sqrt(4/45 n); four standard deviations.
    CHECK(std::abs(mean - 0.5) < 4 * std::sqrt(1.0 / 12 / n));
    CHECK(std::abs(square - 1.0 / 3) < 4 * std::sqrt(4.0 / 45 / n));
    const uint32_t base = shader::random_bits(1, 2, 3);
    for (uint32_t bit = 0; bit < 32; ++bit) {
        CHECK(base != shader::random_bits(1u ^ (1u << bit), 2, 3));
        CHECK(base != shader::random_bits(1, 2u ^ (1u << bit), 3));
        CHECK(base != shader::random_bits(1, 2, 3u ^ (1u << bit)));
    }
}

TEST_CASE("the choice follows softmax(logits / temperature), over positions and over seeds") {
    const Values l = {0.3, -0.7, 1.1, 0, -2, 0.9};
    const Candidates from = candidates(l, {}, all);
    const int n = 20000;
    for (double temperature : {0.5, 1.0, 2.0})
        for (bool over_seeds : {false, true}) {
            std::vector<int> count(l.size());
            for (uint32_t i = 0; i < uint32_t(n); ++i)
                ++count[size_t(over_seeds ? choose(from, temperature, i, 17)
                                          : choose(from, temperature, 17, i))];
            Values cold = l;
            for (double& value : cold) value /= temperature;
            const Values p = softmax(cold);
            double chi2 = 0;
            for (size_t i = 0; i < l.size(); ++i) chi2 += std::pow(count[i] - n * p[i], 2) / (n * p[i]);
            CAPTURE(temperature);
            CAPTURE(over_seeds);
            CHECK(chi2 < 20.5); // 5 degrees of freedom: exceeded by chance once in a thousand
        }
    CHECK(choose(from, 0, 1, 1) == 2);
    CHECK(choose(from, 1, 42, 7) == choose(from, 1, 42, 7));
}

} // namespace
} // namespace kvasir::reference
