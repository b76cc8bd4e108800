#pragma once

#include "runtime/architectures.hpp"
#include "runtime/dtype.hpp"
#include "runtime/gpu/buffer.hpp"
#include "runtime/model_spec.hpp"

#include <functional>
#include <vector>

namespace kvasir {

/// done and total in bytes of the file.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

/// Rows [first_row, first_row + n_rows) of a matrix, packed, in buffers that a binding can hold.
struct LinearPart {
    Buffer weights, scales;
    DType dtype;
    uint32_t first_row, n_rows;
};

/// A matrix [d_out, d_in], or, gated, two of them side by side (gate and up). Rows that follow one another
/// are one part wherever type and size allow.
struct Linear {
    uint32_t d_out = 0, d_in = 0;
    bool gated = false;
    std::vector<LinearPart> parts;
    Buffer bias; ///< [d_out], gated [2 d_out]; empty: none

    explicit operator bool() const { return d_out > 0; }
    uint64_t bytes() const;
};

struct NormWeights {
    uint32_t width = 0;
    Buffer gamma, beta;

    explicit operator bool() const { return width > 0; }
};

struct Layer {
    NormWeights attn_norm, ffn_norm, q_norm, k_norm;
    Linear qkv;  ///< [(n_heads + 2 n_kv_heads) * head_dim, d_model]
    Linear o;    ///< [d_model, n_heads * head_dim]
    Linear up;   ///< [d_ff, d_model], gated where the spec says so
    Linear down; ///< [d_model, d_ff]
};

/// A model's weights on the device, in the shapes forward() reads: it never sees how a file had them.
struct Weights {
    Linear token_embedding;    ///< [n_vocab, d_model]
    Buffer position_embedding; ///< [n_ctx, d_model]; empty: none
    NormWeights embedding_norm, final_norm;
    std::vector<Layer> layers;
    Linear head; ///< [n_vocab, d_model]; empty where it is the token embedding

    const Linear& lm_head() const { return head ? head : token_embedding; }
};

/// Uploads the tensors of a checked file.
Weights load_weights(Device& device, const ModelFile& file, const ModelSpec& spec, const Progress& progress);

/// The matrix of these tensors' rows one below the other, for load_weights and for tests. gated: the first is
/// the gate, the second the up projection. A part's weights take at most max_part_bytes (0: what the device
/// allows), but at least a tile.
Linear make_linear(Device& device, const std::vector<const TensorInfo*>& tensors, bool gated,
                   const std::string& name, uint64_t max_part_bytes = 0);

} // namespace kvasir
