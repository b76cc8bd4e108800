#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {

std::vector<RouteCase> route_cases() {
    std::vector<RouteCase> cases;
    for (const Router router : {Router::softmax, Router::sigmoid}) {
        const std::string name = router == Router::softmax ? "softmax" : "sigmoid";
        for (const uint32_t n_experts : {1u, 2u, 31u, 128u})
            for (const uint32_t n_tokens : {1u, 65u})
                cases.push_back(
                    {name + ", 1 of " + std::to_string(n_experts) + ", tokens " + std::to_string(n_tokens),
                     n_experts, 1, n_tokens, router});
        cases.push_back({name + ", 6 of 64", 64, 6, 33, router});
        cases.push_back(
            {name + ", 8 of 257, biased, scaled, as they are", 257, 8, 33, router, true, false, 2.5});
        cases.push_back({name + ", all of 7, biased", 7, 7, 3, router, true});
        cases.push_back({name + ", of large scores", 31, 4, 3, router, false, true, 1, 60});
        cases.push_back({name + ", of equal scores", 31, 4, 3, router, false, true, 1, 0});
    }
    return cases;
}

namespace {

/// Whether expert e may stand where the reference has r: the keys of both are closer than their errors.
bool tied(double key_e, double key_r, double off) {
    return std::abs(key_e - key_r) <= off;
}

} // namespace

/// p = exp(s - most) / sum: the difference one rounding, exp 3 + 2|z| ulp, the sum as many roundings as it
/// has terms, the division 2.5 ulp; 1 / (1 + exp(-s)) alike (Vulkan specification, precision table). Weights
/// that are normed have twice that, and another sum.
CaseResult run(Device& device, const Tuning& tuning, const RouteCase& one) {
    ModelSpec m;
    m.n_experts = one.n_experts, m.n_experts_used = one.n_used;
    m.router = one.router, m.router_bias = one.bias, m.router_norm = one.normed, m.router_scale = one.scale;
    Random random;
    const Values scores =
        random.values(uint64_t(one.n_tokens) * one.n_experts, -one.score_size, one.score_size);
    const Values bias = one.bias ? random.values(one.n_experts, -0.2, 0.2) : Values();
    const Rows input = input_rows(device, scores, one.n_experts);
    const Buffer bias_buffer = one.bias ? upload(device, bias) : Buffer();
    const uint64_t n = uint64_t(one.n_tokens) * one.n_used;
    Output chosen(device, n), weights(device, n);
    chosen.upload();
    weights.upload();
    Rows weight_rows{std::move(weights.rows.buffer), one.n_used, one.n_used};
    Stage stage(device, tuning);
    stage.run(one.n_tokens, [&](const Step& step) {
        ops::route(step, chosen.rows.buffer, weight_rows, input, bias_buffer, m);
    });
    weights.rows.buffer = std::move(weight_rows.buffer);
    Comparison comparison(one.name, (scores.size() + bias.size() + 2 * n) * 4);
    weights.read();
    const std::vector<uint32_t> found = download(chosen.rows.buffer);
    for (uint32_t t = 0; t < one.n_tokens; ++t) {
        const View row = View(scores).subspan(uint64_t(t) * one.n_experts, one.n_experts);
        const reference::Routes routes = reference::route(m, row, bias);
        const Values p = one.router == Router::softmax ? reference::softmax(row)
                                                       : reference::activate(Activation::sigmoid, row);
        const double relative = ulp * (3 + 4 * one.score_size + one.n_experts + 4);
        for (uint32_t u = 0; u < one.n_used; ++u) {
            const uint64_t at = uint64_t(t) * one.n_used + u;
            const size_t expert = routes.experts[u];
            const auto key = [&](size_t e) { return p[e] + (one.bias ? bias[e] : 0); };
            const bool same = found[at] == expert;
            if (!same) // the wrong expert has no bound; one that is as good has that of rounding
                comparison.value(0, 1,
                                 found[at] < one.n_experts && one.score_size > 0 &&
                                         tied(key(found[at]), key(expert), 2 * relative)
                                     ? 1
                                     : 0);
            const double bound = std::abs(routes.weights[u]) * (2 * relative + (one.n_used + 4) * ulp);
            weights.expect(comparison, at, routes.weights[u], bound + (same ? 0 : 2 * relative * one.scale));
        }
    }
    weights.finish(comparison);
    return comparison.result();
}

TEST_CASE("route") {
    check_all(route_cases(), false, &run);
}

} // namespace kvasir::kernels
