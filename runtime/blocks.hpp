#pragma once

#include "runtime/dtype.hpp"

#include <cstdint>

/// Inside the blocks of the quantised types: what decoding, packing and quantising share.
/// Source: GGUF specification, ggml-common.h (block_*).
namespace kvasir {

inline uint16_t load16(const uint8_t* bytes) {
    return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
}
inline uint32_t load_word(const uint8_t* bytes) {
    return load16(bytes) | static_cast<uint32_t>(load16(bytes + 2)) << 16;
}
inline float load_half(const uint8_t* bytes) {
    return half_to_float(load16(bytes));
}

/// 6-bit scale and minimum of 32 values.
struct ScaleMin {
    uint8_t scale, min;
};

/// Of part 0..7 of a Q4_K or Q5_K block, from its 12 packed bytes: the first four parts have bytes of their
/// own, whose upper two bits are those of the last four.
inline ScaleMin k_scale_min(const uint8_t* packed, int part) {
    if (part < 4)
        return {static_cast<uint8_t>(packed[part] & 63), static_cast<uint8_t>(packed[part + 4] & 63)};
    return {static_cast<uint8_t>((packed[part + 4] & 15) | packed[part - 4] >> 6 << 4),
            static_cast<uint8_t>(packed[part + 4] >> 4 | packed[part] >> 6 << 4)};
}

/// Scale of part 0..15 of a Q3_K block, -32 to 31, from its 12 packed bytes: four bits each in the first
/// eight, two more in the last four.
inline int q3_k_scale(const uint8_t* packed, int part) {
    const int low = packed[part % 8] >> (part / 8 * 4) & 15;
    const int high = packed[8 + part % 4] >> (part / 4 * 2) & 3;
    return (low | high << 4) - 32;
}

/// The 16 values of IQ4_NL and IQ4_XS (ggml's kvalues_iq4nl).
constexpr int8_t iq4_values[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

} // namespace kvasir
