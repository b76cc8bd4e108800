#pragma once

#include "runtime/dtype.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// A tensor of a safetensors file. shape is row-major; a scalar has none. data is exactly its values.
struct SafeTensor {
    std::string name;
    std::string type;           ///< as the file writes it: "F32", "I64"
    std::optional<DType> dtype; ///< where it is a type that weights have here: F32, F16, BF16
    std::vector<uint64_t> shape;
    std::span<const std::byte> data;
};

/// The tensors of a safetensors file that lies in memory, in the order of their data, which they point into;
/// path is for messages. Throws Error for whatever is not exactly that format: the data have no gaps, no
/// overlaps and no rest. Source: huggingface/safetensors, README, "Format".
std::vector<SafeTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& path);

} // namespace kvasir
