#include "runtime/pack.hpp"

#include "runtime/blocks.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <iterator>

namespace kvasir {
namespace {

/// The numbers at the head of a type's row in shaders/lib/weight.glsl: values and 16-byte units of a strip;
/// strips that share words, how many they share, and how many each has beside.
struct Layout {
    uint32_t strip, units, group, shared, own;

    uint32_t words() const { return shared + group * own; }
};

/// In the order of DType.
constexpr Layout layouts[] = {
    {8, 2, 1, 0, 0},  // F32
    {16, 2, 1, 0, 0}, // F16
    {16, 2, 1, 0, 0}, // BF16
    {32, 2, 2, 1, 0}, // Q8_0
    {64, 2, 1, 1, 0}, // Q4_0
    {64, 2, 1, 2, 0}, // Q4_1
    {64, 2, 1, 3, 0}, // Q5_0
    {64, 2, 1, 4, 0}, // Q5_1
    {64, 1, 4, 1, 1}, // Q2_K
    {64, 1, 2, 2, 2}, // Q3_K
    {64, 2, 4, 1, 1}, // Q4_K
    {64, 2, 4, 1, 3}, // Q5_K
    {64, 3, 4, 1, 1}, // Q6_K
    {32, 2, 8, 1, 0}, // Q8_K
    {64, 2, 1, 1, 0}, // IQ4_NL
    {64, 2, 4, 2, 0}, // IQ4_XS
    {64, 2, 2, 1, 0}, // MXFP4
};
static_assert(std::size(layouts) == static_cast<size_t>(DType::mxfp4) + 1);

const Layout& layout(DType dtype) {
    return layouts[static_cast<size_t>(dtype)];
}

uint32_t groups_of(DType dtype, uint32_t d_in) {
    return (strips_of(dtype, d_in) + layout(dtype).group - 1) / layout(dtype).group;
}

/// A row as it lies in the file.
struct Row {
    const DTypeInfo& type;
    const uint8_t* bytes;
    uint32_t d_in;

    uint32_t n_blocks() const { return d_in / type.block; }
    /// Null beyond the row.
    const uint8_t* block(uint32_t i) const {
        return i < n_blocks() ? bytes + uint64_t(i) * type.block_bytes : nullptr;
    }
    /// Byte `at` of block i, 0 beyond the row.
    uint32_t byte(uint32_t i, uint32_t at) const { return i < n_blocks() ? block(i)[at] : 0; }
    uint32_t half(uint32_t i, uint32_t at) const { return byte(i, at) | byte(i, at + 1) << 8; }
    uint32_t word(uint32_t i, uint32_t at) const { return half(i, at) | half(i, at + 2) << 16; }
};

/// n bytes of the low halves (`high`: of the high halves) of a and b: a's in the low half of each.
void join_halves(const uint8_t* a, const uint8_t* b, bool high, uint32_t n, uint8_t* to) {
    for (uint32_t i = 0; i < n; i += 8) {
        uint64_t x, y;
        std::memcpy(&x, a + i, 8);
        std::memcpy(&y, b + i, 8);
        constexpr uint64_t low_halves = 0x0f0f0f0f0f0f0f0f;
        const uint64_t both =
            high ? (x >> 4 & low_halves) | (y & ~low_halves) : (x & low_halves) | (y & low_halves) << 4;
        std::memcpy(to + i, &both, 8);
    }
}

void flip(uint8_t* bytes, uint32_t n, uint8_t bits) {
    for (uint32_t i = 0; i < n; ++i) bytes[i] ^= bits;
}

/// Two blocks of 32 values whose bytes hold values i and i + 16: brought to values i and i + 32 of the strip.
void copy_nibbles(const Row& row, uint32_t strip, uint32_t at, uint8_t* units) {
    constexpr uint8_t zeros[16] = {};
    const uint8_t* a = row.block(2 * strip) + at;
    const uint8_t* b = 2 * strip + 1 < row.n_blocks() ? row.block(2 * strip + 1) + at : zeros;
    join_halves(a, b, false, 16, units);
    join_halves(a, b, true, 16, units + 16);
}

/// The strip's two bits of each value from a plane that holds 128 values in 32 bytes: a unit.
void copy_two_bits(const uint8_t* plane, uint32_t strip, uint8_t* unit) {
    const uint8_t* bytes = plane + strip / 2 % 2 * 32;
    join_halves(bytes, bytes + 16, strip % 2 == 1, 16, unit);
}

/// The units of a strip that begins within the row. Values with a sign are brought to two's complement, which
/// the flipped highest bit does.
void copy_units(DType dtype, const Row& row, uint32_t strip, uint8_t* units) {
    const uint32_t first = strip * layout(dtype).strip, part = strip % 4; // of a block of 256
    const uint8_t* block = row.block(first / row.type.block);
    switch (dtype) {
    case DType::f32:
    case DType::f16:
    case DType::bf16:
        std::memcpy(units, block,
                    std::min(layout(dtype).strip, row.d_in - first) * size_t(row.type.block_bytes));
        break;
    case DType::q8_0: std::memcpy(units, block + 2, 32); break;
    case DType::q8_k: std::memcpy(units, block + 4 + first % 256, 32); break;
    case DType::q4_0:
        copy_nibbles(row, strip, 2, units);
        flip(units, 32, 0x88);
        break;
    case DType::q4_1: copy_nibbles(row, strip, 4, units); break;
    case DType::q5_0: copy_nibbles(row, strip, 6, units); break;
    case DType::q5_1: copy_nibbles(row, strip, 8, units); break;
    case DType::iq4_nl: copy_nibbles(row, strip, 2, units); break;
    case DType::mxfp4: copy_nibbles(row, strip, 1, units); break;
    case DType::q2_k: copy_two_bits(block + 16, strip, units); break;
    case DType::q3_k: copy_two_bits(block + 32, strip, units); break;
    case DType::q4_k: std::memcpy(units, block + 16 + part * 32, 32); break;
    case DType::q5_k: std::memcpy(units, block + 48 + part * 32, 32); break;
    case DType::q6_k: {
        const uint8_t* low = block + part / 2 * 64;
        join_halves(low, low + 32, part % 2 == 1, 32, units);
        copy_two_bits(block + 128, strip, units + 32);
        flip(units + 32, 16, 0xaa);
        break;
    }
    case DType::iq4_xs: {
        const uint8_t* bits = block + 8 + part * 32;
        join_halves(bits, bits + 16, false, 16, units);
        join_halves(bits, bits + 16, true, 16, units + 16);
        break;
    }
    }
}

/// Bits of 32 values, value 4j + t at bit 8t + j: a shift and a mask give the shader four of them, a byte
/// each.
uint32_t spread(uint32_t bits) {
    uint32_t word = 0;
    for (uint32_t j = 0; j < 8; ++j) word |= ((bits >> 4 * j & 15) * 0x204081 & 0x01010101) << j;
    return word;
}

/// The same from bit `bit` of each of 32 bytes.
uint32_t spread(const uint8_t* bytes, uint32_t bit) {
    uint32_t word = 0;
    for (uint32_t j = 0; j < 8; ++j) word |= (load_word(bytes + 4 * j) >> bit & 0x01010101) << j;
    return word;
}

/// The scales of the four parts of a strip, 6 bits each.
uint32_t q3_k_scales(const uint8_t* packed, uint32_t strip) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4; ++i)
        word |= static_cast<uint32_t>(q3_k_scale(packed, int(strip * 4 + i)) & 63) << 6 * i;
    return word;
}

/// Scale and minimum of both parts of a strip, a byte each.
uint32_t k_scales(const uint8_t* packed, uint32_t strip) {
    const ScaleMin a = k_scale_min(packed, int(2 * strip)), b = k_scale_min(packed, int(2 * strip + 1));
    return static_cast<uint32_t>(a.scale | a.min << 8) | static_cast<uint32_t>(b.scale | b.min << 8) << 16;
}

/// The words of a group, as weight.glsl reads them.
void copy_words(DType dtype, const Row& row, uint32_t group, uint32_t* words) {
    const uint32_t a = 2 * group, b = a + 1; // where a group has two blocks
    const uint8_t* block = row.block(group); // where it has one
    switch (dtype) {
    case DType::f32:
    case DType::f16:
    case DType::bf16: break;
    case DType::q8_0:
    case DType::q4_0:
    case DType::iq4_nl: words[0] = row.half(a, 0) | row.half(b, 0) << 16; break;
    case DType::q5_0:
        words[0] = row.half(a, 0) | row.half(b, 0) << 16;
        words[1] = spread(~row.word(a, 2));
        words[2] = spread(~row.word(b, 2));
        break;
    case DType::q5_1:
        words[2] = spread(row.word(a, 4));
        words[3] = spread(row.word(b, 4));
        [[fallthrough]];
    case DType::q4_1:
        words[0] = row.word(a, 0);
        words[1] = row.word(b, 0);
        break;
    case DType::mxfp4:
        for (uint32_t i = 0; i < 4; ++i) words[0] |= row.byte(4 * group + i, 0) << 8 * i;
        break;
    case DType::q8_k: words[0] = load_word(block); break;
    case DType::iq4_xs:
        words[0] = load_word(block);
        words[1] = load_word(block + 4);
        break;
    case DType::q2_k:
        words[0] = load_word(block + 80);
        for (uint32_t i = 0; i < 4; ++i) words[1 + i] = load_word(block + 4 * i);
        break;
    case DType::q3_k: // a group is half a block
        block = row.block(group / 2);
        for (uint32_t i = 0; i < 2; ++i) {
            const uint32_t strip = group % 2 * 2 + i;
            words[i] = q3_k_scales(block + 96, strip) | static_cast<uint32_t>(block[108 + i]) << 24;
            for (uint32_t part = 0; part < 2; ++part)
                words[2 + 2 * i + part] = ~spread(block, 2 * strip + part);
        }
        break;
    case DType::q4_k:
        words[0] = load_word(block);
        for (uint32_t i = 0; i < 4; ++i) words[1 + i] = k_scales(block + 4, i);
        break;
    case DType::q5_k:
        words[0] = load_word(block);
        for (uint32_t i = 0; i < 4; ++i) {
            words[1 + 3 * i] = k_scales(block + 4, i);
            for (uint32_t part = 0; part < 2; ++part)
                words[2 + 3 * i + part] = spread(block + 16, 2 * i + part);
        }
        break;
    case DType::q6_k:
        words[0] = load16(block + 208);
        for (uint32_t i = 0; i < 4; ++i) words[1 + i] = load_word(block + 192 + 4 * i);
        break;
    }
}

} // namespace

uint32_t strips_of(DType dtype, uint32_t d_in) {
    return padded(d_in) / layout(dtype).strip;
}

uint64_t packed_tile_bytes(DType dtype, uint32_t d_in) {
    return uint64_t(strips_of(dtype, d_in)) * layout(dtype).units * tile_rows * 16;
}

uint64_t packed_scale_bytes(DType dtype, uint32_t d_in) {
    return uint64_t(groups_of(dtype, d_in)) * layout(dtype).words() * tile_rows * 4;
}

void pack_tile(DType dtype, uint32_t d_in, std::span<const std::byte* const> rows, std::byte* weights,
               std::byte* scales) {
    assert(rows.size() <= tile_rows);
    const Layout& shape = layout(dtype);
    const auto row = [&](size_t r) {
        return Row{info(dtype), reinterpret_cast<const uint8_t*>(rows[r]), d_in};
    };
    // The target may be the device's memory, which is written once and from front to back.
    std::array<uint8_t, 3 * tile_rows * 16> strip_bytes{};
    const size_t unit_bytes = tile_rows * 16, n_bytes = shape.units * unit_bytes;
    for (uint32_t strip = 0; weights && strip < strips_of(dtype, d_in); ++strip, weights += n_bytes) {
        for (size_t r = 0; r < rows.size(); ++r) {
            std::array<uint8_t, 48> units{};
            if (strip * shape.strip < d_in) copy_units(dtype, row(r), strip, units.data());
            for (size_t u = 0; u < shape.units; ++u)
                std::memcpy(&strip_bytes[u * unit_bytes + r * 16], &units[u * 16], 16);
        }
        std::memcpy(weights, strip_bytes.data(), n_bytes);
    }
    std::array<std::array<uint32_t, tile_rows>, 16> group_words{};
    const size_t group_bytes = size_t(shape.words()) * tile_rows * 4;
    for (uint32_t group = 0; scales && group < groups_of(dtype, d_in); ++group, scales += group_bytes) {
        for (size_t r = 0; r < rows.size(); ++r) {
            std::array<uint32_t, 16> words{};
            copy_words(dtype, row(r), group, words.data());
            for (uint32_t w = 0; w < shape.words(); ++w) group_words[w][r] = words[w];
        }
        std::memcpy(scales, group_words.data(), group_bytes);
    }
}

} // namespace kvasir
