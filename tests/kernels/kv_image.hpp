#pragma once

#include "tests/kernels/harness.hpp"

#include <cstdint>
#include <vector>

namespace kvasir::kernels {

/// Keys and values of one layer as words in the layout that shaders/lib/kv.glsl describes, on the host:
/// written here, by code of its own, what kernels read, and read here what rope_store writes.
class KvImage {
  public:
    /// All poison. page_table: physical page of each logical one.
    KvImage(KvType type, uint32_t n_kv_heads, uint32_t head_dim, std::vector<uint32_t> page_table,
            uint32_t n_pages);

    std::vector<uint32_t> k, v, scales;
    std::vector<uint32_t> page_table;

    uint32_t values() const { return values_; } ///< of a vector with its padding

    /// Rounds a key (or value) [head_dim] into its place, padding with zeros.
    void store(bool is_v, uint32_t pos, uint32_t head, View vector);

    /// What is kept at a place [values()].
    Values load(bool is_v, uint32_t pos, uint32_t head) const;

    /// Marks the words that a position has as written: those that differ from another image elsewhere are
    /// stray.
    void forget(uint32_t pos);
    uint64_t differences(const KvImage& other) const;

    /// To and from the layer of a cache of the same shape.
    void upload(Device& device, const KvCache& cache, uint32_t layer) const;
    void download(const KvCache& cache, uint32_t layer);

  private:
    uint64_t word(uint32_t pos, uint32_t head, uint32_t unit) const;
    uint64_t scale_word(bool is_v, uint32_t pos, uint32_t head, uint32_t pair) const;
    double value(const std::vector<uint32_t>& words, uint64_t first, uint32_t i) const;

    KvType type_;
    uint32_t n_kv_heads_, head_dim_;
    uint32_t unit_values_; ///< of 16 bytes
    uint32_t values_, pairs_;
};

/// The spec of a model of which only attention counts: two layers.
ModelSpec attention_spec(uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_dim);

/// A cache whose pages are shuffled; `visible` says which logical pages are there at all (the others have no
/// page).
struct ShuffledCache {
    KvCache cache;
    KvImage image; ///< of layer 1; layer 0 holds poison

    ShuffledCache(Device& device, const ModelSpec& m, KvType type, uint32_t n_keys, Random& random,
                  uint32_t first_visible = 0);
};

} // namespace kvasir::kernels
