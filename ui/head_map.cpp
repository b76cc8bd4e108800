#include "ui/head_map.hpp"

#include <algorithm>
#include <cassert>

namespace kvasir::ui {
namespace {

/// The window's thread alone makes maps.
uint64_t next_stamp() {
    static uint64_t last = 0;
    return ++last;
}

bool is_number(float x) {
    return x - x == 0;
}

/// out[c] = the strongest of out[c], in[2c] and in[2c + 1].
void pool(std::span<const float> in, std::span<float> out) {
    const size_t pairs = in.size() / 2;
    for (size_t c = 0; c < pairs; ++c) out[c] = stronger(out[c], stronger(in[2 * c], in[2 * c + 1]));
    if (in.size() % 2) out[pairs] = stronger(out[pairs], in.back());
}

constexpr size_t n_lanes = 16; // a loop over lanes becomes vector instructions

} // namespace

float strongest(std::span<const float> values) {
    float lanes[n_lanes];
    std::fill_n(lanes, n_lanes, HeadMap::unread);
    size_t i = 0;
    for (; i + n_lanes <= values.size(); i += n_lanes)
        for (size_t k = 0; k < n_lanes; ++k) lanes[k] = stronger(lanes[k], values[i + k]);
    for (; i < values.size(); ++i) lanes[0] = stronger(lanes[0], values[i]);
    float most = HeadMap::unread;
    for (const float lane : lanes) most = stronger(most, lane);
    return most;
}

bool all_numbers(std::span<const float> values) {
    float lanes[n_lanes] = {}; // 0 times what is no number is no number, and stays it
    size_t i = 0;
    for (; i + n_lanes <= values.size(); i += n_lanes)
        for (size_t k = 0; k < n_lanes; ++k) lanes[k] += values[i + k] * 0;
    for (; i < values.size(); ++i) lanes[0] += values[i] * 0;
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum == 0;
}

float HeadMap::peak(uint32_t level, uint32_t row, uint32_t key) const {
    const uint32_t r = row >> level, c = key >> level;
    if (c > r) return unread;
    if (level == 0) {
        if (r >= n() || rows_[r].empty()) return unread;
        return is_number(rows_[r][c]) ? rows_[r][c] : broken;
    }
    if (level > levels_.size() || r >= levels_[level - 1].size()) return unread;
    return levels_[level - 1][r][c];
}

float HeadMap::peak() const {
    return strongest(row_peaks_);
}

/// Adds row i of the level below to the blocks over it, level >= 1.
void HeadMap::merge(uint32_t level, size_t i) {
    std::vector<float>& out = levels_[level - 1][i / 2];
    if (level > 1) return pool(levels_[level - 2][i], out);
    if (row_peaks_[i] != broken) return pool(rows_[i], out);
    std::vector<float> row = rows_[i];
    for (float& p : row) p = is_number(p) ? p : broken;
    pool(row, out);
}

/// Blocks of row r, level >= 1, from the two rows below them.
void HeadMap::rebuild(uint32_t level, size_t r) {
    const size_t below = level == 1 ? rows_.size() : levels_[level - 2].size();
    levels_[level - 1][r].assign(r + 1, unread);
    for (size_t i = 2 * r; i < std::min(2 * r + 2, below); ++i) merge(level, i);
}

void HeadMap::set_row(uint32_t position, std::span<const float> p) {
    assert(p.size() == size_t(position) + 1);
    if (position >= n()) {
        rows_.resize(size_t(position) + 1);
        row_peaks_.resize(rows_.size(), unread);
        stamps_.resize(rows_.size(), 0);
    }
    const bool fresh = rows_[position].empty(); // nothing of an older row is in the pyramid
    n_read_ += fresh;
    rows_[position].assign(p.begin(), p.end());
    version_ = stamps_[position] = next_stamp();
    row_peaks_[position] = all_numbers(p) ? strongest(p) : broken;
    while ((uint64_t(1) << levels_.size()) < rows_.size()) levels_.emplace_back();
    for (uint32_t level = 1; level <= levels_.size(); ++level) {
        Triangle& blocks = levels_[level - 1];
        const size_t r = position >> level, built = blocks.size();
        for (size_t i = built; i <= (rows_.size() - 1) >> level; ++i) {
            blocks.emplace_back();
            rebuild(level, i);
        }
        if (r >= built) continue;
        if (fresh)
            merge(level, position >> (level - 1));
        else
            rebuild(level, r);
    }
}

void HeadMap::truncate(uint32_t n) {
    if (n >= rows_.size()) return;
    for (size_t i = n; i < rows_.size(); ++i) n_read_ -= !rows_[i].empty();
    rows_.resize(n), row_peaks_.resize(n), stamps_.resize(n);
    version_ = next_stamp();
    for (uint32_t level = 1; level <= levels_.size(); ++level) {
        const uint32_t blocks = n ? ((n - 1) >> level) + 1 : 0;
        levels_[level - 1].resize(blocks);
        if (blocks) rebuild(level, blocks - 1);
    }
    while (!levels_.empty() && (n == 0 || uint64_t(1) << (levels_.size() - 1) >= n)) levels_.pop_back();
}

uint64_t HeadMap::bytes() const {
    const uint64_t cells = uint64_t(n()) * (n() + 1) / 2;
    return (cells + cells / 3) * sizeof(float);
}

} // namespace kvasir::ui
