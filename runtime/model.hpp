#pragma once

#include "runtime/architectures.hpp"
#include "runtime/file/model_file.hpp"
#include "runtime/gpu/device.hpp"
#include "runtime/model_spec.hpp"
#include "runtime/sampler.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/weights.hpp"

#include <functional>
#include <optional>
#include <string>

namespace kvasir {

/// A model on a device, ready to run. Read-only after loading: sessions share it.
struct Model {
    std::string path;
    std::string format;
    ModelSpec spec;
    Tokenizer tokenizer;
    Weights weights;
    std::string chat_template; ///< key tokenizer.chat_template, empty where the file has none
    SamplerChoice sampler;     ///< what its makers advise
};

/// Reads a model's metadata and where its tensors lie: path is a .gguf file or the folder of a Hugging Face
/// model. Throws Error.
ModelFile read_model(const std::string& path);

/// What a model's makers advise, under the keys general.sampling.{temp,top_k,top_p,min_p,penalty_repeat} of
/// llama.cpp's files. Throws Error, naming the key, for a value that no sampler can have.
SamplerChoice read_sampler(const Metadata& metadata);

/// All of a model but its weights, checked. Throws Error.
Model read_but_weights(const ModelFile& file);

/// Checks and uploads a model; quantize: as load_weights() takes it. Throws Error.
Model load_model(Device& device, const ModelFile& file, const Progress& progress = {},
                 std::optional<DType> quantize = {});

/// As above, from a path.
Model load_model(Device& device, const std::string& path, const Progress& progress = {},
                 std::optional<DType> quantize = {});

} // namespace kvasir
