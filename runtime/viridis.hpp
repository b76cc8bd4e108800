#pragma once

#include <array>
#include <cstdint>

namespace kvasir {

/// Every 32nd colour (RGB) of viridis (van der Walt and Smith 2015, CC0), straight lines between: its
/// lightness rises evenly, so that equal steps look equal and a print in grey keeps the order.
inline constexpr std::array<std::array<uint8_t, 3>, 9> viridis{{{68, 1, 84},
                                                                {71, 45, 123},
                                                                {59, 82, 139},
                                                                {44, 114, 142},
                                                                {33, 145, 140},
                                                                {40, 174, 128},
                                                                {94, 201, 98},
                                                                {173, 220, 48},
                                                                {253, 231, 37}}};

} // namespace kvasir
