#pragma once

#include "ui/attention_view.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace kvasir::ui {

/// Which map is shown: of heads [first, last) of a layer their mean, without the first keys, less another.
struct MapChoice {
    uint32_t layer = 0, first = 0, last = 1;
    uint32_t masked = 0;                  ///< keys 0..masked-1 become 0, the others of a row again sum to 1
    std::optional<uint32_t> minus_head;   ///< of the same layer, masked alike
    std::shared_ptr<const HeadMap> minus; ///< as it is

    bool plain() const { return last - first == 1 && masked == 0 && !minus_head && !minus; }
    bool difference() const { return minus_head || minus; }
    bool operator==(const MapChoice&) const = default;
};

/// A map made from others and kept up to date row by row, a bounded part of the work at a time, the newest
/// rows first: the window's frames stay short at any length.
class DerivedMap {
  public:
    /// Does about max_cells of the work. The map to draw (the head's own where the choice is plain), or
    /// nullptr where a head that it needs has none.
    const HeadMap* update(const AttentionView& view, const MapChoice& choice, uint64_t max_cells);
    bool done() const { return done_; } ///< nothing is left for the next update
    /// Mean share of the masked keys in rows [masked, n_rows) that were read, of the heads that are averaged;
    /// nothing where there is no such row, or nothing is masked.
    std::optional<double> masked_share(uint32_t n_rows) const;

  private:
    void make(const AttentionView& view, uint32_t row);

    MapChoice choice_;
    HeadMap map_;
    std::vector<uint64_t> made_; ///< of each row: the newest stamp among its sources
    std::vector<float> shares_;  ///< of each row: of its masked keys
    uint64_t version_ = 0;       ///< of the view when all was done
    bool done_ = false;
    std::vector<float> row_, other_; ///< scratch
};

} // namespace kvasir::ui
