#include "ui/derived_map.hpp"

#include <algorithm>
#include <limits>

namespace kvasir::ui {
namespace {

/// Mean of a row over heads, without the masked keys. Gives their share.
float mean_row(const AttentionView& view, const MapChoice& c, uint32_t first, uint32_t last, uint32_t row,
               std::vector<float>& out) {
    out.assign(size_t(row) + 1, 0);
    const float weight = 1 / static_cast<float>(last - first);
    for (uint32_t h = first; h < last; ++h) {
        const std::span<const float> p = view.map(c.layer, h)->row(row);
        if (last - first == 1)
            std::copy(p.begin(), p.end(), out.begin());
        else
            for (size_t j = 0; j < p.size(); ++j) out[j] += p[j] * weight;
    }
    if (c.masked == 0) return 0;
    const size_t masked = std::min<size_t>(c.masked, out.size());
    double sum = 0, rest = 0; // the rest is added up by itself: 1 less a share near 1 has few digits left
    for (size_t j = 0; j < out.size(); ++j) (j < masked ? sum : rest) += out[j];
    std::fill_n(out.begin(), masked, 0.0f);
    if (rest > 0)
        for (size_t j = masked; j < out.size(); ++j) out[j] = static_cast<float>(out[j] / rest);
    return static_cast<float>(sum / (sum + rest));
}

/// The newest stamp of a row among heads; 0 where one has not read it.
uint64_t newest(const AttentionView& view, uint32_t layer, uint32_t first, uint32_t last, uint32_t row) {
    uint64_t stamp = 0;
    for (uint32_t h = first; h < last; ++h) {
        const HeadMap& map = *view.map(layer, h);
        if (row >= map.n() || map.stamp(row) == 0) return 0;
        stamp = std::max(stamp, map.stamp(row));
    }
    return stamp;
}

/// When row i was made of what there is now; 0: it cannot be made.
uint64_t sources(const AttentionView& view, const MapChoice& c, uint32_t row) {
    uint64_t stamp = newest(view, c.layer, c.first, c.last, row);
    if (stamp && c.minus_head) {
        const uint64_t other = newest(view, c.layer, *c.minus_head, *c.minus_head + 1, row);
        stamp = other ? std::max(stamp, other) : 0;
    }
    if (stamp && c.minus && (row >= c.minus->n() || c.minus->row(row).empty())) stamp = 0;
    return stamp;
}

bool heads_there(const AttentionView& view, const MapChoice& c) {
    for (uint32_t h = c.first; h < c.last; ++h)
        if (!view.map(c.layer, h)) return false;
    return !c.minus_head || view.map(c.layer, *c.minus_head);
}

} // namespace

const HeadMap* DerivedMap::update(const AttentionView& view, const MapChoice& choice, uint64_t max_cells) {
    if (choice != choice_) {
        choice_ = choice;
        map_ = {}, made_.clear(), shares_.clear();
        version_ = 0, done_ = false;
    }
    if (!heads_there(view, choice)) {
        done_ = true, version_ = 0;
        return nullptr;
    }
    const HeadMap& first = *view.map(choice.layer, choice.first);
    if (choice.plain()) {
        done_ = true;
        return &first;
    }
    if (done_ && version_ == view.version()) return &map_;
    const uint32_t n = first.n();
    map_.truncate(n);
    made_.resize(n, 0), shares_.resize(n, std::numeric_limits<float>::quiet_NaN());
    const uint64_t each = choice.last - choice.first + 1 + choice.difference();
    uint64_t cells = 0;
    done_ = true;
    for (uint32_t row = n; row-- > 0;) {
        const uint64_t stamp = sources(view, choice, row);
        if (stamp == 0 || made_[row] == stamp) continue;
        if (cells >= max_cells) {
            done_ = false;
            break;
        }
        make(view, row);
        made_[row] = stamp;
        cells += each * (row + 1);
    }
    if (done_) version_ = view.version();
    return &map_;
}

void DerivedMap::make(const AttentionView& view, uint32_t row) {
    const MapChoice& c = choice_;
    shares_[row] = mean_row(view, c, c.first, c.last, row, row_);
    if (c.minus_head) {
        mean_row(view, c, *c.minus_head, *c.minus_head + 1, row, other_);
        for (size_t j = 0; j < row_.size(); ++j) row_[j] -= other_[j];
    }
    if (c.minus)
        for (size_t j = 0; j < row_.size(); ++j) row_[j] -= c.minus->row(row)[j];
    map_.set_row(row, row_);
}

std::optional<double> DerivedMap::masked_share(uint32_t n_rows) const {
    if (choice_.masked == 0) return {};
    double sum = 0;
    uint32_t n = 0;
    for (size_t row = choice_.masked; row < std::min<size_t>(n_rows, shares_.size()); ++row)
        if (shares_[row] == shares_[row]) sum += shares_[row], ++n;
    if (n == 0) return {};
    return sum / n;
}

} // namespace kvasir::ui
