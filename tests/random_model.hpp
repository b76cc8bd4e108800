#pragma once

#include "runtime/architectures.hpp"
#include "runtime/model_spec.hpp"
#include "tests/gguf_writer.hpp"

namespace kvasir {

/// A model of this shape with seeded random weights: matrices uniform with standard deviation 1 / sqrt(d_in),
/// norm weights about 1, biases about 0, so that logits come out with standard deviation of about 1. Matrices
/// are stored as dtype, vectors as F32. It has no vocabulary yet. spec.family must be one that runs.
GgufWriter random_model(const ModelSpec& spec, DType dtype, uint64_t seed = 1);
/// With tensors fused and named as this row has them.
GgufWriter random_model(const ModelSpec& spec, DType dtype, uint64_t seed, const Architecture& row);

/// Shapes: "minimind26m" (MiniMind2-Small), "experts78m" (the same with 4 experts a layer, 2 of them used),
/// "llama110m" (the size of stories110M, tied too) and "tiny" (2
/// layers, 4 heads on 2 KV heads, d_model 64, d_ff 96, 288 tokens, a head of its own). Throws Error for
/// another name.
ModelSpec model_shape(const std::string& kind);

} // namespace kvasir
