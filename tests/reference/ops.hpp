#pragma once

#include "runtime/model_spec.hpp"
#include "runtime/sampler.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// The mathematics of every operation in double precision, as plain loops: what the kernels are proven
/// against. All arrays are row-major with the last axis contiguous. A shape that does not fit throws
/// std::logic_error.
namespace kvasir::reference {

using Values = std::vector<double>;
using View = std::span<const double>;

/// x[t] = E[id_t]. table `[n_vocab, d_model]` -> `[n_tokens, d_model]`.
Values embed(View table, std::span<const int32_t> ids, size_t d_model);

/// a + b, element by element; b may be one row that is added to each row of a (a bias, a position).
Values add(View a, View b);

/// y = gamma (x - mean) / sqrt(var + eps) + beta, row by row, var the biased variance; beta may be empty.
/// x `[n_rows, d]`, gamma and beta `[d]`. Source: Ba et al. 2016, eq. 4.
Values layer_norm(View x, View gamma, View beta, double eps);

/// y = gamma x / sqrt(mean(x^2) + eps) + beta, row by row; beta may be empty.
/// x `[n_rows, d]`, gamma and beta `[d]`. Source: Zhang & Sennrich 2019, eq. 4.
Values rms_norm(View x, View gamma, View beta, double eps);

/// y = W x + b; b may be empty. w `[d_out, d_in]`, x `[n_tokens, d_in]`, b `[d_out]` -> `[n_tokens, d_out]`.
Values linear(View w, View x, View b, size_t d_in);

/// One activation. Sources: GELU, Hendrycks & Gimpel 2016, section 2 (erf and tanh forms); SiLU, Elfwing et
/// al. 2017.
double activate(Activation activation, double x);

/// act(u), element by element.
Values activate(Activation activation, View u);

/// act(g) u, element by element: GLU (sigmoid), ReGLU, GEGLU, SwiGLU (silu). Source: Shazeer 2020, eq. 5
/// and 6.
Values activate_gated(Activation activation, View gate, View up);

struct RopeShape {
    Rope rope = Rope::halves;
    size_t n_heads = 1, head_dim = 0;
    size_t rope_dim = 0; ///< even, at most head_dim; the entries after it stay as they are
    double base = 10000;
    double factor = 1;    ///< linear scaling: position / factor
    View theta = {};      ///< frequencies in place of base^(-2i / rope_dim) / factor, `[rope_dim / 2]`
    double magnitude = 1; ///< of the rotated entries
    size_t first = 0;     ///< the first rotated entry of a head
};

/// Rotates entries (a_i, b_i) of each head by the angle (position / factor) base^(-2i / rope_dim), i <
/// rope_dim / 2; they are entries (i, i + rope_dim/2) for halves and (2i, 2i + 1) for pairs. Row t has
/// position pos + t. x `[n_tokens, n_heads, head_dim]`. Source: Su et al. 2021, section 3.2.2; linear factor:
/// Chen et al. 2023, eq. 4.
Values rope(View x, const RopeShape& shape, size_t pos);

/// Frequencies of a model at a context of n_ctx, of its layers with a window where `windowed`. Sources: Chen
/// et al. 2023, eq. 4 (linear); Peng et al. 2023, section 3.1 (ntk), 3.2 and 3.4 (yarn), appendix B.2's
/// scaling by the context's length (dynamic, with transformers' factor beside it); the factors of Llama 3.1
/// and LongRoPE (Ding et al. 2024) come with the model.
Values rope_theta(const ModelSpec& m, size_t n_ctx, bool windowed);

/// cap tanh(x / cap), element by element; cap 0: x. Source: Gemma Team 2024, section 2.
Values softcap(View x, double cap);

/// Which experts a token uses, best first, and their weights; bias may be empty. Source: ModelSpec's
/// router_*; Jiang et al. 2024 (Mixtral), section 2.1; DeepSeek-AI 2024 (V3), section 2.1.2.
struct Routes {
    std::vector<size_t> experts;
    Values weights;
};
Routes route(const ModelSpec& m, View scores, View bias);

/// x rounded to the nearest IEEE 754 binary16, ties to even; beyond 65504 + 16 infinite.
double round_to_half(double x);

/// What the KV cache gives back for x `[n_rows, head_dim]`. f32: x rounded to float32. f16: rounded to
/// binary16. q8_0: blocks of 32 along a row (the last one as if padded with zeros), d = max|x| / 127 rounded
/// to binary16, q = x / d rounded half away from zero and kept within -127..127, value q d.
Values through_cache(View x, KvType type, size_t head_dim);

/// Slope of each head: 2^(-max_bias (h + 1) / n) for a power of two n; else those of the largest power of two
/// m < n, followed by every other one of the series for 2m. Source: Press et al. 2021, section 3, and the
/// authors' code.
Values alibi_slopes(size_t n_heads, double max_bias);

struct AttentionShape {
    size_t n_heads = 1, n_kv_heads = 1, head_dim = 0;
    size_t pos = 0;       ///< position of query 0; key j has position j
    size_t window = 0;    ///< key j is seen from position i when i - j < window; 0: every j <= i
    View slopes = {};     ///< ALiBi, one a query head; empty: none
    double scale = 0;     ///< of q k; 0: 1 / sqrt(head_dim)
    double softcap = 0;   ///< scores become softcap(scale q k) before ALiBi; 0: as they are
    size_t value_dim = 0; ///< entries of a value; 0: head_dim
};

struct Attention {
    Values o;             ///< `[n_tokens, n_heads, value_dim]`
    Values probabilities; ///< `[n_tokens, n_heads, n_kv]`, 0 where a key is masked
    Values max, sum;      ///< `[n_tokens, n_heads]`: the largest score s, and the sum of exp(s - max)
};

/// o = softmax(q k / sqrt(head_dim) - slope (i - j)) v over the keys j that position i sees; query head h
/// reads KV head h / (n_heads / n_kv_heads). q `[n_tokens, n_heads, head_dim]`, k and v `[n_kv, n_kv_heads,
/// head_dim]` (v: value_dim). Sources: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 (groups); Press et al.
/// 2021 (ALiBi).
Attention attention(View q, View k, View v, const AttentionShape& shape);

/// exp(x - max) / sum over all of x.
Values softmax(View x);

/// How many of the last tokens the repetition penalty looks at.
constexpr size_t penalty_window = 64;

/// Each id among the last penalty_window of history, once: l / penalty where l > 0, else l * penalty.
/// Source: Keskar et al. 2019, section 4.1, in the form that also lowers negative logits.
Values penalise(View logits, std::span<const int32_t> history, double penalty);

/// The tokens that may be chosen, most probable first, equal ones by id, with their (penalised) logits.
struct Candidates {
    std::vector<int32_t> ids;
    Values logits;
};

/// Penalty, top-k, top-p, min-p, in this order. top-k keeps k tokens, of equal ones at the border those with
/// lower ids; top-p the fewest of them, most probable first, whose softmax mass (without temperature) reaches
/// top_p; min-p those with p >= min_p p_max. Sources: Fan et al. 2018 (top-k), Holtzman et al. 2019 (top-p),
/// Nguyen et al. 2024 (min-p).
Candidates candidates(View logits, std::span<const int32_t> history, const SamplerOptions& options);

/// -log(-log(u)), u = random_numerator(seed, position, id) / 2^24 (shaders/lib/random.h).
double gumbel(uint32_t seed, uint32_t position, int32_t id);

/// The candidate with the largest logit / temperature + gumbel, which draws from softmax(logits /
/// temperature) (Gumbel-max, Maddison et al. 2014, section 2); temperature 0: the most probable. Equal ones:
/// the lower id.
int32_t choose(const Candidates& from, double temperature, uint32_t seed, uint32_t position);

} // namespace kvasir::reference
