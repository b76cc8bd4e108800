#pragma once

#include <cstdint>

namespace kvasir {

/// How the next token is chosen. Order: repetition penalty, top-k, top-p, min-p, then temperature; top-p and
/// min-p look at the probabilities before temperature. temperature 0 is greedy.
struct SamplerOptions {
    float temperature = 0.8f;
    uint32_t top_k = 40;         ///< 0: all
    float top_p = 0.95f;         ///< 1: all
    float min_p = 0.05f;         ///< 0: all
    float repeat_penalty = 1.0f; ///< of the last 64 tokens; 1: none
    uint32_t seed = 0;           ///< equal seeds give equal texts on the same device

    bool operator==(const SamplerOptions&) const = default;
};

} // namespace kvasir
