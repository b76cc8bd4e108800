#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/model_spec.hpp"
#include "runtime/tuning.hpp"

#include <optional>

namespace kvasir {

/// The positions of a cache whose size nobody chose: the trained length, at most 4096.
uint32_t default_context(const ModelSpec& m);

/// Bytes on the device that a model takes, known before any of them is allocated.
struct MemoryNeeds {
    uint64_t weights = 0; ///< packed; at most a tile of 32 rows a tensor too many
    uint64_t kv = 0;      ///< of all layers, whole pages
    uint64_t scratch = 0;
    uint64_t largest = 0; ///< the largest buffer that is never split: it must fit a binding

    uint64_t total() const { return weights + kv + scratch; }
};

/// What load_weights and Session will take of a file that check_tensors has passed.
MemoryNeeds memory_needs(const ModelFile& file, const ModelSpec& m, const Tuning& tuning, uint32_t n_ctx,
                         KvType kv);

/// The longest context, at most the trained length, with which the model fits `memory` bytes and no buffer is
/// larger than max_binding; 0: it fits with none.
uint32_t longest_context(const ModelFile& file, const ModelSpec& m, const Tuning& tuning, KvType kv,
                         uint64_t memory, uint64_t max_binding);

} // namespace kvasir
