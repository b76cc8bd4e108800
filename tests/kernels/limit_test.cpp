#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {

std::vector<LimitCase> limit_cases() {
    std::vector<LimitCase> cases;
    for (const bool soft : {false, true}) {
        const std::string name = soft ? "softcap" : "clamp";
        for (const uint32_t width : {1u, 31u, 33u, 257u})
            cases.push_back({name + " " + std::to_string(width), width, 3, soft, 0.5});
        cases.push_back({name + " of what is far beyond", 65, 2, soft, 30, 1e6});
        cases.push_back({name + " of what is far within", 65, 2, soft, 30, 1e-3});
        cases.push_back({name + " about the limit", 300, 7, soft, 50, 120});
    }
    return cases;
}

/// clamp is exact. cap tanh(x / cap) as cap (1 - e) / (1 + e), e = exp(-2|x| / cap): the argument has two
/// roundings and 2.5 ulp of the division, exp 3 + 2|z| ulp (Vulkan specification, precision table); e's error
/// counts once above and once below, 1 - e may cancel, so that what is left is absolute: of cap.
CaseResult run(Device& device, const Tuning& tuning, const LimitCase& one) {
    Random random;
    const Values x = random.values(uint64_t(one.n_tokens) * one.width, -one.x_size, one.x_size);
    Output y(device, one.n_tokens, one.width); // in place
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t c = 0; c < one.width; ++c) y.set(y.at(t, c), x[uint64_t(t) * one.width + c]);
    y.upload();
    Stage stage(device, tuning);
    stage.run(one.n_tokens, [&](const Step& step) {
        if (one.soft)
            ops::softcap(step, y.rows, one.limit, one.n_tokens);
        else
            ops::clamp(step, y.rows, one.limit);
    });
    Comparison comparison(one.name, x.size() * 8);
    y.read();
    const Values capped = reference::softcap(x, one.limit);
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t c = 0; c < one.width; ++c) {
            const double from = x[uint64_t(t) * one.width + c], z = 2 * std::abs(from) / one.limit;
            const double e = std::exp(-z);
            const double soft_bound = one.limit * ulp * (2 * e * (3 + 7 * z) + 6);
            const double expected =
                one.soft ? capped[uint64_t(t) * one.width + c] : std::clamp(from, -one.limit, one.limit);
            y.expect(comparison, y.at(t, c), expected, one.soft ? soft_bound : 0);
        }
    y.finish(comparison);
    return comparison.result();
}

TEST_CASE("limit") {
    check_all(limit_cases(), false, &run);
}

} // namespace kvasir::kernels
