#include "runtime/quantize.hpp"

#include "runtime/blocks.hpp"
#include "runtime/parallel.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

namespace kvasir {
namespace {

void store_half(uint8_t* to, float value) {
    const uint16_t half = float_to_half(value);
    to[0] = static_cast<uint8_t>(half);
    to[1] = static_cast<uint8_t>(half >> 8);
}

/// The nearest integer from 0 to `most`, halves away from zero; 0 for what is no number.
int level(float value, int most) {
    value = value > 0 ? value : 0;
    value = value < static_cast<float>(most) ? value : static_cast<float>(most);
    return static_cast<int>(value + 0.5f);
}

void quantize_q8_0(const float* x, uint8_t* block) {
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / 127, inverse = scale > 0 ? 1 / scale : 0;
    store_half(block, scale);
    for (int i = 0; i < 32; ++i) {
        const int size = level(std::fabs(x[i] * inverse), 127);
        block[2 + i] = static_cast<uint8_t>(x[i] < 0 ? -size : size);
    }
}

void quantize_q4_0(const float* x, uint8_t* block) {
    float extreme = 0;
    for (int i = 0; i < 32; ++i)
        if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    const float scale = extreme / -8, inverse = scale != 0 ? 1 / scale : 0;
    store_half(block, scale);
    for (int i = 0; i < 16; ++i)
        block[2 + i] =
            static_cast<uint8_t>(level(x[i] * inverse + 8, 15) | level(x[i + 16] * inverse + 8, 15) << 4);
}

/// x = scale * q - min with q from 0 to 15, neither of the two negative.
struct Line {
    float scale = 0, min = 0;
};

using Levels = std::array<float, 32>;

void set_levels(const float* x, const Line& line, Levels& q) {
    const float inverse = line.scale > 0 ? 1 / line.scale : 0;
    for (int i = 0; i < 32; ++i) q[size_t(i)] = static_cast<float>(level((x[i] + line.min) * inverse, 15));
}

/// Four sums at a time, so that the compiler may use vectors.
using Sum = std::array<float, 4>;

float total(const Sum& sum) {
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

struct Fit {
    Line line;
    float gain; ///< how much less than sum x^2 the squared error is
};

/// The line of least squares through (q, x).
Fit fit(const float* x, const Levels& q) {
    Sum sums_q{}, sums_qq{}, sums_x{}, sums_qx{};
    for (size_t from = 0; from < 32; from += 4)
        for (size_t i = 0; i < 4; ++i) {
            const float level = q[from + i], value = x[from + i];
            sums_q[i] += level;
            sums_qq[i] += level * level;
            sums_x[i] += value;
            sums_qx[i] += level * value;
        }
    const float sum_q = total(sums_q), sum_qq = total(sums_qq), sum_x = total(sums_x),
                sum_qx = total(sums_qx);
    const float determinant = 32 * sum_qq - sum_q * sum_q;
    if (determinant > 0) {
        const Line line{(32 * sum_qx - sum_q * sum_x) / determinant,
                        (sum_q * sum_qx - sum_qq * sum_x) / determinant};
        if (line.scale >= 0 && line.min >= 0) return {line, line.scale * sum_qx - line.min * sum_x};
    }
    if (!(sum_qx > 0)) return {{}, 0};
    return {{sum_qx / sum_qq, 0}, sum_qx / sum_qq * sum_qx};
}

/// The best of lines fitted to levels that were cut a little finer or coarser than from lowest to highest
/// value.
Line best_line(const float* x) {
    const auto [low, high] = std::minmax_element(x, x + 32);
    const float min = std::max(0.0f, -*low), range = *high + min;
    if (!(range > 0)) return {0, min};
    Fit best{{}, -HUGE_VALF};
    for (int step = -2; step <= 2; ++step) {
        Levels q;
        set_levels(x, {range / (15 + 0.4f * static_cast<float>(step)), min}, q);
        const Fit found = fit(x, q);
        if (found.gain > best.gain) best = found;
    }
    return best.line;
}

/// Eight scales and eight minima, 6 bits each, as k_scale_min() reads them.
void pack_parts(const std::array<ScaleMin, 8>& parts, uint8_t* packed) {
    for (size_t i = 0; i < 4; ++i) {
        const ScaleMin &first = parts[i], &last = parts[i + 4];
        packed[i] = static_cast<uint8_t>(first.scale | last.scale >> 4 << 6);
        packed[i + 4] = static_cast<uint8_t>(first.min | last.min >> 4 << 6);
        packed[i + 8] = static_cast<uint8_t>((last.scale & 15) | (last.min & 15) << 4);
    }
}

void quantize_q4_k(const float* x, uint8_t* block) {
    std::array<Line, 8> lines;
    Line largest;
    for (size_t i = 0; i < 8; ++i) {
        lines[i] = best_line(x + 32 * i);
        largest.scale = std::max(largest.scale, lines[i].scale);
        largest.min = std::max(largest.min, lines[i].min);
    }
    store_half(block, largest.scale / 63);
    store_half(block + 2, largest.min / 63);
    const float d = load_half(block), d_min = load_half(block + 2);
    std::array<ScaleMin, 8> parts;
    for (size_t i = 0; i < 8; ++i) {
        parts[i] = {static_cast<uint8_t>(d > 0 ? level(lines[i].scale / d, 63) : 0),
                    static_cast<uint8_t>(d_min > 0 ? level(lines[i].min / d_min, 63) : 0)};
        const Line line{d * static_cast<float>(parts[i].scale), d_min * static_cast<float>(parts[i].min)};
        Levels q;
        set_levels(x + 32 * i, line, q);
        // 64 values in 32 bytes, the first 32 in the low halves
        uint8_t* bytes = block + 16 + i / 2 * 32;
        for (size_t k = 0; k < 32; ++k)
            bytes[k] = static_cast<uint8_t>(i % 2 ? bytes[k] | int(q[k]) << 4 : int(q[k]));
    }
    pack_parts(parts, block + 4);
}

} // namespace

void quantize(DType dtype, std::span<const float> values, std::byte* target) {
    const DTypeInfo& type = info(dtype);
    assert(std::ranges::count(quantised_types, dtype) == 1 && values.size() % type.block == 0);
    const auto quantize_block = dtype == DType::q8_0   ? quantize_q8_0
                                : dtype == DType::q4_0 ? quantize_q4_0
                                                       : quantize_q4_k;
    auto* block = reinterpret_cast<uint8_t*>(target);
    for (size_t i = 0; i < values.size(); i += type.block, block += type.block_bytes)
        quantize_block(&values[i], block);
}

std::vector<std::byte> quantised(DType from, std::span<const std::byte> data, uint64_t width, DType to) {
    const auto row_bytes = [&](DType dtype) { return width / info(dtype).block * info(dtype).block_bytes; };
    const uint64_t n_rows = data.size() / row_bytes(from);
    std::vector<std::byte> result(n_rows * row_bytes(to));
    constexpr uint64_t rows_a_task = 32;
    parallel(static_cast<uint32_t>((n_rows + rows_a_task - 1) / rows_a_task), [&](uint32_t task) {
        std::vector<float> values(width);
        for (uint64_t r = task * rows_a_task; r < std::min(n_rows, (task + 1) * rows_a_task); ++r) {
            decode(from, &data[r * row_bytes(from)], values.data(), width);
            quantize(to, values, &result[r * row_bytes(to)]);
        }
    });
    return result;
}

} // namespace kvasir
