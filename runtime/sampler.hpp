#pragma once

#include <cstdint>
#include <optional>

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

/// What of SamplerOptions somebody chose: a model's makers in its file, a user on the command line.
struct SamplerChoice {
    std::optional<float> temperature = {};
    std::optional<uint32_t> top_k = {};
    std::optional<float> top_p = {}, min_p = {}, repeat_penalty = {};

    /// `options` with what was chosen put in.
    SamplerOptions over(SamplerOptions options) const {
        options.temperature = temperature.value_or(options.temperature);
        options.top_k = top_k.value_or(options.top_k);
        options.top_p = top_p.value_or(options.top_p);
        options.min_p = min_p.value_or(options.min_p);
        options.repeat_penalty = repeat_penalty.value_or(options.repeat_penalty);
        return options;
    }
};

} // namespace kvasir
