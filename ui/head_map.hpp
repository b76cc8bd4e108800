#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace kvasir::ui {

/// The rows of one head: row i has i + 1 keys. Kept with a pyramid, so that any part can be drawn at any size
/// at the cost of its pixels. Memory: 4 bytes a cell, and a third of that for the pyramid.
class HeadMap {
  public:
    /// What stands in the pyramid where no row was read, and where a row holds what is no number.
    static constexpr float unread = std::numeric_limits<float>::quiet_NaN();
    static constexpr float broken = std::numeric_limits<float>::infinity();

    /// Puts the row of this position in place of what was there: p of keys 0..position, [position + 1]. Rows
    /// that are left out in between count as not read.
    void set_row(uint32_t position, std::span<const float> p);
    /// Forgets rows from n on.
    void truncate(uint32_t n);

    uint32_t n() const { return static_cast<uint32_t>(rows_.size()); }
    uint32_t n_read() const { return n_read_; } ///< rows that are there
    /// Row i, [i + 1], the very floats that were set; empty where it was not read.
    std::span<const float> row(uint32_t i) const { return rows_[i]; }
    /// The value of row i with the largest magnitude; unread or broken as above.
    float row_peak(uint32_t i) const { return row_peaks_[i]; }
    /// When row i was set: numbers grow from set_row to set_row, over all maps. 0: not read.
    uint64_t stamp(uint32_t i) const { return stamps_[i]; }

    /// Levels above the rows themselves: 2^levels() >= n().
    uint32_t levels() const { return static_cast<uint32_t>(levels_.size()); }
    /// The value with the largest magnitude among rows [r 2^level, (r + 1) 2^level) and keys
    /// [c 2^level, (c + 1) 2^level), level >= 1, for c = 0..r.
    std::span<const float> blocks(uint32_t level, uint32_t r) const { return levels_[level - 1][r]; }
    /// The same of one square; `row` and `key` are multiples of 2^level. Unread outside.
    float peak(uint32_t level, uint32_t row, uint32_t key) const;
    /// Of all that is there.
    float peak() const;

    uint64_t version() const { return version_; } ///< another number after each change
    uint64_t bytes() const;

  private:
    using Triangle = std::vector<std::vector<float>>;

    void merge(uint32_t level, size_t i);
    void rebuild(uint32_t level, size_t r);

    Triangle rows_;
    std::vector<float> row_peaks_;
    std::vector<uint64_t> stamps_;
    std::vector<Triangle> levels_; ///< [level - 1][r][c], each [r][r + 1]
    uint32_t n_read_ = 0;
    uint64_t version_ = 0;
};

/// Of two values of a pyramid the one to show: broken before all, else the larger magnitude; unread only
/// where both are. (Written so that comparisons with NaN come out right without a test for it.)
inline float stronger(float a, float b) {
    const float x = a < 0 ? -a : a, y = b < 0 ? -b : b;
    return y > x || a != a ? b : a;
}

/// Of many: unread where there is none.
float strongest(std::span<const float> values);
/// No infinity and nothing that is no number.
bool all_numbers(std::span<const float> values);

} // namespace kvasir::ui
