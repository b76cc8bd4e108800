#include "tests/reference/ops.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

namespace kvasir::reference {

namespace {

void require(bool holds, const char* what) {
    if (!holds) throw std::logic_error(what);
}

double dot(const double* a, const double* b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

} // namespace

Values embed(View table, std::span<const int32_t> ids, size_t d_model) {
    Values x;
    for (int32_t id : ids) {
        require(id >= 0 && (size_t(id) + 1) * d_model <= table.size(), "embed: id outside the table");
        const View row = table.subspan(size_t(id) * d_model, d_model);
        x.insert(x.end(), row.begin(), row.end());
    }
    return x;
}

Values add(View a, View b) {
    require(!b.empty() && a.size() % b.size() == 0, "add: shapes do not fit");
    Values y(a.begin(), a.end());
    for (size_t i = 0; i < y.size(); ++i) y[i] += b[i % b.size()];
    return y;
}

Values layer_norm(View x, View gamma, View beta, double eps) {
    const size_t d = gamma.size();
    require(d > 0 && x.size() % d == 0 && (beta.empty() || beta.size() == d),
            "layer_norm: shapes do not fit");
    Values y(x.size());
    for (size_t row = 0; row < x.size(); row += d) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < d; ++i) mean += x[row + i] / double(d);
        for (size_t i = 0; i < d; ++i) variance += (x[row + i] - mean) * (x[row + i] - mean) / double(d);
        for (size_t i = 0; i < d; ++i)
            y[row + i] =
                gamma[i] * (x[row + i] - mean) / std::sqrt(variance + eps) + (beta.empty() ? 0 : beta[i]);
    }
    return y;
}

Values rms_norm(View x, View gamma, View beta, double eps) {
    const size_t d = gamma.size();
    require(d > 0 && x.size() % d == 0 && (beta.empty() || beta.size() == d), "rms_norm: shapes do not fit");
    Values y(x.size());
    for (size_t row = 0; row < x.size(); row += d) {
        const double mean_square = dot(&x[row], &x[row], d) / double(d);
        for (size_t i = 0; i < d; ++i)
            y[row + i] = gamma[i] * x[row + i] / std::sqrt(mean_square + eps) + (beta.empty() ? 0 : beta[i]);
    }
    return y;
}

Values linear(View w, View x, View b, size_t d_in) {
    require(d_in > 0 && w.size() % d_in == 0 && x.size() % d_in == 0, "linear: shapes do not fit");
    const size_t d_out = w.size() / d_in, n_tokens = x.size() / d_in;
    require(b.empty() || b.size() == d_out, "linear: bias does not fit");
    Values y(n_tokens * d_out);
    for (size_t t = 0; t < n_tokens; ++t)
        for (size_t o = 0; o < d_out; ++o)
            y[t * d_out + o] = dot(&w[o * d_in], &x[t * d_in], d_in) + (b.empty() ? 0 : b[o]);
    return y;
}

double activate(Activation activation, double x) {
    switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return std::max(x, 0.0);
    case Activation::gelu_tanh: {
        const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
        return 0.5 * x * (1 + std::tanh(inner));
    }
    case Activation::gelu_erf: return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    }
    throw std::logic_error("activate: no such activation");
}

Values activate(Activation activation, View u) {
    Values y(u.begin(), u.end());
    for (double& value : y) value = activate(activation, value);
    return y;
}

Values activate_gated(Activation activation, View gate, View up) {
    require(gate.size() == up.size(), "activate_gated: shapes do not fit");
    Values y(up.begin(), up.end());
    for (size_t i = 0; i < y.size(); ++i) y[i] *= activate(activation, gate[i]);
    return y;
}

Values rope(View x, const RopeShape& shape, size_t pos) {
    const size_t half = shape.rope_dim / 2, row = shape.n_heads * shape.head_dim;
    require(shape.rope != Rope::none && shape.rope_dim % 2 == 0 &&
                shape.first + shape.rope_dim <= shape.head_dim,
            "rope: rope_dim must be even and at most head_dim");
    require(row > 0 && x.size() % row == 0, "rope: shapes do not fit");
    require(shape.theta.empty() || shape.theta.size() == half, "rope: one frequency a pair");
    Values y(x.begin(), x.end());
    for (size_t head = 0; head < x.size(); head += shape.head_dim)
        for (size_t i = 0; i < half; ++i) {
            const double theta =
                shape.theta.empty()
                    ? std::pow(shape.base, -2.0 * double(i) / double(shape.rope_dim)) / shape.factor
                    : shape.theta[i];
            const double angle = double(pos + head / row) * theta;
            const double c = shape.magnitude * std::cos(angle), s = shape.magnitude * std::sin(angle);
            const size_t a = head + shape.first + (shape.rope == Rope::halves ? i : 2 * i);
            const size_t b = shape.rope == Rope::halves ? a + half : a + 1;
            y[a] = x[a] * c - x[b] * s;
            y[b] = x[a] * s + x[b] * c;
        }
    return y;
}

Values rope_theta(const ModelSpec& m, size_t n_ctx, bool windowed) {
    const double d = m.rope_dim, pi = std::numbers::pi;
    const size_t original = m.rope_original_ctx ? m.rope_original_ctx : m.n_ctx;
    Values thetas;
    for (size_t i = 0; i < m.rope_dim / 2; ++i) {
        const double exponent = -2.0 * double(i) / d, theta = std::pow(m.rope_base, exponent);
        const double s = m.rope_factor;
        if (windowed && m.window_rope_base > 0) {
            thetas.push_back(std::pow(m.window_rope_base, exponent));
        } else if (m.rope_scaling == RopeScaling::linear) {
            thetas.push_back(theta / s);
        } else if (m.rope_scaling == RopeScaling::ntk) {
            thetas.push_back(theta * std::pow(s, exponent * d / (d - 2)));
        } else if (m.rope_scaling == RopeScaling::dynamic) {
            const double stretch = n_ctx > original ? s * double(n_ctx) / double(original) - (s - 1) : 1;
            thetas.push_back(theta * std::pow(stretch, exponent * d / (d - 2)));
        } else if (m.rope_scaling == RopeScaling::factors) {
            const bool beyond = n_ctx > original && !m.rope_long_factors.empty();
            thetas.push_back(theta / s / (beyond ? m.rope_long_factors : m.rope_factors)[i]);
        } else if (m.rope_scaling == RopeScaling::yarn) {
            // the dimension whose wavelength fits beta times into the original length
            const auto dimension = [&](double beta) {
                return d / 2 * std::log(double(original) / (2 * pi * beta)) / std::log(m.rope_base);
            };
            const double first = std::max(std::floor(dimension(m.rope_beta_fast)), 0.0);
            const double last = std::min(std::ceil(dimension(m.rope_beta_slow)), d - 1);
            double kept = 1 - (double(i) - first) / std::max(last - first, 0.001);
            kept = std::min(1.0, std::max(0.0, kept));
            thetas.push_back(kept * theta + (1 - kept) * theta / s);
        } else {
            thetas.push_back(theta);
        }
    }
    return thetas;
}

Values softcap(View x, double cap) {
    Values y(x.begin(), x.end());
    if (cap > 0)
        for (double& value : y) value = cap * std::tanh(value / cap);
    return y;
}

Routes route(const ModelSpec& m, View scores, View bias) {
    require(scores.size() == m.n_experts && (bias.empty() || bias.size() == m.n_experts),
            "route: shapes do not fit");
    const Values p = m.router == Router::softmax ? softmax(scores) : activate(Activation::sigmoid, scores);
    const Values keys = bias.empty() ? p : add(p, bias);
    Routes routes;
    for (size_t e = 0; e < keys.size(); ++e) routes.experts.push_back(e);
    std::stable_sort(routes.experts.begin(), routes.experts.end(),
                     [&](size_t a, size_t b) { return keys[a] > keys[b]; });
    routes.experts.resize(m.n_experts_used);
    double sum = 0;
    for (const size_t e : routes.experts) sum += p[e];
    for (const size_t e : routes.experts)
        routes.weights.push_back(m.router_scale * p[e] / (m.router_norm ? sum : 1));
    return routes;
}

double round_to_half(double x) {
    if (x == 0 || !std::isfinite(x)) return x;
    // 11 bits of significand; below 2^-14 the step stays that of the smallest normal number (IEEE 754,
    // table 3.5).
    const double step = std::ldexp(1.0, std::max(std::ilogb(x), -14) - 10);
    const double rounded = std::nearbyint(x / step) * step; // the default rounding mode: ties to even
    return std::abs(rounded) < 65536 ? rounded : std::copysign(std::numeric_limits<double>::infinity(), x);
}

Values through_cache(View x, KvType type, size_t head_dim) {
    require(head_dim > 0 && x.size() % head_dim == 0, "through_cache: shapes do not fit");
    Values y(x.begin(), x.end());
    if (type == KvType::f32)
        for (double& value : y) value = float(value);
    if (type == KvType::f16)
        for (double& value : y) value = round_to_half(value);
    if (type != KvType::q8_0) return y;
    for (size_t row = 0; row < x.size(); row += head_dim)
        for (size_t block = 0; block < head_dim; block += 32) {
            const size_t begin = row + block, end = row + std::min(block + 32, head_dim);
            double largest = 0;
            for (size_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(x[i]));
            const double d = round_to_half(largest / 127);
            for (size_t i = begin; i < end; ++i)
                y[i] = d == 0 ? 0 : d * std::clamp(std::round(x[i] / d), -127.0, 127.0);
        }
    return y;
}

Values alibi_slopes(size_t n_heads, double max_bias) {
    require(n_heads > 0, "alibi_slopes: no heads");
    size_t power = 1;
    while (power * 2 <= n_heads) power *= 2;
    Values slopes;
    for (size_t h = 0; h < power; ++h) slopes.push_back(std::exp2(-max_bias * double(h + 1) / double(power)));
    for (size_t h = 0; h < n_heads - power; ++h)
        slopes.push_back(std::exp2(-max_bias * double(2 * h + 1) / double(2 * power)));
    return slopes;
}

Attention attention(View q, View k, View v, const AttentionShape& shape) {
    const size_t n_heads = shape.n_heads, n_kv_heads = shape.n_kv_heads, head_dim = shape.head_dim;
    const size_t value_dim = shape.value_dim ? shape.value_dim : head_dim;
    const double divisor = shape.scale > 0 ? 1 / shape.scale : std::sqrt(double(head_dim));
    require(n_kv_heads > 0 && n_heads % n_kv_heads == 0, "attention: n_kv_heads must divide n_heads");
    require(head_dim > 0 && q.size() % (n_heads * head_dim) == 0 && k.size() % (n_kv_heads * head_dim) == 0 &&
                v.size() / value_dim == k.size() / head_dim &&
                (shape.slopes.empty() || shape.slopes.size() == n_heads),
            "attention: shapes do not fit");
    const size_t n_tokens = q.size() / (n_heads * head_dim), n_kv = k.size() / (n_kv_heads * head_dim);
    require(n_tokens == 0 || shape.pos + n_tokens <= n_kv, "attention: a query's own key is missing");
    const size_t group = n_heads / n_kv_heads;

    Attention result;
    result.o.assign(n_tokens * n_heads * value_dim, 0);
    result.probabilities.assign(n_tokens * n_heads * n_kv, 0);
    for (size_t t = 0; t < n_tokens; ++t)
        for (size_t h = 0; h < n_heads; ++h) {
            const size_t i = shape.pos + t, row = t * n_heads + h;
            const size_t first = shape.window == 0 || i < shape.window ? 0 : i - shape.window + 1;
            double* p = &result.probabilities[row * n_kv];
            double max = -std::numeric_limits<double>::infinity(), sum = 0;
            for (size_t j = first; j <= i; ++j) {
                p[j] =
                    dot(&q[row * head_dim], &k[(j * n_kv_heads + h / group) * head_dim], head_dim) / divisor;
                p[j] = softcap(View(&p[j], 1), shape.softcap)[0];
                if (!shape.slopes.empty()) p[j] -= shape.slopes[h] * double(i - j);
                max = std::max(max, p[j]);
            }
            for (size_t j = first; j <= i; ++j) sum += p[j] = std::exp(p[j] - max);
            for (size_t j = first; j <= i; ++j) {
                p[j] /= sum;
                for (size_t c = 0; c < value_dim; ++c)
                    result.o[row * value_dim + c] += p[j] * v[(j * n_kv_heads + h / group) * value_dim + c];
            }
            result.max.push_back(max);
            result.sum.push_back(sum);
        }
    return result;
}

Values softmax(View x) {
    require(!x.empty(), "softmax: nothing");
    const double max = *std::max_element(x.begin(), x.end());
    Values y(x.begin(), x.end());
    double sum = 0;
    for (double& value : y) sum += value = std::exp(value - max);
    for (double& value : y) value /= sum;
    return y;
}

} // namespace kvasir::reference
