#pragma once

#include "ui/event.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvasir::ui {

/// The lower triangle of a head's scores and what they are made of, [n, n]: row i is query first + i, column
/// j key first + j. NaN where there is no cell: keys after the query, rows that were not read, probabilities
/// too small to tell a score from.
///
/// A row's probabilities are exp(score - c) with one c for all its keys, so ln p is the score up to a
/// constant of the row, which softmax ignores. bias = -slope * (query - key); content = ln p - bias.
struct ScoreParts {
    uint32_t first = 0, n = 0;
    std::vector<float> score, bias, content;

    float largest() const; ///< the largest absolute value of the three; 0 where there is none
    size_t cell(uint32_t i, uint32_t j) const { return size_t(i) * n + j; }
};

/// rows[i]: the probabilities of query first + i over keys 0.., [first + i + 1], or empty.
ScoreParts score_parts(std::span<const std::span<const float>> rows, uint32_t first, float slope);

/// One head's ALiBi.
struct HeadSlope {
    uint32_t head = 0;
    float slope = 0;
    double reach = 0; ///< the distance at which the bias is -ln 1000; infinite for a slope of 0
    /// n_heads is no power of two, and the head is one of those beyond the largest power below it, whose
    /// slopes lie between the others'.
    bool tail = false;
};
/// The steepest first.
std::vector<HeadSlope> sorted_slopes(std::span<const float> slopes);

/// A model's shape with RoPE as edited (slopes are not in it).
ModelSpec edited_rope(const ModelSpec& trained, const PositionEdit& edit);

/// Where two continuations part; the length of the shorter where they do not.
size_t first_difference(const Compared& compared);

} // namespace kvasir::ui
