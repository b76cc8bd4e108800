#pragma once

#include "runtime/model_spec.hpp"

#include <vector>

namespace kvasir {

/// RoPE turns the pair i of a head at position pos by pos * theta[i], and multiplies it by magnitude.
struct RopeTable {
    std::vector<double> theta; ///< [rope_dim / 2]
    double magnitude = 1;
};

/// The frequencies of a model that is run with a context of n_ctx; `windowed`: those of its layers with a
/// window. m.rope is not none. Sources: Su et al. 2021, section 3.2.2; linear: Chen et al. 2023, equation 4;
/// dynamic: the same, section 3.3, and transformers' modeling_rope_utils.py; ntk and yarn: Peng et al. 2023, definition 1 and equations 17 to 23.
RopeTable rope_table(const ModelSpec& m, uint32_t n_ctx, bool windowed = false);

/// The factors of Llama 3.1's scaling, for RopeScaling::factors: frequencies that turn less than
/// low_freq_factor times within original_ctx are divided by `factor`, those that turn more than
/// high_freq_factor times are kept, the ones between by linear interpolation of 1 / factor. Source: Meta,
/// Llama 3.1 model code.
std::vector<double> llama3_rope_factors(uint32_t rope_dim, double base, double factor, double low_freq_factor,
                                        double high_freq_factor, uint32_t original_ctx);

} // namespace kvasir
