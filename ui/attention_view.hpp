#pragma once

#include "runtime/probe.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace kvasir::ui {

/// What one head does, averaged over the rows seen so far (all but the first, which has one key).
/// entropy, mean distance, previous token, induction: as HeadVis defines them (Anthropic 2026), entropy in
/// nats.
struct HeadMetrics {
    uint64_t n_rows = 0;
    float entropy = 0;
    float sink = 0;      ///< share of the first key
    float distance = 0;  ///< mean of query - key, weighted
    float previous = 0;  ///< share of the key just before the query
    float induction = 0; ///< share of keys that follow an earlier occurrence of the query's token
};

/// The rows of one head: row i has i + 1 keys. Kept with a pyramid of maxima, so that any part can be drawn
/// at any size at the cost of its pixels.
class HeadMap {
  public:
    /// Appends row n() (or replaces an earlier one): probabilities of keys 0..position.
    void set_row(uint32_t position, std::span<const float> p);
    /// Forgets rows from n on.
    void truncate(uint32_t n);

    uint32_t n() const { return static_cast<uint32_t>(rows_.size()); }
    /// Probabilities of row i, [i + 1]; empty where it was not read.
    std::span<const float> row(uint32_t i) const { return rows_[i]; }
    /// The largest p of rows [row, row + 2^level) and keys [key, key + 2^level), both multiples of 2^level; 0
    /// outside.
    float peak(uint32_t level, uint32_t row, uint32_t key) const;

  private:
    std::vector<std::vector<float>> rows_;
    /// levels_[l - 1][r][c]: the maximum over a square of 2^l
    std::vector<std::vector<std::vector<float>>> levels_;
};

/// A head's picture of fixed size, whatever the length: the maximum over each of size x size squares.
struct Thumbnail {
    static constexpr uint32_t size = 32;
    uint32_t n_keys = 0; ///< positions that its side stands for
    std::vector<float> p = std::vector<float>(size * size);
    uint64_t version = 0; ///< changes with the picture
};

/// Attention of the sequence as far as it was read: maps of the watched layer's heads, thumbnails and metrics
/// of all.
class AttentionView {
  public:
    /// For a model; forgets everything.
    void reset(uint32_t n_layers, uint32_t n_heads);
    /// Keeps the maps of this layer's heads (those of the one before go); nothing: of none.
    void keep_layer(std::optional<uint32_t> layer);
    /// The sequence is now its first n positions.
    void truncate(uint32_t n);
    /// Takes rows over; ids: of the sequence, at least up to the rows' last position.
    void add(const AttentionRows& rows, std::span<const int32_t> ids);

    uint32_t n_layers() const { return n_layers_; }
    uint32_t n_heads() const { return n_heads_; }
    std::optional<uint32_t> layer() const { return layer_; } ///< whose maps are kept
    /// Of the kept layer; nullptr for another.
    const HeadMap* map(uint32_t layer, uint32_t head) const;
    const Thumbnail& thumbnail(uint32_t layer, uint32_t head) const;
    const HeadMetrics& metrics(uint32_t layer, uint32_t head) const;
    /// How much each position was read by the last queries, all heads of the kept layer: a mean that forgets
    /// with a half-life of 16 queries, [n].
    std::span<const float> reads() const { return reads_; }
    uint64_t version() const { return version_; } ///< changes with anything above
    uint64_t bytes() const;                       ///< of memory that maps take

  private:
    uint32_t n_layers_ = 0, n_heads_ = 0;
    std::optional<uint32_t> layer_;
    std::vector<HeadMap> maps_;
    std::vector<Thumbnail> thumbnails_;
    std::vector<HeadMetrics> metrics_;
    std::vector<float> reads_;
    uint64_t version_ = 0;
};

} // namespace kvasir::ui
