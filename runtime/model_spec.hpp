#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

enum class Rope { none, halves, pairs };
enum class Norm { layer, rms };
enum class Activation { none, relu, gelu_tanh, gelu_erf, silu, sigmoid };
enum class KvType { f16, f32, q8_0 };

/// How RoPE frequencies differ from base^(-2i/d).
enum class RopeScaling { none, linear };

/// A model's shape: orthogonal choices and numbers, nothing a family decides by name. forward() reads only
/// this.
struct ModelSpec {
    std::string family{}; ///< "llama"
    std::string name{};   ///< general.name, or ""

    uint32_t n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, d_model = 0, d_ff = 0, n_vocab = 0;
    uint32_t n_ctx = 0; ///< the length it was trained for

    bool learned_positions = false;
    Rope rope = Rope::none;
    uint32_t rope_dim = 0; ///< the first rope_dim entries of a head are rotated
    double rope_base = 10000;
    RopeScaling rope_scaling = RopeScaling::none;
    double rope_factor = 1;
    double alibi_max_bias = 0; ///< 0: no ALiBi; may stand beside RoPE

    Norm norm = Norm::rms;
    double norm_eps = 1e-5;
    bool norm_bias = false;
    bool embedding_norm = false; ///< BLOOM

    Activation activation = Activation::silu;
    bool gated = true;
    bool parallel = false; ///< x + attn(norm(x)) + ffn(norm(x))

    uint32_t window = 0; ///< sliding window: key j is seen from i when i - j < window; 0: all
    bool qk_norm = false;
    bool qkv_bias = false, o_bias = false, ffn_bias = false;
    bool tied = false; ///< the head is the token embedding

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
};

/// ALiBi's slope of each head: 2^(-max_bias (h+1)/n) for n a power of two, else the two-series rule.
/// Source: Press et al. 2021, section 3, and the authors' code for other n.
std::vector<float> alibi_slopes(uint32_t n_heads, double max_bias);

} // namespace kvasir
