#include "runtime/attention_map.hpp"

#include "runtime/error.hpp"
#include "runtime/png.hpp"
#include "runtime/viridis.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

namespace kvasir {

namespace {

using Colour = std::array<uint8_t, 3>;

static_assert(std::endian::native == std::endian::little, "npy files are written as '<f4'");

constexpr Colour masked{232, 232, 236}, gap{255, 255, 255};

Colour viridis_at(float value) {
    const float x = std::clamp(value, 0.0f, 1.0f) * (viridis.size() - 1);
    const auto i = std::min(static_cast<size_t>(x), viridis.size() - 2);
    const float t = x - static_cast<float>(i);
    Colour colour;
    for (size_t c = 0; c < 3; ++c)
        colour[c] = static_cast<uint8_t>(std::lround(viridis[i][c] * (1 - t) + viridis[i + 1][c] * t));
    return colour;
}

/// Where the heads' squares lie: `columns` a row, cells of `scale` pixels, `gap` pixels between them.
struct Grid {
    size_t columns, rows, scale, square, space;

    Grid(size_t n_heads, size_t n) {
        columns = static_cast<size_t>(std::ceil(std::sqrt(static_cast<double>(n_heads))));
        rows = (n_heads + columns - 1) / columns;
        scale = std::max<size_t>(1, (512 + columns * n - 1) / (columns * n));
        square = scale * n;
        space = columns > 1 ? 4 : 0;
    }
    size_t side(size_t count) const { return count * square + (count - 1) * space; }
};

/// With the fewest digits that are the same float; JSON knows no infinities.
void add_number(std::string& text, float value) {
    if (!std::isfinite(value)) {
        text += "null";
        return;
    }
    char digits[32];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

} // namespace

void write_png(const Sink& write, const AttentionMap& map) {
    const size_t n = map.n();
    const Grid grid(map.heads.size(), n);
    const size_t width = grid.side(grid.columns), height = grid.side(grid.rows);
    if (std::max(width, height) > 16384)
        throw Error("drawing " + std::to_string(map.heads.size()) + " maps of " + std::to_string(n) +
                        " tokens",
                    "the picture would have " + std::to_string(width) + " x " + std::to_string(height) +
                        " pixels, at most 16384 a side fit",
                    "one --head, a shorter prompt or --out FILE.npy");
    const float most = std::max(*std::max_element(map.p.begin(), map.p.end()), 1e-9f);
    std::vector<Colour> pixels(width * height, gap);
    for (size_t h = 0; h < map.heads.size(); ++h) {
        const size_t left = h % grid.columns * (grid.square + grid.space),
                     top = h / grid.columns * (grid.square + grid.space);
        for (size_t y = 0; y < grid.square; ++y)
            for (size_t x = 0; x < grid.square; ++x) {
                const size_t query = y / grid.scale, key = x / grid.scale;
                pixels[(top + y) * width + left + x] =
                    key > query ? masked : viridis_at(map.row(h, query)[key] / most);
            }
    }
    write(to_png({pixels.data()->data(), pixels.size() * 3}, static_cast<uint32_t>(width),
                 static_cast<uint32_t>(height), 3));
}

void write_npy(const Sink& write, const AttentionMap& map) {
    const std::string n = std::to_string(map.n());
    const std::string shape =
        map.heads.size() == 1 ? n + ", " + n : std::to_string(map.heads.size()) + ", " + n + ", " + n;
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
    constexpr size_t preamble =
        10; // magic, version, length; with the header a multiple of 64, ended by a new line
    header.append(63 - (preamble + header.size()) % 64, ' ');
    header += '\n';
    write(std::string_view("\x93NUMPY\x01\x00", 8));
    const char length[2] = {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
    write({length, 2});
    write(header);
    write({reinterpret_cast<const char*>(map.p.data()), map.p.size() * sizeof(float)});
}

void write_json(const Sink& write, const AttentionMap& map) {
    const nlohmann::json head{
        {"layer", map.layer}, {"heads", map.heads}, {"ids", map.ids}, {"tokens", map.tokens}};
    std::string text = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    text.pop_back(); // the rows are written one by one: as one value they would take ten times the memory
    write(text + ",\"rows\":[");
    for (size_t h = 0; h < map.heads.size(); ++h) {
        write(h ? ",[" : "[");
        for (size_t q = 0; q < map.n(); ++q) {
            text = q ? ",[" : "[";
            for (size_t j = 0; j < map.n(); ++j) {
                if (j) text += ',';
                add_number(text, map.row(h, q)[j]);
            }
            write(text + "]");
        }
        write("]");
    }
    write("]}\n");
}

} // namespace kvasir
