#include "runtime/candidates.hpp"
#include "tests/reference/ops.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace kvasir {

TEST_CASE("candidates: fates and probabilities are the reference sampler's") {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, 3);
    for (const SamplerOptions& options :
         {SamplerOptions{}, SamplerOptions{.temperature = 1.3f, .top_k = 0, .top_p = 0.7f, .min_p = 0},
          SamplerOptions{.temperature = 0.5f, .top_k = 5, .top_p = 1, .min_p = 0, .repeat_penalty = 1.5f},
          SamplerOptions{.temperature = 2, .top_k = 0, .top_p = 1, .min_p = 0.2f, .repeat_penalty = 1.2f},
          SamplerOptions{.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0},
          SamplerOptions{.temperature = 1, .top_k = 0, .top_p = 0, .min_p = 0},
          SamplerOptions{.temperature = 1, .top_k = 0, .top_p = 0.9999f, .min_p = 0}})
        for (const size_t n_vocab : {1u, 2u, 33u, 257u}) {
            std::vector<float> logits(n_vocab);
            for (float& l : logits) l = normal(random);
            std::vector<int32_t> history(100);
            for (int32_t& id : history) id = int32_t(random() % n_vocab);
            const int32_t chosen = int32_t(random() % n_vocab);
            const reference::Values exact(logits.begin(), logits.end());
            const auto kept = reference::candidates(exact, history, options);
            const auto p = reference::softmax(exact);
            const auto got = look_at_choice(logits, history, options, chosen, uint32_t(n_vocab));

            CHECK(got.chosen_p == doctest::Approx(p[size_t(chosen)]).epsilon(1e-5));
            double entropy = 0;
            for (const double x : p) entropy -= x > 0 ? x * std::log(x) : 0;
            CHECK(got.entropy == doctest::Approx(entropy).epsilon(1e-5));
            REQUIRE(got.list.size() == n_vocab);
            double sum = 0, total = 0;
            for (const double l : kept.logits) total += std::exp((l - kept.logits[0]) / options.temperature);
            for (size_t i = 0; i < n_vocab; ++i) {
                const Candidate& one = got.list[i];
                if (i) CHECK(one.p <= got.list[i - 1].p);
                CHECK(one.p == doctest::Approx(p[size_t(one.id)]).epsilon(1e-5));
                const auto found = std::find(kept.ids.begin(), kept.ids.end(), one.id);
                CHECK((one.fate == Candidate::Fate::kept) == (found != kept.ids.end()));
                if (found != kept.ids.end()) {
                    const double l = kept.logits[size_t(found - kept.ids.begin())];
                    CHECK(one.p_final ==
                          doctest::Approx(std::exp((l - kept.logits[0]) / options.temperature) / total)
                              .epsilon(1e-5));
                }
                sum += one.p_final;
            }
            CHECK(sum == doctest::Approx(1));
        }
}

TEST_CASE("candidates: only the likeliest are listed, and greedy puts all on the best") {
    std::vector<float> logits{1, 5, 3, 4};
    const auto got = look_at_choice(logits, {}, {.temperature = 0}, 1, 2);
    REQUIRE(got.list.size() == 2);
    CHECK(got.list[0].id == 1);
    CHECK(got.list[0].p_final == doctest::Approx(1));
    CHECK(got.list[1].id == 3);
}

} // namespace kvasir
