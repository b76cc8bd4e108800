#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

enum class Rope { none, halves, pairs };
enum class Norm { layer, rms };
enum class Activation { none, relu, gelu_tanh, gelu_erf, silu, sigmoid };
enum class KvType { f16, f32, q8_0 };

/// How RoPE frequencies differ from base^(-2i/d); runtime/rope.hpp has the formulas.
enum class RopeScaling {
    none,
    linear, ///< all divided by rope_factor
    ntk,    ///< the base stretched, so that the slowest is divided by rope_factor
    dynamic, ///< the base stretched by as much as a context longer than the trained one needs
    yarn,   ///< slow ones divided, fast ones kept, a ramp between; cos and sin grow with the factor
    factors ///< each divided by its own number
};

/// RMSNorm or LayerNorm of queries and keys before RoPE.
enum class QkNorm {
    none,
    head,  ///< each head by itself, all with the same weights [head_dim]
    heads, ///< each head by itself, with weights of its own [n_heads, head_dim]
    row    ///< all heads of a token together [n_heads * head_dim]
};

/// What turns an expert's score into its probability.
enum class Router { softmax, sigmoid };

/// A model's shape: orthogonal choices and numbers, nothing a family decides by name. forward() reads only
/// this.
struct ModelSpec {
    std::string family{}; ///< "llama"
    std::string name{};   ///< general.name, or ""

    uint32_t n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, d_model = 0, d_ff = 0, n_vocab = 0;
    uint32_t n_ctx = 0; ///< the length it was trained for

    bool learned_positions = false;
    Rope rope = Rope::none;
    uint32_t rope_dim = 0; ///< that many entries of a head are rotated: the first, or MLA's last
    double rope_base = 10000;
    RopeScaling rope_scaling = RopeScaling::none;
    double rope_factor = 1;
    uint32_t rope_original_ctx = 0; ///< yarn, factors: the length before scaling; 0: n_ctx
    double rope_magnitude = 1;      ///< cos and sin times this, beside what yarn multiplies them with
    double rope_beta_fast = 32, rope_beta_slow = 1; ///< yarn: turns within rope_original_ctx
    std::vector<double> rope_factors{},
        rope_long_factors{};     ///< factors [rope_dim / 2]; long ones, where there
                                 ///< are any, for contexts over rope_original_ctx
    double window_rope_base = 0; ///< of layers with a window, without scaling; 0: as the others
    double alibi_max_bias = 0;   ///< 0: no ALiBi; may stand beside RoPE

    Norm norm = Norm::rms;
    double norm_eps = 1e-5;
    bool norm_bias = false;
    bool embedding_norm = false; ///< BLOOM
    bool pre_norm = true;        ///< f(norm(x))
    bool branch_norm = false;    ///< x + norm(f(x))
    bool post_norm = false;      ///< norm(x + f(x))
    bool final_norm = true;      ///< before the head

    Activation activation = Activation::silu;
    bool gated = true;
    bool parallel = false;       ///< x + attn(norm(x)) + ffn(norm(x))
    bool parallel_norms = false; ///< each branch of a parallel block has its own norm

    uint32_t window = 0;        ///< sliding window: key j is seen from i when i - j < window; 0: all
    uint32_t window_period = 1; ///< over 1: every window_period-th layer sees all
    QkNorm qk_norm = QkNorm::none;
    bool qk_norm_bias = false;
    bool qkv_bias = false, o_bias = false, ffn_bias = false, head_bias = false;
    bool tied = false; ///< the head is the token embedding

    double embedding_scale = 1;
    double qkv_clamp = 0;         ///< q, k and v kept within +-qkv_clamp; 0: as they are
    double attention_scale = 0;   ///< of q . k; 0: 1 / sqrt(head_dim)
    double attention_softcap = 0; ///< scores become cap tanh(score / cap), before ALiBi; 0: as they are
    double logit_softcap = 0;     ///< logits alike

    /// Multi-head latent attention: the cache holds one KV head a layer, whose keys are the normed latent
    /// [kv_lora_rank] and a rotated part [rope_dim] (head_dim is their sum, n_kv_heads 1) and whose values
    /// are the latent. 0: none. Source: DeepSeek-AI 2024 (DeepSeek-V2), section 2.1.
    uint32_t kv_lora_rank = 0;
    uint32_t q_lora_rank = 0;   ///< queries come through a normed latent too; 0: straight from x
    uint32_t mla_key_dim = 0;   ///< of a head as it was trained: an unrotated part, then rope_dim entries
    uint32_t mla_value_dim = 0; ///< of a head as it was trained

    uint32_t n_experts = 0; ///< of each layer from n_dense_layers on; 0: none
    uint32_t n_experts_used = 0, n_dense_layers = 0;
    uint32_t d_expert = 0;    ///< an expert's d_ff
    uint32_t d_shared = 0;    ///< d_ff of the expert that every token uses; 0: none
    bool shared_gate = false; ///< its output times sigmoid(g . h)
    Router router = Router::softmax;
    bool router_bias = false; ///< added to probabilities for the choice of experts, not for their weights
    bool router_norm = true;  ///< weights of the experts used add up to 1
    double router_scale = 1;  ///< all weights times this

    /// What one layer differs by.
    uint32_t window_of(uint32_t layer) const {
        return window_period > 1 && (layer + 1) % window_period == 0 ? 0 : window;
    }
    /// Positions further back than this are seen by no layer; 0: all are seen by some.
    uint32_t longest_window() const { return window_period > 1 ? 0 : window; }
    bool has_experts(uint32_t layer) const { return n_experts > 0 && layer >= n_dense_layers; }

    /// Entries of a cached value; those of a cached key are head_dim.
    uint32_t value_dim() const { return kv_lora_rank ? kv_lora_rank : head_dim; }
    /// The values of a layer are the first entries of its keys.
    bool latent() const { return kv_lora_rank > 0; }
    /// Vectors of head_dim that a token has before RoPE: queries, keys, values.
    uint32_t qkv_heads() const { return n_heads + (latent() ? 1 : 2) * n_kv_heads; }
    double score_scale() const;

    bool operator==(const ModelSpec&) const = default;

    /// Parameters of one layer's attention: q, k, v, o and their biases.
    uint64_t attention_parameters() const;
    /// All parameters, embeddings and norms included; a tied head counts once.
    uint64_t parameters() const;
    /// Bytes of keys and values that one token adds to the cache, all layers; each head's are padded to whole
    /// 16-byte words (f16, f32) or to whole blocks of 32 values in 34 bytes (q8_0).
    uint64_t kv_bytes_per_token(KvType type) const;

    /// Throws Error where a number is absurd or two do not fit (n_heads not divisible by n_kv_heads: both
    /// named).
    void validate() const;

  private:
    void validate_rope() const;
    void validate_latent() const;
    void validate_experts() const;
};

/// ALiBi's slope of each head: 2^(-max_bias (h+1)/n) for n a power of two, else the two-series rule.
/// Source: Press et al. 2021, section 3, and the authors' code for other n.
std::vector<float> alibi_slopes(uint32_t n_heads, double max_bias);

} // namespace kvasir
