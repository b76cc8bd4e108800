#include "ui/position_numbers.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvasir::ui {

ScoreParts score_parts(std::span<const std::span<const float>> rows, uint32_t first, float slope) {
    constexpr float none = std::numeric_limits<float>::quiet_NaN();
    constexpr float smallest = std::numeric_limits<float>::min(); // below it a float loses digits, then all
    const auto n = static_cast<uint32_t>(rows.size());
    ScoreParts parts{.first = first, .n = n, .score = {}, .bias = {}, .content = {}};
    for (auto* values : {&parts.score, &parts.bias, &parts.content}) values->assign(size_t(n) * n, none);
    for (uint32_t i = 0; i < n; ++i)
        for (uint32_t j = 0; j <= i && first + j < rows[i].size(); ++j) {
            const float p = rows[i][first + j];
            if (!(p >= smallest) || !std::isfinite(p)) continue;
            const size_t at = parts.cell(i, j);
            parts.score[at] = std::log(p);
            parts.bias[at] = -slope * static_cast<float>(i - j);
            parts.content[at] = parts.score[at] - parts.bias[at];
        }
    return parts;
}

float ScoreParts::largest() const {
    float most = 0;
    for (const auto* values : {&score, &bias, &content})
        for (const float value : *values)
            if (std::isfinite(value)) most = std::max(most, std::abs(value));
    return most;
}

std::vector<HeadSlope> sorted_slopes(std::span<const float> slopes) {
    const auto n = static_cast<uint32_t>(slopes.size());
    const double ln_1000 = std::log(1000.0);
    std::vector<HeadSlope> all;
    for (uint32_t h = 0; h < n; ++h)
        all.push_back({h, slopes[h],
                       slopes[h] > 0 ? ln_1000 / slopes[h] : std::numeric_limits<double>::infinity(),
                       h >= std::bit_floor(n)});
    std::stable_sort(all.begin(), all.end(),
                     [](const HeadSlope& a, const HeadSlope& b) { return a.slope > b.slope; });
    return all;
}

ModelSpec edited_rope(const ModelSpec& trained, const PositionEdit& edit) {
    ModelSpec spec = trained;
    if (spec.rope == Rope::none) return spec;
    if (edit.rope_base > 0) spec.rope_base = edit.rope_base;
    if (edit.rope_scaling) {
        spec.rope_scaling = *edit.rope_scaling;
        spec.rope_factor = spec.rope_scaling == RopeScaling::none ? 1 : edit.rope_factor;
        if (spec.rope_scaling != RopeScaling::factors) {
            spec.rope_factors.clear();
            spec.rope_long_factors.clear();
        }
    }
    return spec;
}

size_t first_difference(const Compared& compared) {
    const size_t n = std::min(compared.trained.size(), compared.edited.size());
    size_t i = 0;
    while (i < n && compared.trained[i] == compared.edited[i]) ++i;
    return i;
}

} // namespace kvasir::ui
