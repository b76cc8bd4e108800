#pragma once

#include "runtime/dtype.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

/// The layout of weights on the device, as shaders/lib/weight.glsl describes it: tiles of 32 rows, chunks of
/// 64 values, units of 16 bytes a row. Padding decodes to zero.
constexpr uint32_t tile_rows = 32, chunk_values = 64;

/// values rounded up to whole chunks: also the stride of every activation row that a matrix reads.
constexpr uint32_t padded(uint32_t values) {
    return (values + chunk_values - 1) / chunk_values * chunk_values;
}
constexpr uint32_t tiles_of(uint32_t rows) {
    return (rows + tile_rows - 1) / tile_rows;
}

/// Strips of a padded row: what a lane decodes at a time.
uint32_t strips_of(DType dtype, uint32_t d_in);

uint64_t packed_tile_bytes(DType dtype, uint32_t d_in);
/// 0 for types without scales.
uint64_t packed_scale_bytes(DType dtype, uint32_t d_in);

/// Packs the tile of these rows (at most 32; each d_in values as they lie in the file) to `weights`,
/// packed_tile_bytes(dtype, d_in) long, and `scales`, packed_scale_bytes long. Give one of the two targets,
/// null for the other.
void pack_tile(DType dtype, uint32_t d_in, std::span<const std::byte* const> rows, std::byte* weights,
               std::byte* scales);

} // namespace kvasir
