#include "runtime/candidates.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace kvasir {
namespace {

constexpr size_t penalty_window = 64; // as in shaders/sample.comp

std::vector<float> penalised(std::span<const float> logits, std::span<const int32_t> history, float penalty) {
    std::vector<float> l(logits.begin(), logits.end());
    if (penalty == 1) return l;
    std::vector<int32_t> recent(history.end() - std::ptrdiff_t(std::min(history.size(), penalty_window)),
                                history.end());
    std::sort(recent.begin(), recent.end());
    recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
    for (const int32_t id : recent) {
        float& value = l[size_t(id)];
        value = value > 0 ? value / penalty : value * penalty;
    }
    return l;
}

/// The n largest, the largest first, of equal ones the lower id.
std::vector<int32_t> largest(std::span<const float> l, size_t n) {
    std::vector<int32_t> ids(l.size());
    std::iota(ids.begin(), ids.end(), 0);
    n = std::min(n, ids.size());
    std::partial_sort(ids.begin(), ids.begin() + std::ptrdiff_t(n), ids.end(), [&](int32_t a, int32_t b) {
        return l[size_t(a)] != l[size_t(b)] ? l[size_t(a)] > l[size_t(b)] : a < b;
    });
    ids.resize(n);
    return ids;
}

/// The smallest logit that each stage keeps. A tie at a stage's end is kept whole.
struct Thresholds {
    float top_k, top_p, min_p;
};

Thresholds thresholds(std::span<const float> l, const SamplerOptions& o) {
    const size_t most = o.top_k ? std::min<size_t>(o.top_k, l.size()) : l.size();
    const float best = *std::max_element(l.begin(), l.end());
    Thresholds t{-INFINITY, -INFINITY, -INFINITY};
    if (most < l.size()) t.top_k = l[size_t(largest(l, most).back())];
    double sum = 0;
    for (const float value : l) sum += value >= t.top_k ? std::exp(double(value) - best) : 0;
    // A few ids have nearly all the mass: a whole vocabulary is sorted only where it must be.
    double mass = 0;
    for (size_t n = 64; o.top_p < 1; n *= 8) {
        mass = 0;
        for (const int32_t id : largest(l, std::min(n, most))) {
            mass += std::exp(double(l[size_t(id)]) - best);
            t.top_p = l[size_t(id)];
            if (mass >= o.top_p * sum) break;
        }
        if (mass >= o.top_p * sum || n >= most) break;
    }
    if (o.min_p > 0) t.min_p = best + std::log(o.min_p);
    return t;
}

} // namespace

Candidates look_at_choice(std::span<const float> logits, std::span<const int32_t> history,
                          const SamplerOptions& options, int32_t chosen, uint32_t n) {
    assert(!logits.empty() && chosen >= 0 && size_t(chosen) < logits.size());
    const float best = *std::max_element(logits.begin(), logits.end());
    double sum = 0, weighted = 0; // of e^(l - best), and of (l - best) e^(l - best)
    for (const float l : logits) {
        const double d = double(l) - best, e = std::exp(d);
        sum += e;
        if (e > 0) weighted += d * e;
    }
    auto p = [&](int32_t id) { return float(std::exp(double(logits[size_t(id)]) - best) / sum); };
    Candidates result;
    result.chosen_p = p(chosen);
    result.entropy = float(std::log(sum) - weighted / sum);

    const auto l = penalised(logits, history, options.repeat_penalty);
    const Thresholds keep = thresholds(l, options);
    const float lowest = std::max({keep.top_k, keep.top_p, keep.min_p});
    const float top = *std::max_element(l.begin(), l.end());
    const double temperature = std::max(double(options.temperature), 1e-3); // greedy: all on the best
    double kept = 0;
    for (const float value : l) kept += value >= lowest ? std::exp((double(value) - top) / temperature) : 0;
    for (const int32_t id : largest(logits, n)) {
        Candidate& one = result.list.emplace_back();
        const float value = l[size_t(id)];
        one.id = id, one.p = p(id);
        one.fate = value < keep.top_k   ? Candidate::Fate::top_k
                   : value < keep.top_p ? Candidate::Fate::top_p
                   : value < keep.min_p ? Candidate::Fate::min_p
                                        : Candidate::Fate::kept;
        if (one.fate == Candidate::Fate::kept)
            one.p_final = float(std::exp((double(value) - top) / temperature) / kept);
    }
    return result;
}

} // namespace kvasir
