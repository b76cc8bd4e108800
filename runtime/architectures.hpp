#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/model_spec.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// What a tensor is in a model. The first line's stand once, the others in every layer.
enum class Role : uint8_t {
    token_embedding,
    position_embedding,
    embedding_norm,
    final_norm,
    head,
    attn_norm,
    qkv,
    q,
    k,
    v,
    q_norm,
    k_norm,
    o,
    ffn_norm,
    gate,
    up,
    down
};

/// The name of a role's tensors in a file, before ".weight" or ".bias"; '%' stands for the layer's number.
struct RoleName {
    Role role;
    const char* pattern;
};

/// One row a family: everything Kvasir knows about it. Numbers come from the file's metadata, and so does
/// what a family leaves open: biases and a head of its own are there where their tensors are.
struct Architecture {
    ModelSpec choices;      ///< family, and the choices that no metadata key tells
    bool fused_qkv = false; ///< one tensor [q; k; v], rows in this order, in place of three
    std::span<const RoleName> names;
};

/// The row of a family (general.architecture). Throws Error, naming those that run, where there is none.
const Architecture& architecture(const std::string& family);

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
