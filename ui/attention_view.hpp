#pragma once

#include "runtime/probe.hpp"
#include "ui/head_map.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace kvasir::ui {

/// What one head does, averaged over the rows seen so far (all but the first, which has one key, and those
/// that hold what is no number). Definitions and sources: docs/attention.md.
struct HeadMetrics {
    uint64_t n_rows = 0;
    float entropy = 0;   ///< in nats
    float sink = 0;      ///< share of the first key
    float distance = 0;  ///< mean of query - key, weighted
    float previous = 0;  ///< share of the key just before the query
    float induction = 0; ///< share of keys that follow an earlier occurrence of the query's token
};

/// A head's picture of fixed size, whatever the length: the maximum over each of size x size squares.
struct Thumbnail {
    static constexpr uint32_t size = 32;
    uint32_t n_keys = size; ///< positions that its side stands for; doubles when they are exceeded
    /// [size, size]; HeadMap::unread and broken as there
    std::vector<float> p = std::vector<float>(size_t(size) * size, HeadMap::unread);
    uint64_t version = 0; ///< another number after each change

    /// The row of that position, [position + 1], with HeadMap::broken for what is no number.
    void add(uint32_t position, std::span<const float> row);
    /// Forgets squares that lie wholly in rows from n on, and grows what is left where it fills a quarter.
    void truncate(uint32_t n);
};

/// Attention of the sequence as far as it was read: maps of the watched layer's heads, thumbnails and metrics
/// of all. Nothing else grows with the square of the length.
class AttentionView {
  public:
    /// For a model; forgets everything.
    void reset(uint32_t n_layers, uint32_t n_heads);
    /// Keeps the maps of this layer's heads (those of the one before go); nothing: of none.
    void keep_layer(std::optional<uint32_t> layer);
    /// The head that is looked at: its map is kept, whatever it takes.
    void focus(uint32_t head);
    /// Bytes that maps may take. Above it maps of other heads than the focused one go, and map() is nullptr
    /// for them until the layer is kept anew, or they are focused.
    void set_limit(uint64_t bytes);
    /// The sequence is now its first n positions. Metrics stay what they were, with the weight of n rows.
    void truncate(uint32_t n);
    /// Takes rows over, in place of older ones of the same positions; ids: of the sequence, at least up to
    /// the rows' last position. Rows from position 0 on begin the layer's metrics anew.
    void add(const AttentionRows& rows, std::span<const int32_t> ids);

    uint32_t n_layers() const { return n_layers_; }
    uint32_t n_heads() const { return n_heads_; }
    std::optional<uint32_t> layer() const { return layer_; } ///< whose maps are kept
    /// Of the kept layer; nullptr for another, and where the limit left it no room.
    const HeadMap* map(uint32_t layer, uint32_t head) const;
    const Thumbnail& thumbnail(uint32_t layer, uint32_t head) const;
    const HeadMetrics& metrics(uint32_t layer, uint32_t head) const;
    /// How much each position was read by the last queries, all heads of the kept layer: a mean that forgets
    /// with a half-life of 16 queries, [n].
    std::span<const float> reads() const { return reads_; }
    uint64_t version() const { return version_; } ///< changes with anything above
    uint64_t bytes() const;                       ///< of memory that maps take
    uint64_t limit() const { return limit_; }

  private:
    struct Sums { ///< over rows, in double: a long conversation adds up thousands
        double rows = 0, entropy = 0, sink = 0, distance = 0, previous = 0, induction = 0;
    };

    size_t index(uint32_t layer, uint32_t head) const { return size_t(layer) * n_heads_ + head; }
    void learn(std::span<const int32_t> ids);
    void measure(Sums& sums, uint32_t position, std::span<const float> row) const;
    void count_reads(const AttentionRows& rows);
    void keep_limit();

    uint32_t n_layers_ = 0, n_heads_ = 0;
    std::optional<uint32_t> layer_;
    uint32_t focus_ = 0;
    uint64_t limit_ = uint64_t(1) << 30;
    std::vector<HeadMap> maps_;
    std::vector<bool> kept_; ///< of each head: its map is within the limit
    std::vector<Thumbnail> thumbnails_;
    std::vector<HeadMetrics> metrics_;
    std::vector<Sums> sums_;
    std::vector<float> reads_;
    std::vector<double> read_sums_;
    double read_weight_ = 0;
    std::vector<int32_t> ids_;
    std::vector<int64_t> earlier_; ///< of each position: the last before it with the same token; -1: none
    std::unordered_map<int32_t, int64_t> last_; ///< of each token: where it was last
    uint64_t version_ = 0;
};

} // namespace kvasir::ui
