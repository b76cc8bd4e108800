#pragma once

#include "runtime/sampler.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

/// A token that could have come at a place, and what became of it.
struct Candidate {
    enum class Fate : uint8_t { kept, top_k, top_p, min_p }; ///< kept, or the stage that removed it
    int32_t id = 0;
    float p = 0;       ///< softmax of the logits
    float p_final = 0; ///< what the sampler draws from; 0 where removed
    Fate fate = Fate::kept;
};

/// What a sampler does with one row of logits.
struct Candidates {
    std::vector<Candidate> list; ///< the likeliest before penalties, in order
    float chosen_p = 0;          ///< softmax of the logits, of the token that came
    float entropy = 0;           ///< of softmax(logits), in nats
};

/// The n likeliest tokens for logits [n_vocab], and what the stages of SamplerOptions leave of them; history:
/// the ids before, of which the last 64 are penalised. As shaders/sample.comp chooses, but for the noise.
Candidates look_at_choice(std::span<const float> logits, std::span<const int32_t> history,
                          const SamplerOptions& options, int32_t chosen, uint32_t n);

} // namespace kvasir
