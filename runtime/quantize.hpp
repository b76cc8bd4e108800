#pragma once

#include "runtime/dtype.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace kvasir {

/// The types that quantize() writes.
constexpr DType quantised_types[] = {DType::q8_0, DType::q4_0, DType::q4_k};

/// Writes float32 values (a multiple of the type's block) as blocks of one of quantised_types. A value that
/// is no number becomes the lowest of its block. Q8_0 is scaled by the largest magnitude over 127, Q4_0 by
/// the value of largest magnitude over -8, as ggml's reference quantisers do; Q4_K has the scale and minimum
/// of least squares.
void quantize(DType dtype, std::span<const float> values, std::byte* target);

/// A tensor of type `from`, whose rows are `width` values long, as type `to`, on all cores.
std::vector<std::byte> quantised(DType from, std::span<const std::byte> data, uint64_t width, DType to);

} // namespace kvasir
