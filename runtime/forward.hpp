#pragma once

#include "runtime/ops.hpp"

namespace kvasir {

/// Activations of a step of at most n_tokens tokens, and what stays the same between steps.
struct Scratch {
    Rows x, h, qkv, q, o, up, logits; ///< logits has one row, of the step's last token
    Rows branch;                      ///< what a branch writes where it is normed before it is added
    Rows q_latent, q_heads, values;   ///< latent attention
    Rows scores, weights, expert_up, expert_out, shared_up, shared_out, shared_weight; ///< experts
    Buffer chosen;                                                                     ///< their numbers
    AttentionScratch attention;
    Buffer angles, window_angles; ///< RoPE: (cos, sin) [n_ctx, rope_dim / 2]; those of layers with a window,
                                  ///< where they differ
    Buffer ids; ///< [n_ctx + 1]: the sequence; a step reads ids[pos...] and sample writes behind them
    Buffer penalised, state, none;
};

/// Throws Error where the device has too little memory.
Scratch make_scratch(Device& device, const ModelSpec& m, const Tuning& tuning, uint32_t n_ctx,
                     uint32_t n_tokens);

/// How many parts a decoded token's keys are read in, for a cache of up to n_keys positions.
uint32_t attention_splits(const Tuning& tuning, uint32_t n_keys);

/// What a step leaves behind for a probe: attention probabilities of `layer` in `probs`
/// [n_tokens, n_heads, n_keys].
struct ProbeRequest {
    uint32_t layer;
    const Buffer* probs;
    uint32_t n_keys;
};

/// What a step does beside the model itself.
struct StepExtras {
    uint32_t n_splits = 1; ///< attention_splits() of the longest sequence it will be replayed at
    std::span<const ProbeRequest> probes = {};
    const Rows* all_logits = nullptr; ///< logits of every token, [n_tokens, n_vocab]
};

/// Records the model: logits of the step's tokens, whose ids and position are in the scratch memory, and
/// their keys and values in the cache. Prompt and decode are the same with another n_tokens. Source: Vaswani
/// et al. 2017, section 3, with the choices of ModelSpec.
void forward(const Step& step, const ModelSpec& m, const Weights& w, const Scratch& s, const KvCache& cache,
             const StepExtras& extras = {});

} // namespace kvasir
