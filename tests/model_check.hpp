#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/gpu/device.hpp"
#include "runtime/model_spec.hpp"

#include <vector>

namespace kvasir {

/// How many tokens check_on_device evaluates, in a context of 64.
constexpr uint32_t n_checked_tokens = 45;

/// Sizes of the chunks in which tokens are evaluated, the last one repeated.
using Chunks = std::vector<uint32_t>;
inline const std::vector<Chunks> all_chunks = {{64}, {1}, {5, 1, 23, 1, 1, 9}};

/// Checks a file, whose vocabulary has at least 259 tokens, on the device against the reference in double:
/// logits at every position within `limit` of their root mean square, in each of these ways to cut the
/// prompt; with an f32 cache and more than one cut all attention rows; and that it takes the memory that
/// memory_needs told.
void check_on_device(Device& device, const ModelFile& file, const ModelSpec& m, KvType kv, double limit,
                     const std::vector<Chunks>& cuts = all_chunks);

} // namespace kvasir
