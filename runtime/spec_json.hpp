#pragma once

#include "runtime/model_spec.hpp"

#include <nlohmann/json_fwd.hpp>

namespace kvasir {

/// A model's shape stated choice by choice, for models that no family describes: an object of ModelSpec's
/// fields by their names, enumerators as text ("halves", "rms", "gelu_tanh"). What is absent is as in
/// ModelSpec, but n_kv_heads is n_heads, head_dim is d_model / n_heads (latent attention: kv_lora_rank +
/// rope_dim), rope_dim is head_dim where there is RoPE, and family is "spec", whose tensors have GGUF's names
/// (gguf_names(), tensors_of()). Validated; throws Error for a name that is unknown, a value of another kind
/// or out of range, or a contradiction.
ModelSpec spec_from_json(const nlohmann::json& json, const std::string& path = "JSON");

/// As spec_from_json, of a JSON text; path, for messages, is where it was found.
ModelSpec spec_from_text(const std::string& text, const std::string& path);

/// The metadata key of a model file whose shape is such an object, as text.
constexpr const char* stated_spec_key = "spec.json";

/// The same object, with all fields.
nlohmann::json spec_to_json(const ModelSpec& spec);

} // namespace kvasir
