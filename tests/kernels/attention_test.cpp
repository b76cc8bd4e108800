#include "tests/kernels/attention_data.hpp"
#include "tests/kernels/check.hpp"

#include <cmath>

namespace kvasir::kernels {

std::vector<AttentionCase> attention_cases() {
    std::vector<AttentionCase> cases;
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
        const std::string t = name_of(type);
        std::vector<uint32_t> head_dims = {4, 20, type == KvType::q8_0 ? 80u : 64u};
        if (type == KvType::f16) head_dims = {4, 20, 64, 80, 128};
        for (const uint32_t head_dim : head_dims)
            cases.push_back({t + ", head_dim " + std::to_string(head_dim), type, 4, 2, head_dim, 70, 1});
        cases.push_back({t + ", tokens", type, 4, 2, type == KvType::q8_0 ? 80u : 20u, 60, 7});
        for (const uint32_t n_kv_heads : {1u, 3u, 6u})
            cases.push_back(
                {t + ", 6 heads on " + std::to_string(n_kv_heads), type, 6, n_kv_heads, 20, 130, 33});
        cases.push_back({t + ", from the start", type, 4, 1, 20, 0, 31});
        cases.push_back({t + ", the first token", type, 4, 4, 20, 0, 1});
    }
    // What no layout decides is proven with one type and one head_dim, because each is a pipeline of its own.
    const KvType type = KvType::f16;
    for (const uint32_t n_tokens : {2u, 3u, 64u})
        cases.push_back({"tokens " + std::to_string(n_tokens), type, 4, 2, 20, 63, n_tokens});
    for (const uint32_t n_tokens : {1u, 7u}) {
        const std::string tokens = ", tokens " + std::to_string(n_tokens);
        cases.push_back({"a short window" + tokens, type, 4, 2, 20, 150, n_tokens, 5});
        cases.push_back({"a window of one" + tokens, type, 4, 2, 20, 150, n_tokens, 1});
        cases.push_back({"a window over pages" + tokens, type, 4, 2, 20, 300, n_tokens, 130});
        cases.push_back({"a window not yet full" + tokens, type, 4, 2, 20, 30, n_tokens, 4096});
        cases.push_back({"ALiBi" + tokens, type, 4, 2, 20, 200, n_tokens, 0, true});
        cases.push_back({"ALiBi of 6 heads in a window" + tokens, type, 6, 2, 20, 200, n_tokens, 70, true});
        cases.push_back({"large scores" + tokens, type, 4, 2, 20, 200, n_tokens, 0, false, 1, 80});
        cases.push_back({"larger scores than e^x has room for" + tokens, type, 4, 2, 20, 200, n_tokens, 0,
                         false, 1, 1000});
    }
    for (const uint32_t n_splits : {2u, 3u, 4u, 5u, 6u, 7u})
        for (const uint32_t pos : {0u, 2u, 257u})
            cases.push_back({"position " + std::to_string(pos) + " in splits " + std::to_string(n_splits),
                             type, 4, 2, 20, pos, 1, 0, false, n_splits});
    cases.push_back({"splits of a window with ALiBi", type, 4, 2, 20, 700, 1, 600, true, 4});
    cases.push_back({"splits of large scores", type, 4, 2, 20, 700, 1, 0, false, 7, 80});
    for (const uint32_t n_tokens : {1u, 7u}) {
        const std::string tokens = ", tokens " + std::to_string(n_tokens);
        cases.push_back({"soft-cap" + tokens, type, 4, 2, 20, 150, n_tokens, 0, false, 1, 8, 3});
        cases.push_back({"soft-cap and ALiBi" + tokens, type, 4, 2, 20, 150, n_tokens, 70, true, 1, 200, 50});
        for (const KvType each : {KvType::f32, KvType::f16, KvType::q8_0})
            cases.push_back({"values in keys, " + name_of(each) + tokens, each, 5, 1, 44, 150, n_tokens, 0,
                             false, 1, 1, 0, 34});
    }
    cases.push_back({"splits of values in keys", type, 5, 1, 44, 300, 1, 0, false, 3, 1, 0, 34});
    cases.push_back({"splits with a soft-cap", type, 4, 2, 20, 300, 1, 0, false, 3, 8, 3});
    cases.push_back({"splits of Q8_0", KvType::q8_0, 4, 1, 80, 300, 1, 0, false, 2});
    return cases;
}

CaseResult run(Device& device, const Tuning& tuning, const AttentionCase& one) {
    AttentionData data(device, Random(), one);
    const uint32_t n_rows = one.n_tokens * one.n_heads;
    Output o(device, one.n_tokens, one.n_heads * data.value_dim), stats(device, uint64_t(n_rows) * 2);
    data.scratch.parts =
        Buffer(device, uint64_t(one.n_splits) * n_rows * one.head_dim * 4, Memory::device, "parts");
    data.scratch.part_stats =
        Buffer(device, uint64_t(one.n_splits) * n_rows * 8, Memory::device, "part stats");
    data.scratch.stats = std::move(stats.rows.buffer);
    Stage stage(device, tuning);
    stage.state().pos = one.pos;
    stage.run(one.n_tokens, [&](const Step& step) {
        ops::attention(step, o.rows, data.scratch, data.queries, data.shuffled.cache, 1, data.m,
                       one.n_splits);
    });
    stats.rows.buffer = std::move(data.scratch.stats);

    const uint64_t kv_bytes =
        uint64_t(data.n_keys - data.first_visible) * (data.m.kv_bytes_per_token(one.type) / data.m.n_layers);
    Comparison comparison(one.name, kv_bytes + uint64_t(n_rows) * (one.head_dim * 8 + 8));
    o.read();
    stats.read();
    // the sum and the average add up to n_keys terms, in up to as many steps of a new maximum
    const double adding = ulp * (3.0 * data.n_keys + 16);
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t h = 0; h < one.n_heads; ++h) {
            const uint32_t row = t * one.n_heads + h;
            const auto bounds = data.bounds(one, t, h);
            const double of_sum = bounds.of_average + adding, sum = data.expected.sum[row];
            stats.expect(comparison, row * 2, data.expected.max[row], bounds.of_scores);
            stats.expect(comparison, row * 2 + 1, sum, sum * (of_sum + bounds.of_scores));
            for (uint32_t d = 0; d < data.value_dim; ++d) {
                double bound = 0;
                for (uint32_t j = data.first_visible; j < data.n_keys; ++j)
                    bound +=
                        data.expected.probabilities[uint64_t(row) * data.n_keys + j] *
                        (bounds.relative[j] + of_sum + adding) *
                        std::abs(data.v[(uint64_t(j) * one.n_kv_heads + h / (one.n_heads / one.n_kv_heads)) *
                                            data.value_dim +
                                        d]);
                o.expect(comparison, o.at(t, h * data.value_dim + d),
                         data.expected.o[uint64_t(row) * data.value_dim + d], bound);
            }
        }
    o.finish(comparison);
    stats.finish(comparison);
    return comparison.result();
}

TEST_CASE("attention") {
    check_all(
        attention_cases(), true,
        static_cast<CaseResult (*)(Device&, const Tuning&, const AttentionCase&)>(&run),
        +[](const AttentionCase& one) { return one.head_dim >= 64; });
}

} // namespace kvasir::kernels
