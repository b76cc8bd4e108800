// Random numbers without state, for GLSL and C++ alike: the same (seed, position, id) gives the same bits on
// every device, so the choice of a token can be repeated and checked. Source: Jarzynski & Olano, "Hash
// Functions for GPU Rendering", JCGT 9(3), 2020, listing pcg3d: three linear congruential steps (multiplier
// and increment of Numerical Recipes), then two rounds that mix the three words.
#ifndef KVASIR_SHADERS_LIB_RANDOM_H
#define KVASIR_SHADERS_LIB_RANDOM_H

#ifdef __cplusplus
#include <cstdint>
#define KVASIR_SHARED constexpr
namespace kvasir::shader {
using uint = std::uint32_t;
#else
#define KVASIR_SHARED
#endif

// 32 mixed bits.
KVASIR_SHARED uint random_bits(uint seed, uint position, uint id) {
    uint x = seed * 1664525u + 1013904223u;
    uint y = position * 1664525u + 1013904223u;
    uint z = id * 1664525u + 1013904223u;
    x += y * z;
    y += z * x;
    z += x * y;
    x ^= x >> 16u;
    y ^= y >> 16u;
    z ^= z >> 16u;
    x += y * z;
    y += z * x;
    z += x * y;
    return z;
}

// The numerator n of u = n / 2^24, uniform in (0, 1): odd, so n is never 0 and never 2^24, and u, 1 - u and n
// are all exact in float32 (24 bits of significand; a half added to a 24-bit integer would round up to u =
// 1).
KVASIR_SHARED uint random_numerator(uint seed, uint position, uint id) {
    return (random_bits(seed, position, id) >> 8u) | 1u;
}

#ifdef __cplusplus
} // namespace kvasir::shader
#endif
#undef KVASIR_SHARED

#endif
