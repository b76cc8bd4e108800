#pragma once

#include <cstdint>
#include <vector>

namespace kvasir {

/// Attention probabilities of one layer for a run of queries: p[(q * n_heads + h) * n_keys + j], where row q
/// belongs to position first + q and keys are positions 0..n_keys-1 (0 where a key is masked). Each row sums
/// to 1.
struct AttentionRows {
    uint32_t layer = 0, first = 0, n_queries = 0, n_heads = 0, n_keys = 0;
    std::vector<float> p;
};

/// Euclidean norms of cached keys and values, each [n_kv_heads, n_keys]; 0 where a sliding window has
/// released them.
struct KvNorms {
    uint32_t n_kv_heads = 0, n_keys = 0;
    std::vector<float> k, v;
};

} // namespace kvasir
