#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/model_spec.hpp"

#include <vector>

namespace kvasir {

/// Latent attention with the projections of keys moved to the queries: q . (W_k c) = (W_k^T q) . c, so that
/// the cached latent c serves as key and value of all heads. Source: DeepSeek-AI 2024 (DeepSeek-V2), section
/// 2.1.2.
struct LatentMatrices {
    /// [n_heads, head_dim, mla_key_dim]: W_k^T over the unrotated part of a query, and the identity over the
    /// part that RoPE will rotate.
    std::vector<float> absorbed;
    std::vector<float> values; ///< W_v, [n_heads, mla_value_dim, kv_lora_rank]
};

/// From kv_b alone, or from k_b and v_b (Role has their shapes).
LatentMatrices latent_matrices(const ModelSpec& m, const std::vector<const TensorInfo*>& tensors);

} // namespace kvasir
