#pragma once

#include "runtime/architectures.hpp"
#include "runtime/dtype.hpp"
#include "runtime/gpu/buffer.hpp"
#include "runtime/model_spec.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvasir {

/// done and total in bytes of the file.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

/// What quantising on load did.
struct Quantised {
    uint32_t n_matrices = 0, n_kept = 0;        ///< those that were quantised; those that stayed as they are
    uint64_t bytes_before = 0, bytes_after = 0; ///< of the quantised ones
};

/// Rows [first_row, first_row + n_rows) of a matrix, packed, in buffers that a binding can hold; of a stack,
/// these rows of some of its matrices, one behind the other.
struct LinearPart {
    Buffer weights, scales;
    DType dtype;
    uint32_t first_row, n_rows;
    uint32_t first_matrix = 0, n_matrices = 1;
};

/// A matrix [d_out, d_in], or, gated, two of them side by side (gate and up). Rows that follow one another
/// are one part wherever type and size allow. A stack has n_matrices of them, all of one shape, without
/// biases: a token's slots choose among them.
struct Linear {
    uint32_t d_out = 0, d_in = 0;
    uint32_t n_matrices = 1;
    bool gated = false;
    std::vector<LinearPart> parts;
    Buffer bias; ///< [d_out], gated [2 d_out]; empty: none
    std::unique_ptr<Linear>
        gate{}; ///< where gate and up differ in type: the gate; the rest is the up projection

    explicit operator bool() const { return d_out > 0; }
    uint64_t bytes() const;
};

struct NormWeights {
    uint32_t width = 0;
    Buffer gamma, beta;

    explicit operator bool() const { return width > 0; }
};

struct Layer {
    NormWeights attn_norm, ffn_norm, attn_post_norm, ffn_post_norm, q_norm, k_norm;
    Linear qkv;  ///< [(n_heads + 2 n_kv_heads) * head_dim, d_model]
    Linear o;    ///< [d_model, n_heads * head_dim], latent [d_model, n_heads * mla_value_dim]
    Linear up;   ///< [d_ff, d_model], gated where the spec says so
    Linear down; ///< [d_model, d_ff]

    // latent attention, in place of qkv
    Linear q_a;      ///< [q_lora_rank, d_model]; empty: q_b reads x
    Linear q_b;      ///< [n_heads * mla_key_dim, q_lora_rank or d_model]
    Linear kv_a;     ///< [head_dim, d_model]: the latent, and the rotated part of keys
    Linear absorbed; ///< n_heads of [head_dim, mla_key_dim]: queries as the cached keys meet them
    Linear values;   ///< n_heads of [mla_value_dim, kv_lora_rank]
    NormWeights q_a_norm, kv_a_norm;

    // experts, in place of up and down
    Linear router; ///< [n_experts, d_model]
    Buffer router_bias;
    Linear expert_up, expert_down; ///< n_experts of [d_expert, d_model] (gated alike), [d_model, d_expert]
    Linear shared_router;          ///< [1, d_model]
    Linear shared_up, shared_down; ///< [d_shared, d_model], [d_model, d_shared]
};

/// A model's weights on the device, in the shapes forward() reads: it never sees how a file had them.
struct Weights {
    Linear token_embedding;    ///< [n_vocab, d_model]
    Buffer position_embedding; ///< [n_ctx, d_model]; empty: none
    NormWeights embedding_norm, final_norm;
    std::vector<Layer> layers;
    Linear head; ///< [n_vocab, d_model]; empty where it is the token embedding
    Quantised quantised;

    const Linear& lm_head() const { return head ? head : token_embedding; }
};

/// Matrices with fewer values are not quantised on load: they would gain nothing.
constexpr uint64_t least_quantised_values = 4096;

/// Uploads the tensors of a checked file. quantize (one of quantised_types): the matrices that the file has
/// as F32, F16 or BF16 and whose rows are whole blocks of that type become it.
Weights load_weights(Device& device, const ModelFile& file, const ModelSpec& spec, const Progress& progress,
                     std::optional<DType> quantize = {});

/// Called with bytes of a file that have been packed and will not be read again soon.
using Release = std::function<void(std::span<const std::byte>)>;

/// The matrix of these tensors' rows one below the other, for load_weights and for tests. gated: the first is
/// the gate, the second the up projection. A part's weights take at most max_part_bytes (0: what the device
/// allows), but at least a tile.
Linear make_linear(Device& device, const std::vector<const TensorInfo*>& tensors, bool gated,
                   const std::string& name, uint64_t max_part_bytes = 0, const Release& release = {});

/// The values of these tensors one behind the other, as float32.
Buffer upload_floats(Device& device, const std::vector<const TensorInfo*>& tensors, const std::string& name);

/// The matrices of tensors [n_matrices, d_out, d_in] as a stack; two tensors: gate and up projections. Parts
/// as in make_linear.
Linear make_stack(Device& device, const std::vector<const TensorInfo*>& tensors, const std::string& name,
                  uint64_t max_part_bytes = 0, const Release& release = {});

} // namespace kvasir
