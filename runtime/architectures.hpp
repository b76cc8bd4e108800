#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/model_spec.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// What a tensor is in a model. The first group stands once, the others in every layer.
enum class Role : uint8_t {
    token_embedding,
    position_embedding,
    embedding_norm,
    final_norm,
    head,
    rope_factors,
    rope_long_factors,

    attn_norm,
    qkv,
    q,
    k,
    v,
    q_norm,
    k_norm,
    o,
    attn_post_norm, ///< of the branch's output, or of the sum
    // latent attention
    q_a,      ///< x to the latent of queries [q_lora_rank, d_model]
    q_a_norm, ///< its norm
    q_b,      ///< that latent to queries [n_heads * mla_key_dim, q_lora_rank]
    kv_a,     ///< x to the latent of keys and values, and the rotated part of keys
    kv_a_norm,
    kv_b, ///< the latent to each head's unrotated key, then its value [n_heads * (... + ...), kv_lora_rank]
    k_b,  ///< kv_b's keys, transposed [n_heads, kv_lora_rank, mla_key_dim - rope_dim]
    v_b,  ///< kv_b's values [n_heads, mla_value_dim, kv_lora_rank]

    ffn_norm,
    gate,
    up,
    down,
    ffn_post_norm,
    // experts
    router, ///< [n_experts, d_model]
    router_bias,
    expert_gates, ///< [n_experts, d_expert, d_model]
    expert_ups,
    expert_downs, ///< [n_experts, d_model, d_expert]
    shared_router,
    shared_gate,
    shared_up,
    shared_down
};

/// The name of a role's tensors in a file, before ".weight" or ".bias"; '%' stands for the layer's number.
struct RoleName {
    Role role;
    const char* pattern;
};

/// GGUF's names of all roles.
std::span<const RoleName> gguf_names();

/// How a family's files tell that a block is parallel.
enum class ParallelSign {
    choice, ///< they do not: the row says it
    key,    ///< "use_parallel_residual"
    no_norm ///< it is, where layers have no ffn_norm
};

/// One row a family: everything Kvasir knows about it. Numbers come from the file's metadata, and so does
/// what a family leaves open: biases, norms of q and k and a head of its own are there where their tensors
/// are.
struct Architecture {
    ModelSpec choices;       ///< family, and the choices that no metadata key tells, or the keys' defaults
    bool fused_qkv = false;  ///< one tensor [q; k; v], rows in this order, in place of three
    bool fused_gate = false; ///< one tensor [gate; up] in place of two, with the role `up`
    bool split_kv_b = false; ///< latent attention: k_b and v_b in place of kv_b
    std::span<const RoleName> names = gguf_names();
    /// Where the file has a tensor of this name, parallel branches have a norm each, and the other names
    /// hold.
    const char* two_norms_sign = nullptr;
    std::span<const RoleName> two_norms_names = {};
    ParallelSign parallel = ParallelSign::choice;
    bool scaled_embedding = false; ///< by sqrt(d_model)
    /// The model with this many layers divides scores by sqrt(d_model / n_heads), not sqrt(head_dim).
    uint32_t layers_of_model_scaled_scores = 0;
};

/// The row of models that no family describes, whose choices are stated one by one (runtime/spec_json.hpp).
/// GGUF files cannot have it.
constexpr const char* stated_family = "spec";

/// What a family (of GGUF, or a model_type) is that is known and no model of text: "an encoder, which gives
/// embeddings"; "" for others.
std::string other_kind(const std::string& family);

/// The row of a family (general.architecture). Throws Error, naming those that run, where there is none; a
/// kind of model that writes no text is named with what it is.
const Architecture& architecture(const std::string& family);

/// All families that GGUF files can have.
std::vector<std::string> families();

/// The family's row, with the tensors fused and named as this file has them.
Architecture architecture_of(const ModelFile& file, const std::string& family);

/// "blk.3.attn_q.weight".
std::string tensor_name(const Architecture& row, Role role, uint32_t layer = 0, bool bias = false);

/// A tensor that a model consists of: where it stands, its name in the file, and its shape, row-major.
struct TensorNeed {
    Role role;
    uint32_t layer; ///< 0 for what stands once
    bool bias;
    std::string name;
    std::vector<uint64_t> shape;
};

/// Every tensor that a model of this shape consists of, in the order forward() reads them.
std::vector<TensorNeed> tensors_of(const Architecture& row, const ModelSpec& spec);

/// The shape of a model file, without loading it, validated. Throws Error for an unknown architecture, a
/// setting that Kvasir does not run, or a contradiction. Source: GGUF specification, "Standardized key-value
/// pairs"; defaults of absent keys as in llama.cpp.
ModelSpec read_spec(const ModelFile& file);

/// Throws Error unless the file's tensors are exactly those the shape needs: one that is missing, has another
/// shape, or is there beyond them (it would change the result) is named.
void check_tensors(const ModelFile& file, const ModelSpec& spec);

} // namespace kvasir
