#include "runtime/pack.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace kvasir {
namespace {

/// Types whose blocks of 32 values are a float16 scale followed by the values' bits.
bool scaled(DType dtype) {
    return info(dtype).block > 1;
}

uint32_t units_a_chunk(DType dtype) {
    const DTypeInfo& type = info(dtype);
    const uint64_t value_bits = (type.block_bytes - (scaled(dtype) ? 2 : 0)) * 8 / type.block;
    return static_cast<uint32_t>(chunk_values * value_bits / 128);
}

/// Q4_0 keeps value i of a block in the low four bits of byte i, and value i + 16 in the high ones; a unit
/// has value after value (GGUF specification, block_q4_0).
void straighten_nibbles(const std::byte* bits, std::byte* unit) {
    const auto nibble = [&](uint32_t i) {
        const auto byte = std::to_integer<uint32_t>(bits[i % 16]);
        return i < 16 ? byte & 15 : byte >> 4;
    };
    for (uint32_t i = 0; i < 16; ++i)
        unit[i] = static_cast<std::byte>(nibble(2 * i) | nibble(2 * i + 1) << 4);
}

/// The 16 bytes of unit `index` of a row; zero beyond d_in.
void copy_unit(DType dtype, uint32_t d_in, const std::byte* row, uint32_t index, std::byte* unit) {
    const DTypeInfo& type = info(dtype);
    const uint32_t values = chunk_values / units_a_chunk(dtype), first = index * values;
    if (first >= d_in) return;
    if (!scaled(dtype)) {
        std::memcpy(unit, row + uint64_t(first) * type.block_bytes,
                    uint64_t(std::min(values, d_in - first)) * type.block_bytes);
        return;
    }
    const std::byte* block = row + uint64_t(first / type.block) * type.block_bytes + 2;
    if (dtype == DType::q4_0)
        straighten_nibbles(block, unit);
    else
        std::memcpy(unit, block + first % type.block, 16);
}

} // namespace

uint64_t packed_tile_bytes(DType dtype, uint32_t d_in) {
    return uint64_t(padded(d_in) / chunk_values) * units_a_chunk(dtype) * tile_rows * 16;
}

uint64_t packed_scale_bytes(DType dtype, uint32_t d_in) {
    return scaled(dtype) ? uint64_t(padded(d_in) / chunk_values) * tile_rows * 4 : 0;
}

void pack_tile(DType dtype, uint32_t d_in, std::span<const std::byte* const> rows, std::byte* weights,
               std::byte* scales) {
    assert(rows.size() <= tile_rows);
    const DTypeInfo& type = info(dtype);
    const uint32_t n_units = padded(d_in) / chunk_values * units_a_chunk(dtype);
    if (weights) {
        std::memset(weights, 0, packed_tile_bytes(dtype, d_in));
        for (uint32_t unit = 0; unit < n_units; ++unit)
            for (size_t r = 0; r < rows.size(); ++r)
                copy_unit(dtype, d_in, rows[r], unit, weights + (uint64_t(unit) * tile_rows + r) * 16);
    }
    if (scales) {
        std::memset(scales, 0, packed_scale_bytes(dtype, d_in));
        for (uint32_t block = 0; block < d_in / type.block; ++block)
            for (size_t r = 0; r < rows.size(); ++r)
                std::memcpy(scales + (uint64_t(block / 2) * tile_rows + r) * 4 + block % 2 * 2,
                            rows[r] + uint64_t(block) * type.block_bytes, 2);
    }
}

} // namespace kvasir
