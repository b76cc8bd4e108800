#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {

std::vector<NormCase> norm_cases() {
    std::vector<NormCase> cases;
    for (const Norm kind : {Norm::layer, Norm::rms}) {
        const std::string name = kind == Norm::layer ? "LayerNorm " : "RMSNorm ";
        for (const uint32_t width : {1u, 4u, 31u, 33u, 64u, 257u, 768u})
            cases.push_back({name + std::to_string(width), kind, width, 3});
        cases.push_back({name + "with beta", kind, 257, 33, true});
        cases.push_back({name + "about 1000", kind, 768, 2, true, 1000, 1});
        cases.push_back({name + "of tiny values", kind, 64, 2, false, 0, 1e-6});
        cases.push_back({name + "of huge values", kind, 64, 2, false, 0, 1e15});
        cases.push_back({name + "of zeros", kind, 33, 7, true, 0, 0});
        for (const uint32_t head_dim : {4u, 20u, 64u, 80u, 128u})
            cases.push_back({name + "of heads of " + std::to_string(head_dim), kind, head_dim, 3, false, 0, 1,
                             head_dim == 64 ? 0u : 2u, 4});
        cases.push_back({name + "of one head", kind, 20, 33, true, 0, 1, 5, 1});
    }
    return cases;
}

namespace {

constexpr double eps = 1e-5;

/// Bounds of a row's y = (x - mean) factor gamma + beta. A sum of n terms in any order is off by at most
/// (longest chain of additions) * rounding * (sum of sizes) (Higham 2002, section 4.2); a chain is a lane's
/// own terms and then those of the other lanes. Division is good to 2.5 ulp, 1 / sqrt to 2 ulp and the
/// division's 2.5 (Vulkan specification, "Precision and Operation of SPIR-V Instructions").
struct RowBounds {
    double of_mean = 0, of_factor = 0, mean = 0, factor = 0;

    RowBounds(View x, Norm kind, uint32_t workgroup) {
        const auto n = double(x.size());
        const double chain = std::ceil(n / workgroup) + workgroup;
        if (kind == Norm::layer) {
            double sum = 0, sizes = 0;
            for (const double value : x) {
                sum += value;
                sizes += std::abs(value);
            }
            mean = sum / n;
            of_mean = (chain + 5) * rounding * sizes / n;
        }
        double squares = 0;
        for (const double value : x) squares += (value - mean) * (value - mean);
        const double variance = squares / n;
        factor = 1 / std::sqrt(variance + eps);
        // each difference is off by of_mean and a rounding: so the variance by twice that times the mean size
        // of a difference, which is at most its root; squares and their sum add their own roundings
        const double of_variance =
            (chain + 8) * rounding * variance + 2 * of_mean * std::sqrt(variance) + of_mean * of_mean;
        of_factor =
            0.5 * of_variance / (variance + eps) * 1.01 + 5 * ulp; // relative; 1.01: terms of second order
    }

    double bound(double x, double gamma, double y) const {
        const double d = std::abs(x - mean);
        return std::abs(gamma) * factor * (of_mean + d * (of_factor + 4 * rounding)) + rounding * std::abs(y);
    }
};

} // namespace

CaseResult run(Device& device, const Tuning& tuning, const NormCase& one) {
    Random random;
    const bool heads = one.n_heads > 0;
    const uint32_t parts = heads ? one.n_heads : 1, all_parts = heads ? one.first + one.n_heads + 1 : 1;
    const uint32_t width = all_parts * one.width;
    const Values x =
        random.values(uint64_t(one.n_tokens) * width, one.mean - one.spread, one.mean + one.spread);
    const Values gamma = random.values(one.width, 0.5, 1.5);
    const Values beta = one.beta ? random.values(one.width) : Values();
    NormWeights weights{one.width, upload(device, gamma), one.beta ? upload(device, beta) : Buffer()};

    Output y(device, one.n_tokens, width);
    Stage stage(device, tuning);
    if (heads) { // in place
        for (uint32_t t = 0; t < one.n_tokens; ++t)
            for (uint32_t c = 0; c < width; ++c) y.set(y.at(t, c), x[uint64_t(t) * width + c]);
        y.upload();
        stage.run(one.n_tokens, [&](const Step& step) {
            ops::norm_heads(step, y.rows, weights, one.kind, eps, one.first, one.n_heads, one.width);
        });
    } else {
        const Rows input = input_rows(device, x, width);
        stage.run(one.n_tokens,
                  [&](const Step& step) { ops::norm(step, y.rows, input, weights, one.kind, eps); });
    }

    Comparison comparison(one.name, uint64_t(one.n_tokens) * parts * one.width * 8);
    y.read();
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t part = 0; part < parts; ++part) {
            const uint32_t from = (heads ? one.first + part : 0) * one.width;
            const View row = View(x).subspan(uint64_t(t) * width + from, one.width);
            const Values expected = one.kind == Norm::layer ? reference::layer_norm(row, gamma, beta, eps)
                                                            : reference::rms_norm(row, gamma, beta, eps);
            const RowBounds bounds(row, one.kind, tuning.row_workgroup);
            for (uint32_t c = 0; c < one.width; ++c)
                y.expect(comparison, y.at(t, from + c), expected[c],
                         bounds.bound(row[c], gamma[c], expected[c]));
        }
    y.finish(comparison);
    return comparison.result();
}

TEST_CASE("norm") {
    check_all(norm_cases(), true, &run);
}

} // namespace kvasir::kernels
