#include "tests/kernels/attention_data.hpp"
#include "tests/kernels/check.hpp"

#include <cmath>

namespace kvasir::kernels {

std::vector<AttentionCase> attention_probs_cases() {
    std::vector<AttentionCase> cases;
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
        const std::string t = name_of(type);
        for (const uint32_t head_dim : {4u, type == KvType::f32 ? 20u : 80u})
            cases.push_back({t + ", head_dim " + std::to_string(head_dim), type, 4, 2, head_dim, 60, 7});
        cases.push_back({t + ", 6 heads on 1", type, 6, 1, 20, 130, 33});
        cases.push_back({t + ", the first token", type, 4, 4, 20, 0, 1});
        cases.push_back({t + ", one token in splits", type, 4, 2, 20, 257, 1, 0, false, 5});
    }
    cases.push_back({"a window", KvType::f16, 4, 2, 20, 300, 3, 130});
    cases.push_back({"ALiBi", KvType::f16, 4, 2, 20, 200, 3, 0, true});
    cases.push_back({"ALiBi in a window, one token", KvType::f16, 6, 2, 20, 200, 1, 70, true});
    cases.push_back({"soft-cap and ALiBi", KvType::f16, 4, 2, 20, 200, 3, 0, true, 1, 8, 3});
    cases.push_back({"values in keys", KvType::q8_0, 5, 1, 44, 100, 3, 0, false, 1, 1, 0, 34});
    cases.push_back({"large scores", KvType::f16, 4, 2, 20, 200, 7, 0, false, 1, 80});
    return cases;
}

namespace {

/// attention, then attention_probs, as a probe does.
struct Probed {
    Output o, probs;

    Probed(Device& device, const Tuning& tuning, const AttentionCase& one, AttentionData& data,
           uint32_t n_keys)
        : o(device, one.n_tokens, one.n_heads * data.value_dim),
          probs(device, uint64_t(one.n_tokens) * one.n_heads * n_keys) {
        const uint32_t n_rows = one.n_tokens * one.n_heads;
        data.scratch.stats = Buffer(device, uint64_t(n_rows) * 8, Memory::device, "stats");
        data.scratch.parts =
            Buffer(device, uint64_t(one.n_splits) * n_rows * one.head_dim * 4, Memory::device, "parts");
        data.scratch.part_stats =
            Buffer(device, uint64_t(one.n_splits) * n_rows * 8, Memory::device, "part stats");
        Stage stage(device, tuning);
        stage.state().pos = one.pos;
        stage.run(one.n_tokens, [&](const Step& step) {
            ops::attention(step, o.rows, data.scratch, data.queries, data.shuffled.cache, 1, data.m,
                           one.n_splits);
            ops::attention_probs(step, probs.rows.buffer, data.scratch, data.queries, data.shuffled.cache, 1,
                                 data.m, n_keys);
        });
        o.read();
        probs.read();
    }
};

/// Keys that a probe is recorded for: more than there are.
uint32_t probed_keys(const AttentionData& data) {
    return data.n_keys + 33;
}

} // namespace

/// p = exp(score - max) / sum with attention's (max, sum): its own score is off as much as attention's.
CaseResult run_probs(Device& device, const Tuning& tuning, const AttentionCase& one) {
    AttentionData data(device, Random(), one);
    const uint32_t n_keys = probed_keys(data);
    Probed probed(device, tuning, one, data, n_keys);
    const uint64_t key_bytes = uint64_t(data.n_keys - data.first_visible) *
                               (data.m.kv_bytes_per_token(one.type) / data.m.n_layers) / 2;
    Comparison comparison(
        one.name, key_bytes + (data.q.size() + uint64_t(one.n_tokens) * one.n_heads * (n_keys + 2)) * 4);
    const double adding = ulp * (3.0 * data.n_keys + 16);
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t h = 0; h < one.n_heads; ++h) {
            const uint32_t row = t * one.n_heads + h;
            const auto bounds = data.bounds(one, t, h);
            for (uint32_t j = 0; j < n_keys; ++j) {
                const double p =
                    j < data.n_keys ? data.expected.probabilities[uint64_t(row) * data.n_keys + j] : 0;
                // e^-87 and less are too small for a normal float32
                const double bound =
                    p > 0
                        ? p * (bounds.relative[j] + bounds.of_average + bounds.of_scores + adding) + 0x1p-126
                        : 0;
                probed.probs.expect(comparison, uint64_t(row) * n_keys + j, p, bound);
            }
        }
    probed.probs.finish(comparison);
    return comparison.result();
}

TEST_CASE("attention_probs") {
    check_all(attention_probs_cases(), true, &run_probs);
}

TEST_CASE("probabilities of a row sum to 1, and with V are what attention gave") {
    for (const auto& [tuning_name, tuning] : tunings(test_device(), true))
        for (const AttentionCase& one : attention_probs_cases()) {
            CAPTURE(tuning_name);
            CAPTURE(one.name);
            AttentionData data(test_device(), Random(), one);
            const uint32_t n_keys = probed_keys(data);
            const Probed probed(test_device(), tuning, one, data, n_keys);
            double worst_sum = 0, difference = 0, size = 0;
            for (uint32_t row = 0; row < one.n_tokens * one.n_heads; ++row) {
                const uint32_t t = row / one.n_heads, h = row % one.n_heads,
                               kv_head = h / (one.n_heads / one.n_kv_heads);
                double sum = 0;
                for (uint32_t j = 0; j < n_keys; ++j) sum += probed.probs.found(uint64_t(row) * n_keys + j);
                worst_sum = std::max(worst_sum, std::abs(sum - 1));
                for (uint32_t d = 0; d < data.value_dim; ++d) {
                    double o = 0;
                    for (uint32_t j = 0; j < data.n_keys; ++j)
                        o += probed.probs.found(uint64_t(row) * n_keys + j) *
                             data.v[(uint64_t(j) * one.n_kv_heads + kv_head) * data.value_dim + d];
                    difference = std::max(
                        difference, std::abs(o - probed.o.found(probed.o.at(t, h * data.value_dim + d))));
                    size = std::max(size, std::abs(o));
                }
            }
            CHECK(worst_sum < 1e-5);
            CHECK(difference < 1e-4 * size);
        }
}

} // namespace kvasir::kernels
