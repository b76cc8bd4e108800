#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include "shaders/push.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace kvasir::kernels {

std::vector<AttentionMergeCase> attention_merge_cases() {
    std::vector<AttentionMergeCase> cases;
    for (const uint32_t n_splits : {1u, 2u, 7u, 32u})
        for (const uint32_t head_dim : {4u, 20u, 128u})
            cases.push_back({"splits " + std::to_string(n_splits) + ", head_dim " + std::to_string(head_dim),
                             3, head_dim, n_splits});
    cases.push_back({"parts without keys", 5, 31, 7, 6});
    cases.push_back({"one head", 1, 33, 3, 1});
    return cases;
}

/// o = sum of a_s e^(m_s - m) / sum of l_s e^(m_s - m): each exponential 3 + 2 |m_s - m| ulp and a rounding
/// of the difference (Vulkan specification, "Precision and Operation of SPIR-V Instructions"), each of the
/// two sums a rounding a term and one for its product, the division 2.5 ulp.
CaseResult run(Device& device, const Tuning& tuning, const AttentionMergeCase& one) {
    Random random;
    const uint32_t n_rows = one.n_heads, n_part_rows = one.n_splits * n_rows;
    Values parts = random.values(uint64_t(n_part_rows) * one.head_dim), stats(uint64_t(n_part_rows) * 2);
    for (uint32_t i = 0; i < n_part_rows; ++i) {
        const bool empty = i / n_rows >= one.n_splits - one.n_empty;
        stats[i * 2] = empty ? static_cast<float>(-1e30) : static_cast<float>(random.uniform(-40, 40));
        stats[i * 2 + 1] = empty ? 0 : static_cast<float>(random.uniform(1, 100));
        for (uint32_t d = 0; empty && d < one.head_dim; ++d) parts[uint64_t(i) * one.head_dim + d] = 0;
    }
    const Buffer part_buffer = upload(device, parts), stat_buffer = upload(device, stats);
    Output o(device, 1, n_rows * one.head_dim), merged(device, uint64_t(n_rows) * 2);
    Stage stage(device, tuning);
    const push::AttentionMerge push{n_rows, one.n_heads, one.head_dim, o.rows.stride, one.n_splits};
    const std::array<const Buffer*, 4> buffers{&part_buffer, &stat_buffer, &o.rows.buffer,
                                               &merged.rows.buffer};
    stage.run(1, [&](const Step& step) {
        const uint32_t workgroup = tuning.plain_workgroup;
        step.gpu.dispatch(device.pipeline("attention_merge", {workgroup}), buffers, push,
                          {(n_rows * one.head_dim + workgroup - 1) / workgroup, 1, 1}, "attention merge", {});
    });

    Comparison comparison(one.name,
                          (parts.size() + stats.size() + uint64_t(n_rows) * (one.head_dim + 2)) * 4);
    o.read();
    merged.read();
    for (uint32_t r = 0; r < n_rows; ++r) {
        double most = -HUGE_VAL, sum = 0, farthest = 0;
        for (uint32_t s = 0; s < one.n_splits; ++s) most = std::max(most, stats[(s * n_rows + r) * 2]);
        Values value(one.head_dim), size(one.head_dim);
        for (uint32_t s = 0; s < one.n_splits; ++s) {
            const double distance = most - stats[(s * n_rows + r) * 2], weight = std::exp(-distance);
            if (weight > 0) farthest = std::max(farthest, distance);
            sum += stats[(s * n_rows + r) * 2 + 1] * weight;
            for (uint32_t d = 0; d < one.head_dim; ++d) {
                value[d] += parts[(uint64_t(s) * n_rows + r) * one.head_dim + d] * weight;
                size[d] += std::abs(parts[(uint64_t(s) * n_rows + r) * one.head_dim + d]) * weight;
            }
        }
        const double relative = ulp * (3 + 3 * farthest + one.n_splits + 2);
        merged.expect(comparison, r * 2, most, 0);
        merged.expect(comparison, r * 2 + 1, sum, sum * relative);
        for (uint32_t d = 0; d < one.head_dim; ++d)
            o.expect(comparison, o.at(0, r * one.head_dim + d), value[d] / sum,
                     size[d] / sum * (2 * relative + 3 * ulp));
    }
    o.finish(comparison);
    merged.finish(comparison);
    return comparison.result();
}

TEST_CASE("attention_merge") {
    check_all(attention_merge_cases(), false,
              static_cast<CaseResult (*)(Device&, const Tuning&, const AttentionMergeCase&)>(&run));
}

} // namespace kvasir::kernels
