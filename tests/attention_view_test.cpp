#include "tests/ui_harness.hpp"
#include "ui/attention_view.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace kvasir::ui {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

bool same_bits(std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// The largest magnitude of a square by looking at every cell; broken before all, unread where there is none.
float brute_peak(const HeadMap& map, uint32_t side, uint32_t row, uint32_t key) {
    float most = HeadMap::unread;
    for (uint32_t r = row; r < std::min(row + side, map.n()); ++r)
        for (uint32_t c = key; c < key + side && c < map.row(r).size(); ++c) {
            const float p = map.row(r)[c];
            if (!std::isfinite(p)) return HeadMap::broken;
            if (std::isnan(most) || std::abs(p) > std::abs(most)) most = p;
        }
    return most;
}

void check_pyramid(const HeadMap& map) {
    CAPTURE(map.n());
    size_t wrong = 0;
    for (uint32_t level = 0; level <= map.levels(); ++level)
        for (uint32_t row = 0; row < map.n(); row += 1u << level)
            for (uint32_t key = 0; key < map.n() + (1u << level); key += 1u << level) {
                const float is = map.peak(level, row, key), should = brute_peak(map, 1u << level, row, key);
                wrong += std::isnan(should) ? !std::isnan(is) : is != should;
            }
    CHECK(wrong == 0);
    CHECK((uint64_t(1) << map.levels()) >= map.n());
}

/// What the panel says that the metrics are, one loop each, in double.
struct Plain {
    double entropy = 0, sink = 0, distance = 0, previous = 0, induction = 0;
};
Plain plain_metrics(const std::vector<std::span<const float>>& rows, const std::vector<int32_t>& ids) {
    Plain sum;
    double n = 0;
    for (size_t q = 1; q < rows.size(); ++q, ++n)
        for (size_t j = 0; j <= q; ++j) {
            const double p = double(rows[q][j]);
            if (p > 0) sum.entropy -= p * std::log(p);
            sum.distance += p * double(q - j);
            if (j == 0) sum.sink += p;
            if (j + 1 == q) sum.previous += p;
            if (j > 0 && j < q && ids[j - 1] == ids[q] && rows[q][j] >= 0.01f) sum.induction += p;
        }
    for (double* value : {&sum.entropy, &sum.sink, &sum.distance, &sum.previous, &sum.induction}) *value /= n;
    return sum;
}

} // namespace

TEST_CASE("attention view: rows are kept bit for bit, from chunks and one by one") {
    AttentionView view;
    view.reset(3, 2);
    view.keep_layer(1);
    const auto ids = some_ids(40);
    const AttentionRows chunk = random_rows(1, 0, 33, 2, 1), one = random_rows(1, 33, 1, 2, 2);
    view.add(chunk, ids);
    view.add(one, ids);
    view.add(random_rows(2, 0, 34, 2, 3), ids);
    for (uint32_t h = 0; h < 2; ++h) {
        REQUIRE(view.map(1, h));
        CHECK(view.map(1, h)->n() == 34);
        CHECK(view.map(1, h)->n_read() == 34);
        for (uint32_t q = 0; q < 33; ++q) CHECK(same_bits(view.map(1, h)->row(q), row_of(chunk, q, h)));
        CHECK(same_bits(view.map(1, h)->row(33), row_of(one, 0, h)));
    }
    CHECK(view.map(2, 0) == nullptr); // not watched: no map, but a thumbnail and metrics
    CHECK(view.metrics(2, 0).n_rows == 33);
    CHECK(!std::isnan(view.thumbnail(2, 1).p[0]));
}

TEST_CASE("attention view: the pyramid holds the largest of each square, at ragged sizes") {
    for (const uint32_t n : {1u, 31u, 33u, 257u}) {
        const AttentionRows rows = random_rows(0, 0, n, 1, n);
        HeadMap map;
        for (uint32_t q = 0; q < n; ++q) map.set_row(q, row_of(rows, q, 0));
        check_pyramid(map);
        map.truncate(n / 2 + 1);
        check_pyramid(map);
        map.truncate(0);
        CHECK(map.n() == 0);
        CHECK(map.n_read() == 0);
        CHECK(map.levels() == 0);
    }
}

TEST_CASE("attention view: rows in any order, replaced, negative, missing, and none that are numbers") {
    HeadMap map;
    const AttentionRows rows = random_rows(0, 0, 67, 2, 5);
    for (const uint32_t q : {66u, 3u, 40u, 41u, 2u}) map.set_row(q, row_of(rows, q, 0));
    CHECK(map.n() == 67);
    CHECK(map.n_read() == 5);
    CHECK(map.row(50).empty());
    check_pyramid(map);
    std::vector<float> small(row_of(rows, 66, 1).begin(), row_of(rows, 66, 1).end());
    for (float& p : small) p *= -1e-3f; // the old row's larger values must go
    map.set_row(66, small);
    CHECK(map.n_read() == 5);
    check_pyramid(map);
    small[7] = nan;
    map.set_row(66, small);
    CHECK(std::isnan(map.row(66)[7]));
    CHECK(map.peak(map.levels(), 0, 0) == HeadMap::broken);
    check_pyramid(map);
    map.set_row(66, row_of(rows, 66, 0));
    CHECK(std::isfinite(map.peak()));
    check_pyramid(map);
}

TEST_CASE("attention view: metrics are those of their definitions") {
    for (const uint32_t n : {2u, 31u, 600u}) {
        AttentionView view;
        view.reset(1, 2);
        const auto ids = some_ids(n);
        const AttentionRows rows = random_rows(0, 0, n, 2, n);
        view.add(rows, ids);
        for (uint32_t h = 0; h < 2; ++h) {
            std::vector<std::span<const float>> all;
            for (uint32_t q = 0; q < n; ++q) all.push_back(row_of(rows, q, h));
            const Plain should = plain_metrics(all, ids);
            const HeadMetrics& is = view.metrics(0, h);
            CHECK(is.n_rows == n - 1);
            CHECK(is.entropy == doctest::Approx(should.entropy).epsilon(1e-5));
            CHECK(is.sink == doctest::Approx(should.sink).epsilon(1e-5));
            CHECK(is.distance == doctest::Approx(should.distance).epsilon(1e-5));
            CHECK(is.previous == doctest::Approx(should.previous).epsilon(1e-5));
            CHECK(is.induction == doctest::Approx(should.induction).epsilon(1e-5));
        }
    }
}

TEST_CASE("attention view: metrics of heads whose answer is known") {
    AttentionView view;
    view.reset(1, 4);
    constexpr uint32_t n = 64;
    std::vector<int32_t> ids; // every token occurs twice, 32 apart
    for (uint32_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(i % 32));
    AttentionRows rows{0, 0, n, 4, n, std::vector<float>(size_t(n) * 4 * n, 0)};
    for (uint32_t q = 0; q < n; ++q) {
        const auto at = [&](uint32_t h, uint32_t j) -> float& { return rows.p[(size_t(q) * 4 + h) * n + j]; };
        at(0, 0) = 1;                                                     // a sink
        at(1, q ? q - 1 : 0) = 1;                                         // the previous token
        for (uint32_t j = 0; j <= q; ++j) at(2, j) = 1.0f / float(q + 1); // all alike
        at(3, q >= 32 ? q - 31 : q) = 1;                                  // what followed last time
    }
    view.add(rows, ids);
    CHECK(view.metrics(0, 0).sink == 1);
    CHECK(view.metrics(0, 0).entropy == doctest::Approx(0));
    CHECK(view.metrics(0, 0).distance == 32); // mean of 1..63
    CHECK(view.metrics(0, 1).previous == 1);
    CHECK(view.metrics(0, 1).distance == 1);
    double entropy = 0;
    for (uint32_t q = 1; q < n; ++q) entropy += std::log(double(q + 1)) / (n - 1);
    CHECK(view.metrics(0, 2).entropy == doctest::Approx(entropy).epsilon(1e-5));
    CHECK(view.metrics(0, 3).induction == doctest::Approx(32.0 / 63));
    CHECK(view.metrics(0, 0).induction == 0);
}

TEST_CASE("attention view: rewinding and computing again") {
    AttentionView view;
    view.reset(2, 2);
    view.keep_layer(0);
    auto ids = some_ids(80);
    const AttentionRows rows = random_rows(0, 0, 80, 2, 9);
    view.add(rows, ids);
    const HeadMetrics before = view.metrics(0, 1);
    view.truncate(50);
    CHECK(view.map(0, 0)->n() == 50);
    CHECK(view.reads().size() == 50);
    CHECK(view.metrics(0, 1).entropy == before.entropy); // averages stay, with less weight
    CHECK(view.metrics(0, 1).n_rows == 50);
    ids[60] = 7;
    const AttentionRows other = random_rows(0, 50, 30, 2, 10);
    view.add(other, ids);
    CHECK(same_bits(view.map(0, 1)->row(49), row_of(rows, 49, 1)));
    CHECK(same_bits(view.map(0, 1)->row(79), row_of(other, 29, 1)));
    check_pyramid(*view.map(0, 1));
    view.add(rows, ids); // a replay: from the first position on, so metrics begin anew
    CHECK(view.metrics(0, 1).n_rows == 79);
    CHECK(view.metrics(0, 1).entropy == doctest::Approx(before.entropy));
    CHECK(same_bits(view.map(0, 1)->row(79), row_of(rows, 79, 1)));
    view.keep_layer(1);
    CHECK(view.map(0, 1) == nullptr);
    CHECK(view.map(1, 1)->n_read() == 0);
    CHECK(view.bytes() == 0);
    view.truncate(0);
    CHECK(view.metrics(0, 1).n_rows == 0);
    CHECK(std::isnan(view.thumbnail(0, 0).p[0]));
}

TEST_CASE("attention view: rows that hold no numbers stay out of metrics and reads, and show in thumbnails") {
    AttentionView view;
    view.reset(1, 2);
    view.keep_layer(0);
    AttentionRows rows = random_rows(0, 0, 20, 2, 4);
    AttentionRows good = rows;
    rows.p[(size_t(7) * 2 + 1) * rows.n_keys + 3] = nan;
    rows.p[(size_t(9) * 2 + 1) * rows.n_keys + 2] = std::numeric_limits<float>::infinity();
    view.add(rows, some_ids(20));
    CHECK(view.metrics(0, 0).n_rows == 19);
    CHECK(view.metrics(0, 1).n_rows == 17);
    CHECK(std::isfinite(view.metrics(0, 1).entropy));
    for (const float read : view.reads()) CHECK(std::isfinite(read));
    CHECK(view.thumbnail(0, 1).p[7 * Thumbnail::size + 3] == HeadMap::broken);
    CHECK(same_bits(view.map(0, 1)->row(7), row_of(rows, 7, 1)));
    view.add(good, some_ids(20)); // and are gone when they are read again
    CHECK(view.metrics(0, 1).n_rows == 19);
    CHECK(std::isfinite(view.thumbnail(0, 1).p[7 * Thumbnail::size + 3]));
}

TEST_CASE("attention view: thumbnails are the pooled map, of one size at any length") {
    AttentionView view;
    view.reset(1, 1);
    view.keep_layer(0);
    const auto ids = some_ids(700);
    for (const uint32_t n : {1u, 32u, 33u, 257u, 700u}) {
        view.reset(1, 1);
        view.keep_layer(0);
        for (uint32_t first = 0; first < n; first += 100)
            view.add(random_rows(0, first, std::min(100u, n - first), 1, first + n), ids);
        const Thumbnail& t = view.thumbnail(0, 0);
        CHECK(t.p.size() == size_t(Thumbnail::size) * Thumbnail::size);
        CHECK(t.n_keys >= n);
        CHECK((t.n_keys == Thumbnail::size || t.n_keys < 2 * n));
        const uint32_t each = t.n_keys / Thumbnail::size;
        for (uint32_t r = 0; r < Thumbnail::size; ++r)
            for (uint32_t c = 0; c < Thumbnail::size; ++c) {
                const float is = t.p[r * Thumbnail::size + c],
                            should = brute_peak(*view.map(0, 0), each, r * each, c * each);
                CHECK((std::isnan(should) ? std::isnan(is) : is == should));
            }
    }
    view.truncate(100);
    CHECK(view.thumbnail(0, 0).n_keys == 128);
    CHECK(std::isnan(view.thumbnail(0, 0).p[30 * Thumbnail::size]));
    CHECK(!std::isnan(view.thumbnail(0, 0).p[10 * Thumbnail::size]));
}

TEST_CASE("attention view: heads that are not watched take no more memory at 32k positions") {
    // Four rows at the end of a long text stand for it: all that could grow with its square is a map.
    AttentionView view;
    view.reset(4, 8);
    view.keep_layer(2);
    const auto ids = some_ids(32768);
    view.add(random_rows(1, 32764, 4, 8, 1), ids);
    CHECK(view.bytes() == 0);
    CHECK(view.thumbnail(1, 7).p.size() == 1024);
    CHECK(view.thumbnail(1, 7).n_keys == 32768);
    CHECK(!std::isnan(view.thumbnail(1, 7).p[31 * 32 + 31]));
    CHECK(view.metrics(1, 0).n_rows == 4);
}

TEST_CASE("attention view: above the limit only the focused head and those that fit have maps") {
    AttentionView view;
    view.reset(1, 6);
    view.keep_layer(0);
    view.focus(4);
    view.add(random_rows(0, 0, 120, 6, 1), some_ids(121));
    const uint64_t one = view.map(0, 4)->bytes();
    view.set_limit(2 * one);
    CHECK(view.bytes() <= 2 * one);
    CHECK(view.map(0, 4) != nullptr);
    CHECK(view.map(0, 0) != nullptr);
    CHECK(view.map(0, 5) == nullptr);
    view.focus(5); // its rows can come again
    REQUIRE(view.map(0, 5) != nullptr);
    CHECK(view.map(0, 5)->n_read() == 0);
    view.set_limit(one / 2);
    view.add(random_rows(0, 120, 1, 6, 2), some_ids(121));
    CHECK(view.map(0, 5)->n_read() == 1);
    CHECK(view.map(0, 0) == nullptr);
}

TEST_CASE("attention view: reads are a mean over the last queries, half of it over sixteen") {
    AttentionView view;
    view.reset(1, 2);
    view.keep_layer(0);
    const auto ids = some_ids(200);
    const AttentionRows rows = random_rows(0, 0, 200, 2, 3);
    view.add(rows, ids);
    double total = 0;
    for (uint32_t j = 0; j < 200; ++j) {
        double sum = 0, weight = 0;
        for (uint32_t q = 0; q < 200; ++q) {
            const double w = std::exp2(-double(199 - q) / 16);
            weight += w;
            for (uint32_t h = 0; h < 2 && j <= q; ++h) sum += w * double(row_of(rows, q, h)[j]) / 2;
        }
        CHECK(view.reads()[j] == doctest::Approx(sum / weight).epsilon(1e-5));
        total += double(view.reads()[j]);
    }
    CHECK(total == doctest::Approx(1).epsilon(1e-4));
}

} // namespace kvasir::ui
