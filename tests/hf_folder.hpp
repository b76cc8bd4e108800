#pragma once

#include "tests/process.hpp"
#include "tests/random_model.hpp"
#include "tests/safetensors_writer.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace kvasir {

/// How a checkpoint holds what GGUF has as rows [d_out, d_in].
enum class Form {
    plain,
    transposed, ///< [d_in, d_out]
    grouped,    ///< q, k, v of one KV group after another
    permuted,   ///< rotated partners half a head apart, not side by side
    less_one,   ///< norm weights without the 1 that they multiply with
    after_two,  ///< behind two rows that nothing reads
    joined,     ///< two tensors of GGUF, "a|b", one below the other
    row,        ///< [n] as [1, n]
};

/// A tensor's two names, '%' for the layer; a '#' in the second takes GGUF's tensor apart along its first
/// axis.
struct TensorNames {
    std::string gguf, hf;
    Form form = Form::plain;
};

/// A seeded model as its GGUF form and, with the same numbers, as a Hugging Face folder.
struct HfModel {
    std::string type; ///< model_type
    ModelSpec m;
    Architecture row;
    nlohmann::json config;
    std::vector<TensorNames> names;
    std::string prefix = "model."; ///< of all tensors but the head

    GgufWriter gguf(DType dtype = DType::f32) const { return random_model(m, dtype, 7, row); }
    SafetensorsWriter safetensors(DType dtype = DType::f32) const;
    /// Writes config.json and model.safetensors.
    void save(const Folder& folder, DType dtype = DType::f32) const;
};

/// One of every model_type that runs.
std::vector<HfModel> hf_models();
HfModel hf_model(const std::string& type);

} // namespace kvasir
