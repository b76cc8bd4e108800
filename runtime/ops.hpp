#pragma once

#include "runtime/gpu/commands.hpp"
#include "runtime/kv_cache.hpp"
#include "runtime/model_spec.hpp"
#include "runtime/tuning.hpp"
#include "runtime/weights.hpp"

namespace kvasir {

/// Activations [n_tokens, width]: float32 rows `stride` values apart. The values between width and stride are
/// zero and stay so: matrices read whole chunks.
struct Rows {
    Buffer buffer;
    uint32_t width = 0, stride = 0;
};

/// Zero-filled, its stride padded as matrices read it.
Rows make_rows(Device& device, uint32_t n_tokens, uint32_t width, const std::string& name);

/// What every operation of a step needs beside its tensors.
struct Step {
    Commands& gpu;
    const Tuning& tuning;
    const Buffer& state; ///< State
    const Buffer& none;  ///< bound where an operation has no bias, no scales, ...
    uint32_t n_tokens;
};

/// Scratch of attention: parts of a split row, and (max, sum) of every row [n_tokens, n_heads].
struct AttentionScratch {
    Buffer slopes; ///< ALiBi, [n_heads]; empty: none
    Buffer stats, parts, part_stats;
};

/// The equations of a model, one function each: checks shapes, picks the variant and the grid, records the
/// dispatch. The mathematics, its source and its layout stand in shaders/<name>.comp.
namespace ops {

/// x = scale E[ids] (+ P[pos...]).
void embed(const Step& step, const Rows& x, const Linear& table, const Buffer& position_embedding,
           const Buffer& ids, double scale = 1);

/// y = norm(x), or y += norm(x).
void norm(const Step& step, const Rows& y, const Rows& x, const NormWeights& w, Norm kind, double eps,
          bool add = false);

/// The w.width entries of x's rows from `first` on normed, in place.
void norm_part(const Step& step, const Rows& x, const NormWeights& w, Norm kind, double eps, uint32_t first);

/// Each head of the first n_heads of x's rows (from head `first` on) normed by itself, in place, all with the
/// same weights [head_dim] or each with its own [n_heads, head_dim].
void norm_heads(const Step& step, const Rows& x, const NormWeights& w, Norm kind, double eps, uint32_t first,
                uint32_t n_heads, uint32_t head_dim);

struct LinearOptions {
    Activation activation = Activation::none;
    bool add = false;        ///< to what y holds: the residual
    bool multiply = false;   ///< with what y holds: an activated gate
    bool last_token = false; ///< only the step's last token, to row 0 of y
    uint32_t first = 0;      ///< entry of y's rows
};
/// y = act(W x + b), gated y = act(W_gate x + b_gate) * (W_up x + b_up).
void linear(const Step& step, const Rows& y, const Linear& w, const Rows& x,
            const LinearOptions& options = {});

struct StackOptions {
    Activation activation = Activation::none;
    bool multiply = false; ///< as in LinearOptions
    uint32_t n_slots = 1;
    const Buffer* chosen = nullptr;  ///< a slot's matrix, [n_tokens, n_slots]; null: slot i has matrix i
    uint32_t x_slot = 0, y_slot = 0; ///< entries between a token's slots; x_slot 0: all read the same
};
/// For each slot of each token, y = act(W x), gated y = act(W_gate x) * (W_up x), with a matrix of its own.
/// Whole chunks of x are read, so that x's buffer goes on for a row behind its last token where slots are
/// narrower than those.
void linear_stack(const Step& step, const Rows& y, const Linear& w, const Rows& x,
                  const StackOptions& options);

/// Experts and their weights for each token, from scores [n_tokens, n_experts].
void route(const Step& step, const Buffer& chosen, const Rows& weights, const Rows& scores,
           const Buffer& bias, const ModelSpec& m);

/// x = (or +=) the sum of weights[slot] y[slot] over the slots, which lie x.width apart.
void add_weighted(const Step& step, const Rows& x, const Rows& y, const Rows& weights, bool add);

/// x = clamp(x, -limit, limit).
void clamp(const Step& step, const Rows& x, double limit);

/// x = cap tanh(x / cap), for the first n_rows rows.
void softcap(const Step& step, const Rows& x, double cap, uint32_t n_rows);

/// RoPE on q and k of qkv [n_tokens, m.qkv_heads() * head_dim]; q to `q`, k and v to the cache.
void rope_store(const Step& step, const Rows& q, const Rows& qkv, const Buffer& angles, const KvCache& cache,
                uint32_t layer, const ModelSpec& m);

/// o = softmax(scale q k^T + bias) v. n_splits > 1 (one token only) shares the keys among
/// workgroups.
void attention(const Step& step, const Rows& o, const AttentionScratch& scratch, const Rows& q,
               const KvCache& cache, uint32_t layer, const ModelSpec& m, uint32_t n_splits);

/// probs [n_tokens, n_heads, n_keys], from the rows' (max, sum) that attention() left.
void attention_probs(const Step& step, const Buffer& probs, const AttentionScratch& scratch, const Rows& q,
                     const KvCache& cache, uint32_t layer, const ModelSpec& m, uint32_t n_keys);

/// norms [2, n_kv_heads, n_keys]: |k|, then |v|; 0 where a sliding window has released the page.
void kv_norms(const Step& step, const Buffer& norms, const KvCache& cache, uint32_t layer, const ModelSpec& m,
              uint32_t n_keys);

/// ids[pos + n_tokens] = a token chosen from logits row 0; pos += n_tokens. The options are in the state
/// buffer.
void sample(const Step& step, const Rows& logits, const Buffer& penalised, const Buffer& ids);

} // namespace ops
} // namespace kvasir
