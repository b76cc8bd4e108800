#include "runtime/model_spec.hpp"

#include "runtime/error.hpp"

#include <bit>
#include <cassert>
#include <cmath>
#include <type_traits>

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

std::string text_of(uint32_t value) {
    return std::to_string(value);
}
std::string text_of(double value) {
    return shown(value);
}

template <class Number>
void within(const ModelSpec& spec, const char* name, Number value, std::type_identity_t<Number> low,
            std::type_identity_t<Number> high) {
    if (!(value >= low && value <= high)) // false for NaN too
        contradiction(spec, std::string(name) + " is " + text_of(value) + ", not between " + text_of(low) +
                                " and " + text_of(high));
}

} // namespace

double ModelSpec::score_scale() const {
    return attention_scale > 0 ? attention_scale : 1 / std::sqrt(static_cast<double>(head_dim));
}

uint64_t ModelSpec::attention_parameters() const {
    const uint64_t d = d_model;
    if (latent()) {
        const uint64_t d_q = uint64_t{n_heads} * mla_key_dim, d_v = uint64_t{n_heads} * mla_value_dim;
        const uint64_t q = q_lora_rank ? q_lora_rank * (d + d_q) : d * d_q;
        const uint64_t kv = kv_lora_rank * (d_q - uint64_t{n_heads} * rope_dim + d_v);
        return q + d * head_dim + kv + d_v * d;
    }
    const uint64_t d_q = uint64_t{n_heads} * head_dim, d_kv = uint64_t{n_kv_heads} * head_dim;
    const uint64_t weights = d * (d_q + 2 * d_kv) + d_q * d;
    return weights + (qkv_bias ? d_q + 2 * d_kv : 0) + (o_bias ? d : 0);
}

uint64_t ModelSpec::parameters() const {
    const uint64_t d = d_model, norm_size = d * (norm_bias ? 2 : 1);
    const uint64_t n_inner = gated ? 2 : 1; // gate and up, or up alone
    const uint64_t dense = (n_inner + 1) * d * d_ff + (ffn_bias ? n_inner * d_ff + d : 0);
    const uint64_t experts = n_experts * (d + (router_bias ? 1 : 0) + (n_inner + 1) * d * d_expert) +
                             (n_inner + 1) * d * d_shared + (shared_gate ? d : 0);
    uint64_t qk_norms = qk_norm == QkNorm::none   ? 0
                        : qk_norm == QkNorm::head ? 2 * uint64_t{head_dim}
                                                  : uint64_t{n_heads + n_kv_heads} * head_dim;
    qk_norms *= qk_norm_bias ? 2 : 1;
    if (latent()) qk_norms = kv_lora_rank + q_lora_rank;
    const uint64_t n_norms =
        (pre_norm ? (parallel && !parallel_norms ? 1 : 2) : 0) + (branch_norm ? 2 : 0) + (post_norm ? 2 : 0);
    const uint64_t layer = attention_parameters() + qk_norms + n_norms * norm_size;
    const uint64_t n_dense = n_experts > 0 ? n_dense_layers : n_layers;
    const uint64_t embeddings = uint64_t{n_vocab} * d * (tied ? 1 : 2) + (head_bias ? n_vocab : 0) +
                                (learned_positions ? n_ctx * d : 0) + (embedding_norm ? norm_size : 0);
    return embeddings + n_layers * layer + n_dense * dense + (n_layers - n_dense) * experts +
           (final_norm ? norm_size : 0);
}

uint64_t ModelSpec::kv_bytes_per_token(KvType type) const {
    uint64_t head_bytes = 0;
    switch (type) {
    case KvType::f16: head_bytes = padded(head_dim, 8) * 2; break;
    case KvType::f32: head_bytes = padded(head_dim, 4) * 4; break;
    case KvType::q8_0: head_bytes = padded(head_dim, 32) / 32 * 34; break;
    }
    return (latent() ? 1 : 2) * uint64_t{n_layers} * n_kv_heads * head_bytes;
}

void ModelSpec::validate() const {
    // Far beyond any model there is, and small enough that no product of them overflows 64 bits.
    within(*this, "n_layers", n_layers, 1, 1024);
    within(*this, "n_heads", n_heads, 1, 1024);
    within(*this, "n_kv_heads", n_kv_heads, 1, 1024);
    within(*this, "head_dim", head_dim, 1, latent() ? 1024 : 512); // what the attention kernel holds
    within(*this, "d_model", d_model, 1, 1u << 17);
    within(*this, "d_ff", d_ff, 1, 1u << 20);
    within(*this, "n_vocab", n_vocab, 1, 1u << 24);
    within(*this, "n_ctx", n_ctx, 1, 1u << 24);
    if (n_heads % n_kv_heads != 0)
        contradiction(*this, "n_heads " + std::to_string(n_heads) + " is not divisible by n_kv_heads " +
                                 std::to_string(n_kv_heads));
    within(*this, "norm_eps", norm_eps, 0.0, 0.1);
    within(*this, "alibi_max_bias", alibi_max_bias, 0.0, 1000.0);
    within(*this, "window_period", window_period, 1, 1024);
    within(*this, "qkv_clamp", qkv_clamp, 0.0, 1e6);
    within(*this, "attention_scale", attention_scale, 0.0, 1e3);
    within(*this, "attention_softcap", attention_softcap, 0.0, 1e6);
    within(*this, "logit_softcap", logit_softcap, 0.0, 1e6);
    within(*this, "embedding_scale", embedding_scale, 1e-6, 1e6);
    if (norm == Norm::rms && norm_bias) contradiction(*this, "RMSNorm has a bias, which it never has");
    if (gated && activation == Activation::none) contradiction(*this, "the gate has no activation");
    if (parallel && post_norm)
        contradiction(*this, "a parallel block has a norm of the sum after each of its branches");
    if (parallel && !pre_norm) contradiction(*this, "parallel branches have no norm before them");
    if (branch_norm && post_norm)
        contradiction(*this, "branches are normed both before and after they are added");
    if (tied && head_bias) contradiction(*this, "a tied head has a bias");
    if (parallel_norms && !(parallel && pre_norm))
        contradiction(*this, "a block without two norms before parallel branches is said to have them");
    if (rope != Rope::none) validate_rope();
    if (latent()) validate_latent();
    if (n_experts > 0) validate_experts();
}

void ModelSpec::validate_rope() const {
    within(*this, "rope_dim", rope_dim, 2, head_dim);
    if (rope_dim % 2 != 0)
        contradiction(*this,
                      "rope_dim is " + std::to_string(rope_dim) + ", and RoPE rotates pairs of values");
    within(*this, "rope_base", rope_base, 1.0, 1e12);
    within(*this, "rope_factor", rope_factor, 1e-3, 1e6);
    within(*this, "rope_magnitude", rope_magnitude, 1e-3, 1e3);
    within(*this, "rope_beta_slow", rope_beta_slow, 1e-3, 1e6);
    within(*this, "rope_beta_fast", rope_beta_fast, rope_beta_slow, 1e6);
    within(*this, "rope_original_ctx", rope_original_ctx, 0, 1u << 24);
    if (window_rope_base != 0) within(*this, "window_rope_base", window_rope_base, 1.0, 1e12);
    if (rope_scaling == RopeScaling::none && rope_factor != 1)
        contradiction(*this, "rope_factor is " + shown(rope_factor) + " without RoPE scaling");
    if (rope_scaling == RopeScaling::ntk && rope_dim == 2)
        contradiction(*this, "rope_dim is 2, whose one frequency no stretched base divides");
    const bool listed = rope_scaling == RopeScaling::factors;
    if ((listed && rope_factors.size() != rope_dim / 2) || (!listed && !rope_factors.empty()) ||
        (!rope_long_factors.empty() && rope_long_factors.size() != rope_factors.size()))
        contradiction(*this, std::to_string(rope_factors.size()) + " RoPE factors (" +
                                 std::to_string(rope_long_factors.size()) +
                                 " for long contexts) are given for " + std::to_string(rope_dim / 2) +
                                 " frequencies");
    for (const auto* factors : {&rope_factors, &rope_long_factors})
        for (const double factor : *factors) within(*this, "a RoPE factor", factor, 1e-3, 1e6);
}

void ModelSpec::validate_latent() const {
    within(*this, "kv_lora_rank", kv_lora_rank, 4, 1024);
    within(*this, "q_lora_rank", q_lora_rank, 0, 1u << 16);
    within(*this, "mla_key_dim", mla_key_dim, rope_dim + 1, 1024);
    within(*this, "mla_value_dim", mla_value_dim, 1, 1024);
    if (rope == Rope::none || n_kv_heads != 1 || head_dim != kv_lora_rank + rope_dim)
        contradiction(*this, "keys of latent attention are " + std::to_string(n_kv_heads) + " of " +
                                 std::to_string(head_dim) + " values, not one of kv_lora_rank " +
                                 std::to_string(kv_lora_rank) + " + rope_dim " + std::to_string(rope_dim));
    if (mla_key_dim % 4 != 0 || kv_lora_rank % 4 != 0)
        contradiction(*this, "mla_key_dim " + std::to_string(mla_key_dim) + " or kv_lora_rank " +
                                 std::to_string(kv_lora_rank) + " is not a multiple of 4");
    if (qk_norm != QkNorm::none || qkv_bias || o_bias || qkv_clamp > 0 || attention_scale <= 0)
        contradiction(*this, "latent attention has biases, a clamp, norms of q and k, or no scale");
}

void ModelSpec::validate_experts() const {
    within(*this, "n_experts", n_experts, 1, 1024);
    within(*this, "n_experts_used", n_experts_used, 1, n_experts);
    within(*this, "n_dense_layers", n_dense_layers, 0, n_layers);
    within(*this, "d_expert", d_expert, 1, 1u << 20);
    within(*this, "d_shared", d_shared, 0, 1u << 20);
    within(*this, "router_scale", router_scale, 1e-3, 1e3);
    if (shared_gate && d_shared == 0)
        contradiction(*this, "a shared expert has a gate, and there is no shared expert");
    if (ffn_bias) contradiction(*this, "experts have biases");
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
