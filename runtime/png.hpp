#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace kvasir {

/// A PNG file of 8-bit pixels, [height, width, channels]: 3 (RGB) or 4 (RGBA) of them.
std::string to_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height, uint32_t channels);

} // namespace kvasir
