#include "tests/kernels/attention_data.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {
namespace {

ModelSpec spec_of(const AttentionCase& one) {
    ModelSpec m = attention_spec(one.n_heads, one.n_kv_heads, one.head_dim);
    m.window = one.window;
    if (one.alibi) m.alibi_max_bias = 8;
    m.attention_softcap = one.softcap;
    m.kv_lora_rank = one.value_dim;
    return m;
}

uint32_t first_visible_of(const AttentionCase& one) {
    return one.window == 0 || one.pos < one.window ? 0 : one.pos - one.window + 1;
}

} // namespace

std::string name_of(KvType type) {
    switch (type) {
    case KvType::f32: return "F32";
    case KvType::f16: return "F16";
    case KvType::q8_0: return "Q8_0";
    }
    return "";
}

AttentionData::AttentionData(Device& device, Random random, const AttentionCase& one)
    : m(spec_of(one)), n_keys(one.pos + one.n_tokens), first_visible(first_visible_of(one)),
      value_dim(m.value_dim()),
      q(random.values(uint64_t(one.n_tokens) * one.n_heads * one.head_dim, -one.score_size, one.score_size)),
      shuffled(device, m, one.type, n_keys + 40, random, first_visible),
      queries(input_rows(device, q, one.n_heads * one.head_dim)) {
    k.assign(uint64_t(n_keys) * one.n_kv_heads * one.head_dim, 0);
    v.assign(uint64_t(n_keys) * one.n_kv_heads * value_dim, 0);
    for (uint32_t pos = first_visible; pos < n_keys; ++pos)
        for (uint32_t head = 0; head < one.n_kv_heads; ++head) {
            const uint64_t row = uint64_t(pos) * one.n_kv_heads + head;
            const auto kept = [&](bool is_v) {
                if (!is_v || !m.latent()) shuffled.image.store(is_v, pos, head, random.values(one.head_dim));
                return shuffled.image.load(is_v && !m.latent(), pos, head);
            };
            std::copy_n(kept(false).begin(), one.head_dim, k.begin() + std::ptrdiff_t(row * one.head_dim));
            std::copy_n(kept(true).begin(), value_dim, v.begin() + std::ptrdiff_t(row * value_dim));
        }
    shuffled.image.upload(device, shuffled.cache, 1);
    Values slopes;
    if (one.alibi) {
        for (const double slope : reference::alibi_slopes(one.n_heads, m.alibi_max_bias))
            slopes.push_back(static_cast<float>(slope));
        scratch.slopes = upload(device, slopes);
    }
    expected = reference::attention(
        q, k, v,
        {one.n_heads, one.n_kv_heads, one.head_dim, one.pos, one.window, slopes, 0, one.softcap, value_dim});
}

/// score = q . k * scale - slope * distance: by Higham 2002, section 3.1, at most head_dim + 4 roundings of
/// the sum of the products' sizes (the scale's own rounding, its product, and one for a block's scale), and
/// two of the bias. exp(score - max) then is off by what both scores are off, relative, a rounding of their
/// difference, and 3 + 2 |score - max| ulp (Vulkan specification, "Precision and Operation of SPIR-V
/// Instructions"). Rescaling to a new maximum happens no more than once a key and is such an exponential too;
/// where the maximum stays it is of 0: 3 ulp.
AttentionData::RowBounds AttentionData::bounds(const AttentionCase& one, uint32_t token,
                                               uint32_t head) const {
    const uint32_t row = token * one.n_heads + head, kv_head = head / (one.n_heads / one.n_kv_heads);
    const double scale = 1 / std::sqrt(double(one.head_dim));
    const double slope = one.alibi ? reference::alibi_slopes(one.n_heads, m.alibi_max_bias)[head] : 0;
    RowBounds result{Values(n_keys), Values(n_keys)};
    Values scores(n_keys);
    for (uint32_t j = first_visible; j < n_keys; ++j) {
        if (expected.probabilities[uint64_t(row) * n_keys + j] == 0) continue;
        double dots = 0, sizes = 0;
        for (uint32_t c = 0; c < one.head_dim; ++c) {
            const double product = q[uint64_t(row) * one.head_dim + c] * scale *
                                   k[(uint64_t(j) * one.n_kv_heads + kv_head) * one.head_dim + c];
            dots += product;
            sizes += std::abs(product);
        }
        const double bias = slope * (one.pos + token - j), off = rounding * (one.head_dim + 4) * sizes;
        scores[j] = reference::softcap(View(&dots, 1), one.softcap)[0] - bias;
        result.score[j] = off + rounding * (2 * bias + std::abs(scores[j]));
        if (one.softcap > 0) { // its slope is at most 1; its own evaluation as in limit_test.cpp
            const double z = 2 * std::abs(dots) / one.softcap;
            result.score[j] += one.softcap * ulp * (2 * std::exp(-z) * (3 + 7 * z) + 6);
        }
        result.of_scores = std::max(result.of_scores, result.score[j]);
    }
    for (uint32_t j = first_visible; j < n_keys; ++j) {
        const double p = expected.probabilities[uint64_t(row) * n_keys + j];
        if (p == 0) continue;
        const double distance = expected.max[row] - scores[j];
        result.relative[j] = result.score[j] + result.of_scores + ulp * (3 + 3 * distance);
        result.of_average += p * result.relative[j];
    }
    return result;
}

} // namespace kvasir::kernels
