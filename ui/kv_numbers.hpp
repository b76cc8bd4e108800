#pragma once

#include "ui/snapshot.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kvasir::ui {

/// What the cache takes, or would take if the model shared its KV heads in another way.
struct KvCost {
    std::string name; ///< "as MQA"
    uint32_t n_kv_heads = 0;
    uint32_t window = 0;           ///< positions kept; 0: all
    uint64_t now = 0, at_full = 0; ///< bytes of the present length and of n_ctx
};

/// As it is, as each of kv_sharings(), and as it is with a window of 1024 positions.
std::vector<KvCost> kv_costs(const ModelSpec& spec, KvType type, uint32_t length, uint32_t n_ctx);

/// What a cache of another type or length would take, before it is asked for.
struct KvPlan {
    uint64_t bytes = 0;     ///< whole pages
    uint64_t available = 0; ///< what the driver leaves when the present cache has gone; 0: it does not say
    bool fits() const { return available == 0 || bytes <= available; }
};
KvPlan plan_kv(const RunningModel& model, uint64_t budget, uint64_t usage, KvType type, uint32_t n_ctx);

/// Positions that recent queries hardly read: below a thousandth of the mean of all.
struct Aging {
    float mean = 0, most = 0;
    uint32_t n = 0, hardly_read = 0, not_numbers = 0;
};
Aging aging_of(std::span<const float> reads);

} // namespace kvasir::ui
