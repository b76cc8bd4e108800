#pragma once

#include "runtime/architectures.hpp"
#include "runtime/file/model_file.hpp"
#include "runtime/model_spec.hpp"
#include "tests/reference/ops.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace kvasir::reference {

/// A model's weights in double, found by role; fused q, k, v, fused gate and up, and latent attention's fused
/// kv_b are taken apart. Throws std::logic_error where a
/// tensor is missing or has another shape than tensors_of() says.
class Model {
  public:
    /// The row is that of the model's family where none is given.
    explicit Model(const ModelFile& file);
    Model(const ModelFile& file, const ModelSpec& spec, const Architecture& row);

    const ModelSpec& spec() const { return spec_; }
    View weight(Role role, uint32_t layer = 0) const { return weights_.at({role, layer}); }
    View bias(Role role, uint32_t layer = 0) const; ///< empty where there is none

  private:
    void split(uint32_t layer, const Values& all, bool bias,
               std::initializer_list<std::pair<Role, size_t>> parts);
    void split_kv_b(uint32_t layer, const Values& all);

    ModelSpec spec_;
    std::map<std::pair<Role, uint32_t>, Values> weights_, biases_;
};

/// What one layer did with n_tokens tokens.
struct LayerTrace {
    Values k, v;         ///< as the cache gives them back `[n_tokens, n_kv_heads, head_dim]` (v: value_dim)
    Attention attention; ///< output, probabilities and stats; see ops.hpp
    Values x;            ///< residual stream after the layer `[n_tokens, d_model]`
};

struct Trace {
    Values embedding; ///< residual stream before the first layer `[n_tokens, d_model]`
    std::vector<LayerTrace> layers;
    Values logits; ///< after each token `[n_tokens, n_vocab]`
};

/// The model on ids at positions 0, 1, ... of a context of n_ctx (0: the trained one), with keys (after RoPE)
/// and values rounded through the cache's type.
Trace forward(const Model& model, std::span<const int32_t> ids, KvType kv = KvType::f32, size_t n_ctx = 0);

} // namespace kvasir::reference
