#include "ui/kv_numbers.hpp"
#include "ui/position_numbers.hpp"
#include "ui/time_numbers.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

// The arithmetic behind the panels, against its own definitions.

namespace kvasir::ui {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Softmax rows of known scores.
struct Rows {
    std::vector<std::vector<float>> p;
    std::vector<std::span<const float>> spans() const { return {p.begin(), p.end()}; }
};

float content_of(uint32_t i, uint32_t j) {
    return std::sin(float(i) * 1.3f) * std::cos(float(j) * 0.7f) * 3;
}

/// Rows of positions [first, first + n) of a head with that slope.
Rows rows_with(float slope, uint32_t first, uint32_t n) {
    Rows rows;
    for (uint32_t i = first; i < first + n; ++i) {
        std::vector<double> e(i + 1);
        double sum = 0;
        for (uint32_t j = 0; j <= i; ++j) sum += e[j] = std::exp(content_of(i, j) - slope * float(i - j));
        rows.p.emplace_back();
        for (const double x : e) rows.p.back().push_back(float(x / sum));
    }
    return rows;
}

} // namespace

TEST_CASE("panels: content + bias is the score in every cell, and the content is the head's own") {
    const float slope = 0.25f;
    const Rows rows = rows_with(slope, 5, 20);
    const ScoreParts parts = score_parts(rows.spans(), 5, slope);
    REQUIRE(parts.n == 20);
    for (uint32_t i = 0; i < parts.n; ++i)
        for (uint32_t j = 0; j < parts.n; ++j) {
            const size_t at = parts.cell(i, j);
            if (j > i) {
                CHECK(std::isnan(parts.score[at]));
                CHECK(std::isnan(parts.content[at]));
                continue;
            }
            CHECK(parts.bias[at] == -slope * float(i - j));
            CHECK(parts.content[at] + parts.bias[at] == doctest::Approx(parts.score[at]).epsilon(1e-5));
            // Up to the row's constant: differences within a row are the known ones.
            const float from_diagonal = parts.content[at] - parts.content[parts.cell(i, i)];
            CHECK(from_diagonal ==
                  doctest::Approx(content_of(5 + i, 5 + j) - content_of(5 + i, 5 + i)).epsilon(1e-3));
        }
}

TEST_CASE("panels: cells without a probability to take a logarithm of are neutral") {
    const std::vector<float> row{0.5f, 0, nan, 1e-42f, -0.1f, INFINITY, 0.5f};
    const std::vector<std::span<const float>> rows{{}, {}, {}, {}, {}, {}, row};
    const ScoreParts parts = score_parts(rows, 0, 1);
    for (uint32_t j = 0; j < 7; ++j) {
        CAPTURE(j);
        CHECK(std::isfinite(parts.score[parts.cell(6, j)]) == (j == 0 || j == 6));
        CHECK(std::isnan(parts.score[parts.cell(5, std::min(j, 5u))])); // a row that was not read
    }
    CHECK(parts.largest() == doctest::Approx(6)); // the bias at distance 6 beats ln 2
    CHECK(score_parts({}, 0, 1).largest() == 0);
}

TEST_CASE("panels: twelve heads sort by slope, the last four named as the tail") {
    const auto sorted = sorted_slopes(alibi_slopes(12, 8));
    REQUIRE(sorted.size() == 12);
    int tail = 0;
    for (size_t i = 0; i < 12; ++i) {
        if (i) CHECK(sorted[i - 1].slope >= sorted[i].slope);
        CHECK(sorted[i].tail == (sorted[i].head >= 8));
        tail += sorted[i].tail;
        CHECK(std::exp(-sorted[i].slope * sorted[i].reach) == doctest::Approx(0.001));
    }
    CHECK(tail == 4);
    CHECK(sorted[0].head == 8); // 2^-0.5, between nothing and the 2^-1 of head 0
    for (const HeadSlope& h : sorted_slopes(alibi_slopes(8, 8))) CHECK(!h.tail);
    const std::vector<float> none(3);
    CHECK(std::isinf(sorted_slopes(none)[0].reach));
}

TEST_CASE("panels: an edit of RoPE changes what it names") {
    ModelSpec spec;
    spec.rope = Rope::pairs, spec.rope_dim = 4, spec.rope_base = 10000, spec.n_ctx = 2048, spec.head_dim = 4;
    spec.rope_scaling = RopeScaling::factors, spec.rope_factors = {1, 2}, spec.rope_factor = 1;
    CHECK(edited_rope(spec, {}) == spec);
    PositionEdit edit{.slopes = {}, .rope_base = 500, .rope_scaling = {}, .rope_factor = 3};
    CHECK(edited_rope(spec, edit).rope_base == 500);
    CHECK(edited_rope(spec, edit).rope_factors == spec.rope_factors);
    edit.rope_scaling = RopeScaling::linear;
    CHECK(edited_rope(spec, edit).rope_factor == 3);
    CHECK(edited_rope(spec, edit).rope_factors.empty());
    edit.rope_scaling = RopeScaling::none;
    CHECK(edited_rope(spec, edit).rope_factor == 1);
    ModelSpec without;
    CHECK(edited_rope(without, edit) == without);
}

TEST_CASE("panels: the first difference of two texts") {
    CHECK(first_difference({{"a", "b"}, {"a", "c"}, {}}) == 1);
    CHECK(first_difference({{"a", "b"}, {"a", "b"}, {}}) == 2);
    CHECK(first_difference({{"a"}, {"a", "b"}, {}}) == 1);
    CHECK(first_difference({}) == 0);
}

TEST_CASE("panels: the KV table is plain arithmetic") {
    ModelSpec spec;
    spec.n_layers = 6, spec.n_heads = 12, spec.n_kv_heads = 4, spec.head_dim = 64, spec.n_ctx = 4096;
    const auto costs = kv_costs(spec, KvType::f16, 1500, 4096);
    const auto bytes = [](uint64_t kv_heads,
                          uint64_t positions) { // keys and values, 6 layers, 64 halves each
        return 2 * 6 * kv_heads * 64 * 2 * positions;
    };
    const std::vector<std::pair<std::string, uint32_t>> expected{
        {"as it is", 4},    {"as MHA", 12},     {"as GQA of 6", 6},
        {"as GQA of 3", 3}, {"as GQA of 2", 2}, {"as MQA", 1},
    };
    REQUIRE(costs.size() == expected.size() + 1);
    for (size_t i = 0; i < expected.size(); ++i) {
        CHECK(costs[i].name == expected[i].first);
        CHECK(costs[i].n_kv_heads == expected[i].second);
        CHECK(costs[i].now == bytes(expected[i].second, 1500));
        CHECK(costs[i].at_full == bytes(expected[i].second, 4096));
    }
    CHECK(costs.back().now == bytes(4, 1024));
    CHECK(costs.back().at_full == bytes(4, 1024));
    spec.window = 100;
    CHECK(kv_costs(spec, KvType::f16, 1500, 4096)[0].now == bytes(4, 100));
    spec.window_period = 2; // every second layer sees all
    CHECK(kv_costs(spec, KvType::f16, 1500, 4096)[0].now == bytes(4, 1500));
    CHECK(kv_costs(spec, KvType::f16, 0, 4096)[0].now == 0);
}

TEST_CASE("panels: whether a cache fits is said before it is asked for") {
    RunningModel model;
    model.spec.n_layers = 2, model.spec.n_heads = 4, model.spec.n_kv_heads = 2, model.spec.head_dim = 32;
    model.kv_bytes = 1000;
    const uint64_t a_position = 2 * 2 * 2 * 32 * 4;
    KvPlan plan = plan_kv(model, 0, 0, KvType::f32, 65);
    CHECK(plan.bytes == a_position * 128); // two pages
    CHECK(plan.available == 0);
    CHECK(plan.fits()); // not known: not refused
    plan = plan_kv(model, a_position * 128 + 500, 1500, KvType::f32, 65);
    CHECK(plan.available == a_position * 128);
    CHECK(plan.fits());
    CHECK(!plan_kv(model, a_position * 128 + 499, 1500, KvType::f32, 65).fits());
    CHECK(!plan_kv(model, 10, 5000, KvType::f32, 1).fits()); // over budget already
}

TEST_CASE("panels: positions hardly read are those below a thousandth of the mean") {
    std::vector<float> reads(1000, 1.0f);
    reads[3] = 0, reads[4] = 9e-4f, reads[5] = 2e-3f, reads[6] = nan;
    const Aging aging = aging_of(reads);
    CHECK(aging.hardly_read == 2);
    CHECK(aging.not_numbers == 1);
    CHECK(aging.n == 999);
    CHECK(aging_of({}).hardly_read == 0);
    const std::vector<float> broken(4, nan);
    CHECK(aging_of(broken).mean == 0);
}

TEST_CASE("panels: times add up by layer and by operation") {
    const Profile profile{
        {"embed", -1, 1, 1, 100},         {"norm", 0, 2, 2, 0},   {"linear a", 0, 1, 4, 8000},
        {"linear a", 1, 1, 5, 8000},      {"norm", 1, 2, 2, 0},   {"linear head", -1, 1, 6, 50},
        {"broken", 0, 1, double(nan), 1}, {"broken", 0, 1, -1, 1}};
    const auto rows = times_by_layer(profile);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].layer == 0);
    CHECK(rows[1].layer == 1);
    CHECK(rows[2].layer == -1);
    CHECK(rows[0].ms == 6);
    CHECK(rows[2].ms == 7);
    CHECK(rows[0].bars[1].op == "linear a");
    const TimeRow all = times_by_operation(profile);
    CHECK(all.ms == 20);
    CHECK(all.bars[0].op == "linear a");
    CHECK(all.bars[0].ms == 9);
    CHECK(all.bars[0].bytes == 16000);
    CHECK(all.bars[0].bytes_s() == doctest::Approx(16000 / 0.009));
    CHECK(kind_of("linear Q8_0 [1, 2]") == "linear");
    CHECK(kind_of("norm") == "norm");
}

} // namespace kvasir::ui
