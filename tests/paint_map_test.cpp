#include "tests/ui_harness.hpp"
#include "ui/derived_map.hpp"
#include "ui/paint_map.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>

namespace kvasir::ui {

TEST_CASE("derived map: means, masked keys and differences are those of plain loops, whatever a step does") {
    AttentionView view;
    view.reset(1, 4);
    view.keep_layer(0);
    const auto ids = some_ids(60);
    const AttentionRows rows = random_rows(0, 0, 50, 4, 8);
    view.add(rows, ids);
    const auto mean = [&](uint32_t q, uint32_t j) {
        double sum = 0, all = 0;
        for (uint32_t h = 0; h < 2; ++h)
            for (uint32_t i = 3; i <= q; ++i) {
                sum += i == j ? double(row_of(rows, q, h)[i]) : 0;
                all += double(row_of(rows, q, h)[i]);
            }
        return all > 0 ? sum / all : 0;
    };
    DerivedMap derived;
    const MapChoice choice{.layer = 0, .first = 0, .last = 2, .masked = 3, .minus_head = {}, .minus = {}};
    int steps = 0;
    while (derived.update(view, choice, 100), !derived.done()) ++steps;
    CHECK(steps > 5);
    const HeadMap* map = derived.update(view, choice, 100);
    REQUIRE(map->n_read() == 50);
    for (uint32_t q = 0; q < 50; ++q)
        for (uint32_t j = 0; j <= q; ++j) CHECK(map->row(q)[j] == doctest::Approx(mean(q, j)).epsilon(1e-5));
    double share = 0;
    for (uint32_t q = 3; q < 50; ++q)
        for (uint32_t h = 0; h < 2; ++h)
            for (uint32_t j = 0; j < 3; ++j) share += double(row_of(rows, q, h)[j]) / 2 / 47;
    CHECK(*derived.masked_share(50) == doctest::Approx(share).epsilon(1e-5));

    view.add(random_rows(0, 50, 1, 4, 9), ids); // a row more
    CHECK(derived.update(view, choice, 1 << 20)->n_read() == 51);
    const MapChoice less{.layer = 0, .first = 1, .last = 2, .masked = 0, .minus_head = 3, .minus = {}};
    const HeadMap* signs = derived.update(view, less, 1 << 20);
    for (uint32_t q = 0; q < 50; ++q)
        for (uint32_t j = 0; j <= q; ++j)
            CHECK(signs->row(q)[j] == row_of(rows, q, 1)[j] - row_of(rows, q, 3)[j]);
    view.truncate(20);
    CHECK(derived.update(view, less, 1 << 20)->n() == 20);
    const MapChoice plain{.layer = 0, .first = 2, .last = 3, .masked = 0, .minus_head = {}, .minus = {}};
    CHECK(derived.update(view, plain, 1) == view.map(0, 2)); // nothing is copied where nothing is asked
}

TEST_CASE("paint: each pixel has the colour of the strongest of its cells, at any zoom") {
    HeadlessUi ui; // theme() is set with ImGui
    const AttentionRows rows = random_rows(0, 0, 257, 1, 3);
    HeadMap map;
    for (uint32_t q = 0; q < 257; ++q)
        if (q != 100 && q != 101 && q != 102) map.set_row(q, row_of(rows, q, 0));
    std::vector<float> bad(row_of(rows, 200, 0).begin(), row_of(rows, 200, 0).end());
    bad[50] = HeadMap::unread; // no number
    map.set_row(200, bad);
    const uint32_t warning = ImGui::ColorConvertFloat4ToU32(theme().warning);
    MapStyle style{
        .scale = ColorScale::linear, .colors = &color_maps()[0], .difference = false, .most = 0.02f};
    for (const double cell : {0.13, 0.3, 0.5, 0.77, 1.0, 1.6, 9.0})
        for (const uint32_t n_rows : {257u, 201u, 130u})
            for (const double corner : {0.0, 90.25}) {
                CAPTURE(cell);
                CAPTURE(n_rows);
                const MapPart part{cell, corner, corner, 257, n_rows, 2};
                constexpr int width = 70, height = 60;
                std::vector<uint32_t> pixels(size_t(width) * height, 1);
                paint_map(pixels, width, height, map, part, style);
                // A pixel may show more than its own cells: the whole blocks, at most as large as it, that
                // they lie in. So it is at least as strong as its cells, and none is stronger than blocks
                // around it.
                size_t wrong = 0;
                for (int y = 0; y < height; ++y)
                    for (int x = 0; x < width; ++x) {
                        const auto r0 = int64_t(corner + y / cell), c0 = int64_t(corner + x / cell);
                        const auto r1 = std::max(r0 + 1, int64_t(corner + (y + 1) / cell)),
                                   c1 = std::max(c0 + 1, int64_t(corner + (x + 1) / cell));
                        const uint32_t is = pixels[size_t(y) * width + size_t(x)];
                        if (r0 >= 257 || c0 >= 257) {
                            wrong += is != 0;
                            continue;
                        }
                        const auto strongest_of = [&](int64_t more) {
                            float most = HeadMap::unread;
                            for (int64_t r = std::max<int64_t>(0, r0 - more);
                                 r < std::min<int64_t>(r1 + more, n_rows); ++r)
                                for (int64_t c = std::max<int64_t>(0, c0 - more);
                                     c < std::min<int64_t>({c1 + more, 257, r + 1}); ++c)
                                    if (!map.row(uint32_t(r)).empty()) {
                                        const float p = map.row(uint32_t(r))[size_t(c)];
                                        most = stronger(most, std::isfinite(p) ? p : HeadMap::broken);
                                    }
                            return most;
                        };
                        const float own = strongest_of(0);
                        const bool hidden = c1 <= 2 || c0 >= std::min<int64_t>(r1, n_rows);
                        if (cell >= 1) {
                            const uint32_t should = hidden || std::isnan(own) ? theme().empty
                                                    : own == HeadMap::broken  ? warning
                                                                              : style.color(own, 0);
                            wrong += is != should;
                            continue;
                        }
                        const float around = strongest_of(int64_t(1 / cell));
                        const auto level = [&](uint32_t color) { // place on the map; monotonous
                            return color == theme().empty ? -1
                                   : color == warning     ? 256
                                                          : int(std::find(style.colors->table,
                                                                          style.colors->table + 256, color) -
                                                            style.colors->table);
                        };
                        const auto of = [&](float p) {
                            return std::isnan(p) ? -1 : p == HeadMap::broken ? 256 : level(style.color(p, 0));
                        };
                        wrong += hidden ? is != theme().empty : level(is) < of(own) || level(is) > of(around);
                    }
                CHECK(wrong == 0);
            }
}

} // namespace kvasir::ui
