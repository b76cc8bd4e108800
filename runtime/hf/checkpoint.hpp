#pragma once

#include "runtime/file/safetensors.hpp"
#include "runtime/hf/families.hpp"

namespace kvasir {

/// Adds a checkpoint's tensors to file under their GGUF names, in GGUF's order of rows; file has the metadata
/// of read_config(). Throws Error, naming it, for a tensor that the family does not have or that does not
/// fit.
void import_tensors(const Config& config, const Family& family, const std::vector<SafeTensor>& tensors,
                    ModelFile& file);

} // namespace kvasir
