#include "ui/paint_map.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace kvasir::ui {
namespace {

constexpr float decades = 4;

/// Where on the colour map a share of the largest value is, 0..1.
float tone(ColorScale scale, float share) {
    if (scale != ColorScale::log) return std::min(share, 1.0f);
    return share > 0 ? std::clamp(1 + std::log10(share) / decades, 0.0f, 1.0f) : 0;
}

/// Colours of the log scale by the upper half of a float: 128 steps an octave, finer than the map's 256
/// colours over four decades, and no logarithm a pixel.
class LogColors {
  public:
    explicit LogColors(const MapStyle& style) {
        if (style.scale != ColorScale::log) return;
        table_.resize(style.difference ? 0x10000 : 0x8000);
        for (uint32_t i = 0; i < table_.size(); ++i)
            if ((i & 0x7f80) != 0x7f80) table_[i] = style.color(std::bit_cast<float>(i << 16 | 0x8000), 1);
    }
    uint32_t at(float value) const {
        const uint32_t i = std::bit_cast<uint32_t>(value) >> 16;
        return table_[i < table_.size() ? i : 0];
    }

  private:
    std::vector<uint32_t> table_;
};

/// Whole cells that a pixel stands for, at least one: [first, last).
struct Cells {
    int64_t first, last;
};
Cells cells_of(double corner, double cell, int pixel) {
    const auto first = static_cast<int64_t>(std::floor(corner + pixel / cell));
    return {first, std::max(first + 1, static_cast<int64_t>(std::floor(corner + (pixel + 1) / cell)))};
}

/// Paints row by row of pixels; see paint_map.
class Painter {
  public:
    Painter(int width, const HeadMap& map, const MapPart& part, const MapStyle& style);
    void paint_row(std::span<uint32_t> out, Cells rows);

  private:
    void gather(uint32_t first, uint32_t last);
    void take(std::span<const float> blocks);
    void take_cells(uint32_t row);

    const HeadMap& map_;
    const MapPart& part_;
    const MapStyle& style_;
    uint32_t level_ = 0;
    uint32_t n_rows_;             ///< that can be painted
    std::vector<Cells> columns_;  ///< keys of each pixel
    std::vector<Cells> blocks_;   ///< the same in blocks of the level, from strip_[0] on
    uint32_t low_ = 0, high_ = 0; ///< visible blocks
    std::vector<float> strip_;    ///< values of a row of pixels, a block each
    LogColors log_colors_;
    uint32_t warning_ = ImGui::ColorConvertFloat4ToU32(theme().warning);
};

Painter::Painter(int width, const HeadMap& map, const MapPart& part, const MapStyle& style)
    : map_(map), part_(part), style_(style), n_rows_(std::min({part.n_rows, part.n, map.n()})),
      log_colors_(style) {
    while (level_ < map.levels() && part.cell * static_cast<double>(2u << level_) <= 1) ++level_;
    low_ = static_cast<uint32_t>(std::max(0.0, part.x)) >> level_;
    high_ = low_;
    for (int i = 0; i < width; ++i) {
        const Cells keys = cells_of(part.x, part.cell, i);
        columns_.push_back(keys);
        if (keys.first < 0 || keys.first >= part.n) {
            blocks_.push_back({0, 0});
            continue;
        }
        const int64_t last = (std::min<int64_t>(keys.last, part.n) - 1) >> level_;
        blocks_.push_back({(keys.first >> level_) - low_, last + 1 - low_});
        high_ = std::max(high_, static_cast<uint32_t>(last + 1));
    }
}

void Painter::take(std::span<const float> blocks) {
    const size_t last = std::min<size_t>(high_, blocks.size());
    for (size_t c = low_; c < last; ++c) strip_[c - low_] = stronger(strip_[c - low_], blocks[c]);
}

/// A row of the map itself, into blocks of the level.
void Painter::take_cells(uint32_t row) {
    const std::span<const float> p = map_.row(row);
    const bool whole = map_.row_peak(row) != HeadMap::broken;
    if (whole && level_ == 0) return take(p);
    const size_t last = std::min<size_t>(size_t(high_) << level_, p.size());
    for (size_t j = size_t(low_) << level_; j < last; ++j) {
        float& out = strip_[(j >> level_) - low_];
        out = stronger(out, p[j] - p[j] == 0 ? p[j] : HeadMap::broken);
    }
}

/// The strongest of rows [first, last) in each visible block.
void Painter::gather(uint32_t first, uint32_t last) {
    strip_.assign(high_ - low_, HeadMap::unread);
    if (level_ == 0) {
        for (uint32_t row = first; row < last; ++row) take_cells(row);
        return;
    }
    for (uint32_t r = first >> level_; r <= (last - 1) >> level_; ++r) {
        if ((r + 1) << level_ <= n_rows_ || n_rows_ == map_.n())
            take(map_.blocks(level_, r));
        else // rows that are not to be seen yet lie in this block
            for (uint32_t row = r << level_; row < n_rows_; ++row) take_cells(row);
    }
}

void Painter::paint_row(std::span<uint32_t> out, Cells rows) {
    const uint32_t empty = theme().empty;
    if (rows.first < 0 || rows.first >= part_.n) {
        std::fill(out.begin(), out.end(), 0);
        return;
    }
    const auto first = static_cast<uint32_t>(rows.first);
    const auto last = static_cast<uint32_t>(std::min<int64_t>(rows.last, n_rows_));
    const bool there = first < last;
    float row_most = HeadMap::unread;
    if (there) {
        gather(first, last);
        for (uint32_t row = first; row < last && style_.scale == ColorScale::row; ++row)
            if (map_.row_peak(row) != HeadMap::broken) row_most = stronger(row_most, map_.row_peak(row));
    }
    for (size_t i = 0; i < out.size(); ++i) {
        if (blocks_[i].last == 0) {
            out[i] = 0;
            continue;
        }
        float value = HeadMap::unread;
        if (there && columns_[i].first < last && columns_[i].last > part_.first_key)
            for (int64_t b = blocks_[i].first; b < blocks_[i].last; ++b)
                value = stronger(value, strip_[size_t(b)]);
        if (value != value)
            out[i] = empty;
        else if (value == HeadMap::broken)
            out[i] = warning_;
        else
            out[i] = style_.scale == ColorScale::log ? log_colors_.at(value) : style_.color(value, row_most);
    }
}

} // namespace

uint32_t MapStyle::color(float value, float row_most) const {
    const float end = std::abs(scale == ColorScale::row ? row_most : most);
    const float x = end > 0 ? tone(scale, std::abs(value) / end) : 0;
    return colors->at(!difference ? x : value < 0 ? 0.5f - x / 2 : 0.5f + x / 2);
}

void paint_map(std::span<uint32_t> pixels, int width, int height, const HeadMap& map, const MapPart& part,
               const MapStyle& style) {
    assert(pixels.size() == size_t(width) * size_t(height) && part.cell > 0 && style.colors);
    Painter painter(width, map, part, style);
    Cells before{-1, -1};
    for (int y = 0; y < height; ++y) {
        const Cells rows = cells_of(part.y, part.cell, y);
        const std::span<uint32_t> out = pixels.subspan(size_t(y) * size_t(width), size_t(width));
        if (y > 0 && rows.first == before.first && rows.last == before.last)
            std::copy_n(out.data() - width, width, out.data());
        else
            painter.paint_row(out, rows);
        before = rows;
    }
}

} // namespace kvasir::ui
