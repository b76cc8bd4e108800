#include "runtime/model_spec.hpp"

#include "runtime/error.hpp"

#include <bit>
#include <cassert>
#include <cmath>

namespace kvasir {

namespace {

/// Values of one head's key as the cache stores them: whole 16-byte words, or whole Q8_0 blocks.
uint64_t padded(uint64_t head_dim, uint64_t unit) {
    return (head_dim + unit - 1) / unit * unit;
}

[[noreturn]] void contradiction(const ModelSpec& spec, const std::string& found) {
    throw Error("checking the shape of " + (spec.family.empty() ? "a" : "the " + spec.family) + " model",
                found, "another copy of the model, or converting it again");
}

void within(const ModelSpec& spec, const char* name, uint64_t value, uint64_t low, uint64_t high) {
    if (value < low || value > high)
        contradiction(spec, std::string(name) + " is " + std::to_string(value) + ", not between " +
                                std::to_string(low) + " and " + std::to_string(high));
}

void within(const ModelSpec& spec, const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high)) // false for NaN too
        contradiction(spec, std::string(name) + " is " + shown(value) + ", not between " + shown(low) +
                                " and " + shown(high));
}

} // namespace

uint64_t ModelSpec::attention_parameters() const {
    const uint64_t d_q = uint64_t{n_heads} * head_dim, d_kv = uint64_t{n_kv_heads} * head_dim;
    const uint64_t weights = d_model * (d_q + 2 * d_kv) + d_q * d_model;
    return weights + (qkv_bias ? d_q + 2 * d_kv : 0) + (o_bias ? d_model : 0);
}

uint64_t ModelSpec::parameters() const {
    const uint64_t norm_size = uint64_t{d_model} * (norm_bias ? 2 : 1);
    const uint64_t n_inner = gated ? 2 : 1; // gate and up, or up alone
    const uint64_t ffn = (n_inner + 1) * d_model * d_ff + (ffn_bias ? n_inner * d_ff + d_model : 0);
    const uint64_t layer = attention_parameters() + ffn + (parallel ? 1 : 2) * norm_size +
                           (qk_norm ? 2 * uint64_t{head_dim} : 0);
    const uint64_t embeddings = uint64_t{n_vocab} * d_model * (tied ? 1 : 2) +
                                (learned_positions ? uint64_t{n_ctx} * d_model : 0) +
                                (embedding_norm ? norm_size : 0);
    return embeddings + n_layers * layer + norm_size;
}

uint64_t ModelSpec::kv_bytes_per_token(KvType type) const {
    uint64_t head_bytes = 0;
    switch (type) {
    case KvType::f16: head_bytes = padded(head_dim, 8) * 2; break;
    case KvType::f32: head_bytes = padded(head_dim, 4) * 4; break;
    case KvType::q8_0: head_bytes = padded(head_dim, 32) / 32 * 34; break;
    }
    return 2 * uint64_t{n_layers} * n_kv_heads * head_bytes;
}

void ModelSpec::validate() const {
    const auto integer = [&](const char* what, uint64_t value, uint64_t low, uint64_t high) {
        within(*this, what, value, low, high);
    };
    const auto real = [&](const char* what, double value, double low, double high) {
        within(*this, what, value, low, high);
    };
    // Far beyond any model there is, and small enough that no product of them overflows 64 bits.
    integer("n_layers", n_layers, 1, 1024);
    integer("n_heads", n_heads, 1, 1024);
    integer("n_kv_heads", n_kv_heads, 1, 1024);
    integer("head_dim", head_dim, 1, 512); // what the attention kernel holds
    integer("d_model", d_model, 1, 1u << 17);
    integer("d_ff", d_ff, 1, 1u << 20);
    integer("n_vocab", n_vocab, 1, 1u << 24);
    integer("n_ctx", n_ctx, 1, 1u << 24);
    if (n_heads % n_kv_heads != 0)
        contradiction(*this, "n_heads " + std::to_string(n_heads) + " is not divisible by n_kv_heads " +
                                 std::to_string(n_kv_heads));
    real("norm_eps", norm_eps, 0, 0.1);
    real("alibi_max_bias", alibi_max_bias, 0, 1000);
    if (norm == Norm::rms && norm_bias) contradiction(*this, "RMSNorm has a bias, which it never has");
    if (gated && activation == Activation::none) contradiction(*this, "the gate has no activation");
    if (rope == Rope::none) return;
    integer("rope_dim", rope_dim, 2, head_dim);
    if (rope_dim % 2 != 0)
        contradiction(*this,
                      "rope_dim is " + std::to_string(rope_dim) + ", and RoPE rotates pairs of values");
    real("rope_base", rope_base, 1, 1e12);
    real("rope_factor", rope_factor, 1e-3, 1e6);
    if (rope_scaling == RopeScaling::none && rope_factor != 1)
        contradiction(*this, "rope_factor is " + shown(rope_factor) + " without RoPE scaling");
}

std::vector<float> alibi_slopes(uint32_t n_heads, double max_bias) {
    assert(n_heads > 0);
    // The largest power of two up to n has the paper's series; the heads beyond it take every second slope of
    // the series of twice as many heads.
    const uint32_t n_regular = std::bit_floor(n_heads);
    std::vector<float> slopes(n_heads);
    for (uint32_t head = 0; head < n_heads; ++head) {
        const double exponent = head < n_regular ? static_cast<double>(head + 1) / n_regular
                                                 : (2.0 * (head - n_regular) + 1) / (2.0 * n_regular);
        slopes[head] = static_cast<float>(std::exp2(-max_bias * exponent));
    }
    return slopes;
}

} // namespace kvasir
