#pragma once

#include "runtime/file/model_file.hpp"

#include <string>

namespace kvasir {

/// A model of any shape: a folder with spec.json, an object of ModelSpec's fields (runtime/spec_json.hpp),
/// and model.safetensors (or its parts) whose tensors have GGUF's names. Throws Error.
ModelFile read_spec_folder(const std::string& path);

/// A model as Hugging Face's libraries save it, a folder with config.json and model.safetensors (or the parts
/// that model.safetensors.index.json lists), in the terms of GGUF: metadata keys, tensor names, q, k and v
/// one below the other. Weights stay mapped and are never converted; what lies in another order is gathered
/// when it is loaded. Throws Error, naming it, for a model_type, setting or tensor that is not run. A folder
/// with a spec.json is read by read_spec_folder.
ModelFile read_hf_folder(const std::string& path);

} // namespace kvasir
