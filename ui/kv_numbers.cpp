#include "ui/kv_numbers.hpp"

#include "runtime/kv_sharing.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {

std::vector<KvCost> kv_costs(const ModelSpec& spec, KvType type, uint32_t length, uint32_t n_ctx) {
    std::vector<KvCost> costs;
    const auto add = [&](const std::string& name, const ModelSpec& as, uint32_t window) {
        const uint64_t bytes = as.kv_bytes_per_token(type);
        const auto kept = [&](uint32_t n) { return window ? std::min(n, window) : n; };
        costs.push_back({name, as.n_kv_heads, window, bytes * kept(length), bytes * kept(n_ctx)});
    };
    for (const KvSharing& sharing : kv_sharings(spec)) add(sharing.name, sharing.spec, spec.longest_window());
    constexpr uint32_t window = 1024;
    add("with a window of 1024", spec,
        spec.longest_window() ? std::min(window, spec.longest_window()) : window);
    return costs;
}

KvPlan plan_kv(const RunningModel& model, uint64_t budget, uint64_t usage, KvType type, uint32_t n_ctx) {
    const uint64_t positions = uint64_t{PageTable::pages_for(n_ctx)} * PageTable::page_size;
    KvPlan plan{.bytes = model.spec.kv_bytes_per_token(type) * positions};
    if (budget == 0) return plan;
    const uint64_t others = usage > model.kv_bytes ? usage - model.kv_bytes : 0;
    plan.available = budget > others ? budget - others : 1; // nothing is left, which is not "unknown"
    return plan;
}

Aging aging_of(std::span<const float> reads) {
    Aging aging;
    double sum = 0;
    for (const float read : reads) {
        if (!std::isfinite(read)) {
            ++aging.not_numbers;
            continue;
        }
        sum += read;
        aging.most = std::max(aging.most, read);
        ++aging.n;
    }
    if (aging.n == 0) return aging;
    aging.mean = static_cast<float>(sum / aging.n);
    for (const float read : reads)
        if (std::isfinite(read) && read < 1e-3f * aging.mean) ++aging.hardly_read;
    return aging;
}

} // namespace kvasir::ui
