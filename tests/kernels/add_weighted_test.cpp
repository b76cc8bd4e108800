#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {

std::vector<AddWeightedCase> add_weighted_cases() {
    std::vector<AddWeightedCase> cases;
    for (const uint32_t width : {1u, 31u, 33u, 257u})
        for (const uint32_t n_slots : {1u, 2u, 7u})
            for (const bool add : {false, true})
                cases.push_back(
                    {std::to_string(n_slots) + " of " + std::to_string(width) + (add ? ", added" : ""), width,
                     n_slots, 3, add});
    return cases;
}

/// A sum of n products in any order is off by at most (n + 1) roundings of the sum of their sizes (Higham
/// 2002, section 3.1).
CaseResult run(Device& device, const Tuning& tuning, const AddWeightedCase& one) {
    Random random;
    const Values y = random.values(uint64_t(one.n_tokens) * one.n_slots * one.width);
    const Values weights = random.values(uint64_t(one.n_tokens) * one.n_slots, 0, 1);
    const Values before = random.values(uint64_t(one.n_tokens) * one.width);
    const Rows parts = input_rows(device, y, one.n_slots * one.width);
    const Rows shares = input_rows(device, weights, one.n_slots);
    Output x(device, one.n_tokens, one.width);
    for (uint32_t t = 0; t < one.n_tokens && one.add; ++t)
        for (uint32_t c = 0; c < one.width; ++c) x.set(x.at(t, c), before[uint64_t(t) * one.width + c]);
    x.upload();
    Stage stage(device, tuning);
    stage.run(one.n_tokens,
              [&](const Step& step) { ops::add_weighted(step, x.rows, parts, shares, one.add); });
    Comparison comparison(one.name, (y.size() + weights.size() + before.size() * (one.add ? 2 : 1)) * 4);
    x.read();
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t c = 0; c < one.width; ++c) {
            double sum = one.add ? before[uint64_t(t) * one.width + c] : 0, sizes = std::abs(sum);
            for (uint32_t s = 0; s < one.n_slots; ++s) {
                const double each =
                    weights[t * one.n_slots + s] * y[(uint64_t(t) * one.n_slots + s) * one.width + c];
                sum += each;
                sizes += std::abs(each);
            }
            x.expect(comparison, x.at(t, c), sum, (one.n_slots + 2) * rounding * sizes);
        }
    x.finish(comparison);
    return comparison.result();
}

TEST_CASE("add_weighted") {
    check_all(add_weighted_cases(), false, &run);
}

} // namespace kvasir::kernels
