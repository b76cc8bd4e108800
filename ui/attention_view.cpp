#include "ui/attention_view.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace kvasir::ui {
namespace {

constexpr uint32_t size = Thumbnail::size;

/// ln x of a number >= 0, to 2^-22; of 0 a number, so that 0 ln 0 is 0. Without branches or calls, which a
/// loop over vectors needs: std::log takes longer than all else that is done with a row.
float fast_log(float x) {
    constexpr int32_t half_root = 0x3f3504f3; // of sqrt(1/2): the mantissa lies around 1
    const auto bits = std::bit_cast<int32_t>(x);
    const int32_t exponent = (bits - half_root) >> 23;
    const float m = std::bit_cast<float>(bits - exponent * (1 << 23));
    const float s = (m - 1) / (m + 1), z = s * s; // ln m = 2 atanh s
    const float series = 1 + z * (1.0f / 3 + z * (1.0f / 5 + z * (1.0f / 7 + z * (1.0f / 9))));
    return static_cast<float>(exponent) * 0.69314718f + 2 * s * series;
}

/// Entropy in nats, and the mean distance of the keys from the last one.
struct Spread {
    double entropy = 0, distance = 0;
};
Spread spread(std::span<const float> row) {
    constexpr size_t n_lanes = 16, block = 512;
    Spread sum;
    for (size_t first = 0; first < row.size(); first += block) { // short sums in float, long ones in double
        const size_t last = std::min(first + block, row.size());
        float e[n_lanes] = {}, d[n_lanes] = {};
        size_t j = first;
        for (; j + n_lanes <= last; j += n_lanes)
            for (size_t k = 0; k < n_lanes; ++k) {
                e[k] -= row[j + k] * fast_log(row[j + k]);
                d[k] += row[j + k] * static_cast<float>(static_cast<int32_t>(row.size() - 1 - j - k));
            }
        for (; j < last; ++j) {
            e[0] -= row[j] * fast_log(row[j]);
            d[0] += row[j] * static_cast<float>(row.size() - 1 - j);
        }
        for (size_t k = 0; k < n_lanes; ++k) sum.entropy += e[k], sum.distance += d[k];
    }
    return sum;
}

} // namespace

void Thumbnail::add(uint32_t position, std::span<const float> row) {
    ++version;
    while (position >= n_keys) { // four squares become one
        std::vector<float> half(p.size(), HeadMap::unread);
        for (uint32_t r = 0; r < size; ++r)
            for (uint32_t c = 0; c <= r; ++c) {
                float& to = half[size_t(r / 2) * size + c / 2];
                to = stronger(to, p[size_t(r) * size + c]);
            }
        p = std::move(half);
        n_keys *= 2;
    }
    const uint32_t each = n_keys / size;
    float* out = &p[size_t(position / each) * size];
    if (position % each == 0) std::fill_n(out, size, HeadMap::unread); // read anew: the old rows go
    for (size_t first = 0, c = 0; first < row.size(); first += each, ++c)
        out[c] = stronger(out[c], strongest(row.subspan(first, std::min<size_t>(each, row.size() - first))));
}

void Thumbnail::truncate(uint32_t n) {
    const uint32_t each = n_keys / size, rows = std::min((n + each - 1) / each, size);
    if (rows == size) return;
    std::fill(p.begin() + ptrdiff_t(rows) * size, p.end(), HeadMap::unread);
    ++version;
    while (n_keys > size && n <= n_keys / 2) { // one square becomes four
        std::vector<float> twice(p.size(), HeadMap::unread);
        for (uint32_t r = 0; r < size; ++r)
            for (uint32_t c = 0; c <= r; ++c) twice[size_t(r) * size + c] = p[size_t(r / 2) * size + c / 2];
        p = std::move(twice);
        n_keys /= 2;
    }
    const uint32_t left = (n + n_keys / size - 1) / (n_keys / size);
    std::fill(p.begin() + ptrdiff_t(left) * size, p.end(), HeadMap::unread);
}

void AttentionView::reset(uint32_t n_layers, uint32_t n_heads) {
    const uint64_t version = version_ + 1, limit = limit_;
    *this = {};
    version_ = version, limit_ = limit;
    n_layers_ = n_layers, n_heads_ = n_heads;
    const size_t n = size_t(n_layers) * n_heads;
    thumbnails_.resize(n), metrics_.resize(n), sums_.resize(n);
    for (Thumbnail& thumbnail : thumbnails_) thumbnail.version = version;
}

void AttentionView::keep_layer(std::optional<uint32_t> layer) {
    if (layer == layer_) return;
    assert(!layer || *layer < n_layers_);
    layer_ = layer;
    maps_.assign(layer ? n_heads_ : 0, {});
    kept_.assign(maps_.size(), true);
    reads_.clear(), read_sums_.clear(), read_weight_ = 0;
    ++version_;
}

void AttentionView::focus(uint32_t head) {
    if (head == focus_) return;
    focus_ = head;
    if (head < kept_.size()) kept_[head] = true;
    ++version_;
    keep_limit();
}

void AttentionView::set_limit(uint64_t bytes) {
    limit_ = bytes;
    keep_limit();
}

void AttentionView::keep_limit() {
    uint64_t total = bytes();
    for (size_t h = maps_.size(); h-- > 0 && total > limit_;) {
        if (h == focus_ || !kept_[h]) continue;
        total -= maps_[h].bytes();
        maps_[h] = {};
        kept_[h] = false;
        ++version_;
    }
}

void AttentionView::truncate(uint32_t n) {
    for (HeadMap& map : maps_) map.truncate(n);
    for (Thumbnail& thumbnail : thumbnails_) thumbnail.truncate(n);
    for (size_t i = 0; i < sums_.size(); ++i) {
        Sums& s = sums_[i];
        if (s.rows <= n) continue;
        const double weight = n / s.rows;
        for (double* sum : {&s.rows, &s.entropy, &s.sink, &s.distance, &s.previous, &s.induction})
            *sum *= weight;
        metrics_[i].n_rows = n;
        if (n == 0) metrics_[i] = {};
    }
    if (n < reads_.size()) reads_.resize(n), read_sums_.resize(n);
    if (n == 0) read_weight_ = 0;
    learn(std::span(ids_).first(std::min(size_t(n), ids_.size())));
    ++version_;
}

/// Takes over the tokens of the sequence; what was known of those before the first other one stays.
void AttentionView::learn(std::span<const int32_t> ids) {
    const size_t both = std::min(ids.size(), ids_.size());
    const size_t same =
        size_t(std::mismatch(ids_.begin(), ids_.begin() + ptrdiff_t(both), ids.begin()).first - ids_.begin());
    while (ids_.size() > same) {
        if (earlier_.back() < 0)
            last_.erase(ids_.back());
        else
            last_[ids_.back()] = earlier_.back();
        ids_.pop_back(), earlier_.pop_back();
    }
    for (size_t i = same; i < ids.size(); ++i) {
        const auto [place, fresh] = last_.try_emplace(ids[i], -1);
        earlier_.push_back(place->second);
        place->second = int64_t(i);
        ids_.push_back(ids[i]);
    }
}

void AttentionView::measure(Sums& sums, uint32_t position, std::span<const float> row) const {
    if (position == 0) return;
    const Spread s = spread(row);
    double induction = 0;
    for (int64_t i = earlier_[position]; i >= 0; i = earlier_[size_t(i)])
        if (i + 1 < position && row[size_t(i) + 1] >= 0.01f) induction += row[size_t(i) + 1];
    sums.rows += 1;
    sums.entropy += s.entropy, sums.distance += s.distance, sums.induction += induction;
    sums.sink += row[0], sums.previous += row[position - 1];
}

void AttentionView::add(const AttentionRows& rows, std::span<const int32_t> ids) {
    assert(rows.layer < n_layers_ && rows.n_heads == n_heads_);
    assert(rows.first + rows.n_queries <= rows.n_keys && rows.first + rows.n_queries <= ids.size());
    learn(ids);
    for (uint32_t h = 0; h < n_heads_; ++h) {
        Thumbnail& thumbnail = thumbnails_[index(rows.layer, h)];
        Sums& s = sums_[index(rows.layer, h)];
        if (rows.first == 0) s = {};
        HeadMap* map = rows.layer == layer_ && kept_[h] ? &maps_[h] : nullptr;
        for (uint32_t q = 0; q < rows.n_queries; ++q) {
            const uint32_t position = rows.first + q;
            const std::span<const float> row(&rows.p[(size_t(q) * n_heads_ + h) * rows.n_keys],
                                             size_t(position) + 1);
            if (map) map->set_row(position, row);
            if (all_numbers(row)) {
                thumbnail.add(position, row);
                measure(s, position, row);
                continue;
            }
            std::vector<float> marked(row.begin(), row.end());
            for (float& p : marked) p = p - p == 0 ? p : HeadMap::broken;
            thumbnail.add(position, marked);
        }
        const auto mean = [&s](double sum) { return s.rows > 0 ? static_cast<float>(sum / s.rows) : 0; };
        metrics_[index(rows.layer, h)] = {uint64_t(std::lround(s.rows)),
                                          mean(s.entropy),
                                          mean(s.sink),
                                          mean(s.distance),
                                          mean(s.previous),
                                          mean(s.induction)};
    }
    if (rows.layer == layer_) {
        count_reads(rows);
        keep_limit();
    }
    ++version_;
}

void AttentionView::count_reads(const AttentionRows& rows) {
    constexpr uint32_t half_life = 16, remembered = half_life * 24; // older queries weigh less than 2^-24
    static const double decay = std::exp2(-1.0 / half_life);
    if (rows.first == 0) std::fill(read_sums_.begin(), read_sums_.end(), 0), read_weight_ = 0;
    const size_t n = size_t(rows.first) + rows.n_queries;
    if (n > read_sums_.size()) read_sums_.resize(n);
    for (uint32_t q = rows.n_queries > remembered ? rows.n_queries - remembered : 0; q < rows.n_queries;
         ++q) {
        for (double& sum : read_sums_) sum *= decay;
        read_weight_ = read_weight_ * decay + 1;
        for (uint32_t h = 0; h < n_heads_; ++h) {
            const std::span<const float> row(&rows.p[(size_t(q) * n_heads_ + h) * rows.n_keys],
                                             size_t(rows.first) + q + 1);
            if (!all_numbers(row)) continue;
            for (size_t j = 0; j < row.size(); ++j) read_sums_[j] += row[j] / n_heads_;
        }
    }
    reads_.resize(read_sums_.size());
    for (size_t j = 0; j < reads_.size(); ++j)
        reads_[j] = read_weight_ > 0 ? static_cast<float>(read_sums_[j] / read_weight_) : 0;
}

const HeadMap* AttentionView::map(uint32_t layer, uint32_t head) const {
    return layer_ == layer && head < maps_.size() && kept_[head] ? &maps_[head] : nullptr;
}

const Thumbnail& AttentionView::thumbnail(uint32_t layer, uint32_t head) const {
    return thumbnails_[index(layer, head)];
}

const HeadMetrics& AttentionView::metrics(uint32_t layer, uint32_t head) const {
    return metrics_[index(layer, head)];
}

uint64_t AttentionView::bytes() const {
    uint64_t total = 0;
    for (const HeadMap& map : maps_) total += map.bytes();
    return total;
}

} // namespace kvasir::ui
