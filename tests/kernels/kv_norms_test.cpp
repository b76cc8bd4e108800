#include "tests/kernels/attention_data.hpp"
#include "tests/kernels/check.hpp"

#include <cmath>

namespace kvasir::kernels {

std::vector<AttentionCase> kv_norms_cases() {
    std::vector<AttentionCase> cases;
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
        const std::string t = name_of(type);
        for (const uint32_t head_dim : {4u, 20u, 64u, 80u, 128u})
            cases.push_back({t + ", head_dim " + std::to_string(head_dim), type, 4, 2, head_dim, 70, 1});
        cases.push_back({t + ", one key", type, 1, 1, 20, 0, 1});
        cases.push_back({t + ", 257 keys", type, 3, 3, 20, 256, 1});
        cases.push_back({t + ", values in keys", type, 5, 1, 44, 70, 1, 0, false, 1, 1, 0, 34});
        cases.push_back({t + ", pages that the window has released", type, 4, 2, 20, 300, 1, 65});
    }
    return cases;
}

/// A sum of head_dim squares, each with two roundings and a block's scale with three more, halved by the
/// root, which is good to 3 ulp as 1 / inversesqrt (Vulkan specification, "Precision and Operation of SPIR-V
/// Instructions").
CaseResult run_kv_norms(Device& device, const Tuning& tuning, const AttentionCase& one) {
    const AttentionData data(device, Random(), one);
    Output norms(device, uint64_t(2) * one.n_kv_heads * data.n_keys);
    Stage stage(device, tuning);
    stage.run(1, [&](const Step& step) {
        ops::kv_norms(step, norms.rows.buffer, data.shuffled.cache, 1, data.m, data.n_keys);
    });

    const uint64_t kv_bytes = uint64_t(data.n_keys) * (data.m.kv_bytes_per_token(one.type) / data.m.n_layers);
    Comparison comparison(one.name, kv_bytes + uint64_t(2) * one.n_kv_heads * data.n_keys * 4);
    norms.read();
    for (const bool is_v : {false, true})
        for (uint32_t head = 0; head < one.n_kv_heads; ++head)
            for (uint32_t pos = 0; pos < data.n_keys; ++pos) {
                const uint64_t index = (uint64_t(is_v) * one.n_kv_heads + head) * data.n_keys + pos;
                const bool released =
                    data.shuffled.image.page_table[pos / PageTable::page_size] == PageTable::unused;
                const bool stored = pos >= data.first_visible;
                double squares = 0;
                const uint32_t width = is_v ? data.value_dim : one.head_dim;
                for (uint32_t c = 0; stored && c < width; ++c) {
                    const double x =
                        (is_v ? data.v : data.k)[(uint64_t(pos) * one.n_kv_heads + head) * width + c];
                    squares += x * x;
                }
                if (!stored && !released) { // poison in a page that is still there
                    CHECK(std::isnan(norms.found(index)));
                    Comparison ignored("", 0);
                    norms.expect(ignored, index, 0, 0);
                    continue;
                }
                const double norm = std::sqrt(squares);
                norms.expect(comparison, index, norm, norm * ((one.head_dim + 5) * rounding + 4 * ulp));
            }
    norms.finish(comparison);
    return comparison.result();
}

TEST_CASE("kv_norms") {
    check_all(kv_norms_cases(), false, &run_kv_norms);
}

} // namespace kvasir::kernels
