#include "shaders/lib/random.h"
#include "tests/reference/ops.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace kvasir::reference {

Values penalise(View logits, std::span<const int32_t> history, double penalty) {
    const auto recent = history.last(std::min(history.size(), penalty_window));
    Values y(logits.begin(), logits.end());
    for (int32_t id : std::set<int32_t>(recent.begin(), recent.end())) {
        double& l = y.at(size_t(id));
        l = l > 0 ? l / penalty : l * penalty;
    }
    return y;
}

Candidates candidates(View logits, std::span<const int32_t> history, const SamplerOptions& options) {
    if (logits.empty()) throw std::logic_error("candidates: no logits");
    const Values l = penalise(logits, history, options.repeat_penalty);
    std::vector<int32_t> ids(l.size());
    std::iota(ids.begin(), ids.end(), 0);
    // A stable sort leaves equal logits in the order of their ids.
    std::stable_sort(ids.begin(), ids.end(),
                     [&](int32_t a, int32_t b) { return l[size_t(a)] > l[size_t(b)]; });

    if (options.top_k > 0 && options.top_k < ids.size()) ids.resize(options.top_k);

    Values kept;
    for (int32_t id : ids) kept.push_back(l[size_t(id)]);
    const Values p = softmax(kept);
    size_t n = ids.size();
    if (options.top_p < 1) {
        double mass = p[0];
        for (n = 1; n < ids.size() && mass < options.top_p; ++n) mass += p[n];
    }
    while (n > 1 && p[n - 1] < options.min_p * p[0]) --n;
    ids.resize(n);
    kept.resize(n);
    return {ids, kept};
}

double gumbel(uint32_t seed, uint32_t position, int32_t id) {
    const double u = shader::random_numerator(seed, position, uint32_t(id)) / 16777216.0; // 2^24
    return -std::log(-std::log(u));
}

int32_t choose(const Candidates& from, double temperature, uint32_t seed, uint32_t position) {
    if (from.ids.empty()) throw std::logic_error("choose: no candidates");
    if (temperature == 0) return from.ids[0];
    int32_t best = -1;
    double best_score = 0;
    for (size_t i = 0; i < from.ids.size(); ++i) {
        const double score = from.logits[i] / temperature + gumbel(seed, position, from.ids[i]);
        if (best >= 0 && (score < best_score || (score == best_score && from.ids[i] > best))) continue;
        best = from.ids[i];
        best_score = score;
    }
    return best;
}

} // namespace kvasir::reference
