#include "runtime/rope.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace kvasir {
namespace {

/// The (fractional) frequency that makes this many turns within n positions.
double dimension_of_turns(const ModelSpec& m, double turns, double n) {
    return m.rope_dim * std::log(n / (turns * 2 * std::numbers::pi)) / (2 * std::log(m.rope_base));
}

/// YaRN's ramp: 0 where a frequency is kept, 1 where it is divided.
double yarn_share(const ModelSpec& m, uint32_t i, double original_ctx) {
    const double low = std::max(0.0, std::floor(dimension_of_turns(m, m.rope_beta_fast, original_ctx)));
    const double high =
        std::min(m.rope_dim - 1.0, std::ceil(dimension_of_turns(m, m.rope_beta_slow, original_ctx)));
    return std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
}

} // namespace

RopeTable rope_table(const ModelSpec& m, uint32_t n_ctx, bool windowed) {
    assert(m.rope != Rope::none);
    RopeTable table{.theta = {}, .magnitude = m.rope_magnitude};
    const bool plain = windowed && m.window_rope_base > 0;
    const uint32_t original_ctx = m.rope_original_ctx ? m.rope_original_ctx : m.n_ctx;
    const RopeScaling scaling = plain ? RopeScaling::none : m.rope_scaling;
    double base = plain ? m.window_rope_base : m.rope_base;
    if (scaling == RopeScaling::dynamic && n_ctx > original_ctx)
        base *= std::pow(m.rope_factor * n_ctx / original_ctx - (m.rope_factor - 1),
                         m.rope_dim / (m.rope_dim - 2.0));
    if (scaling == RopeScaling::ntk) base *= std::pow(m.rope_factor, m.rope_dim / (m.rope_dim - 2.0));
    if (scaling == RopeScaling::yarn) table.magnitude *= 1 + 0.1 * std::log(m.rope_factor);
    const auto& factors =
        !m.rope_long_factors.empty() && n_ctx > original_ctx ? m.rope_long_factors : m.rope_factors;
    for (uint32_t i = 0; i < m.rope_dim / 2; ++i) {
        double theta = std::pow(base, -2.0 * i / m.rope_dim);
        if (scaling == RopeScaling::linear) theta /= m.rope_factor;
        if (scaling == RopeScaling::factors) theta /= factors[i] * m.rope_factor;
        if (scaling == RopeScaling::yarn) {
            const double share = yarn_share(m, i, original_ctx);
            theta *= share / m.rope_factor + 1 - share;
        }
        table.theta.push_back(theta);
    }
    return table;
}

std::vector<double> llama3_rope_factors(uint32_t rope_dim, double base, double factor, double low_freq_factor,
                                        double high_freq_factor, uint32_t original_ctx) {
    std::vector<double> factors;
    for (uint32_t i = 0; i < rope_dim / 2; ++i) {
        const double turns = original_ctx * std::pow(base, -2.0 * i / rope_dim) / (2 * std::numbers::pi);
        const double kept =
            std::clamp((turns - low_freq_factor) / (high_freq_factor - low_freq_factor), 0.0, 1.0);
        factors.push_back(1 / (kept + (1 - kept) / factor));
    }
    return factors;
}

} // namespace kvasir
