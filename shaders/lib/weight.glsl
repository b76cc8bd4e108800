// Weights as runtime/pack.cpp lays them out. A matrix [n_rows, d_in] is cut into tiles of 32 rows, and its rows, padded to
// chunks of 64 values, into strips: what a lane decodes at a time. A strip has UNITS units, a unit being 16 bytes (one
// uvec4) of one row; those of the 32 rows stand side by side, so that neighbouring lanes read neighbouring 16 bytes:
//   weights[((tile * n_strips + strip) * UNITS + unit) * 32 + row]
// Scales, minima and odd bits are words in a buffer of their own. GROUP strips (a block of 256, or what fills a word)
// have SHARED words together and OWN words each:
//   scales[((tile * n_groups + group) * (SHARED + GROUP * OWN) + word) * 32 + row]
// Only 32-bit loads: no 8-bit or 16-bit storage is needed. Block formats: GGUF specification, ggml-common.h.
//
// One row a type: those numbers; BLOCK values that share a scale; value(bits, i), the i-th four values of a strip before
// the scale; where SCALED, scale_of(bits, b) of its b-th block; where MINIMUM, minimum_of(bits, b), to be subtracted:
//   w = value * scale - minimum
// Products of a float16, a small integer scale and a small integer value are exact in float32, as they are in ggml.
// Types with a sign keep it in the top bit of a byte: value is 2^k times what ggml has, scale 2^-k times.

#define CHUNK 64
#define TILE 32

layout(binding = 0, std430) readonly buffer Weights { uvec4 weights[]; };
layout(binding = 1, std430) readonly buffer Scales { uint scales[]; };

struct Bits {
    uvec4 units[3];
    uint words[4]; // the shared ones, then the strip's own
    uint place;    // of the strip in its group
};

vec4 signed_bytes(uint word) {
    return vec4(ivec4(int(word) << 24, int(word) << 16, int(word) << 8, int(word)) >> 24);
}
uvec4 bytes(uint word) { return uvec4(word & 255u, word >> 8 & 255u, word >> 16 & 255u, word >> 24); }

// Bits of the i-th four values of a strip, from the lowest of a byte each. Values 32 to 63 stand above values 0 to 31.
uint four_bits(Bits bits, uint i) { return bits.units[i >> 2 & 1][i & 3] >> 4 * (i >> 3) & 0x0f0f0f0fu; }
uint two_bits(uvec4 unit, uint i) { return unit[i & 3] >> 2 * (i >> 3) + 4 * (i >> 2 & 1) & 0x03030303u; }
uint one_bit(uint word, uint i) { return word >> (i & 7) & 0x01010101u; }

float half_at(uint word, uint i) { return unpackHalf2x16(word)[i]; }
float byte_at(uint word, uint i) { return float(word >> 8 * i & 255u); }
// Scale or minimum of a Q4_K or Q5_K block from (d, dmin) and the bytes scale, minimum, scale, minimum.
float part_of(uint halves, uint parts, uint i, uint b) { return half_at(halves, i) * byte_at(parts, 2 * b + i); }
// The 16 values of IQ4_NL as a polynomial: it is off by 0.436 at most, so that
// rounding gives them exactly (a table in memory or in words is slower, even on lavapipe).
vec4 iq4_value(uint word) {
    vec4 n = vec4(bytes(word));
    vec4 y = fma(n, vec4(0.001586), vec4(0.0310864));
    y = fma(n, y, vec4(-1.371927));
    y = fma(n, y, vec4(24.17383));
    return roundEven(fma(n, y, vec4(-126.56701)));
}

#if defined(WEIGHT_F32)
#define STRIP 8
#define UNITS 2
#define BLOCK 4
vec4 value(Bits bits, uint i) { return uintBitsToFloat(bits.units[i]); }

#elif defined(WEIGHT_F16)
#define STRIP 16
#define UNITS 2
#define BLOCK 8
vec4 value(Bits bits, uint i) {
    uvec4 unit = bits.units[i >> 1];
    return vec4(unpackHalf2x16(unit[2 * (i & 1)]), unpackHalf2x16(unit[2 * (i & 1) + 1]));
}

#elif defined(WEIGHT_BF16)
#define STRIP 16
#define UNITS 2
#define BLOCK 8
vec4 value(Bits bits, uint i) {
    uvec2 pair = uvec2(bits.units[i >> 1][2 * (i & 1)], bits.units[i >> 1][2 * (i & 1) + 1]);
    return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u, pair.y << 16, pair.y & 0xffff0000u));
}

#elif defined(WEIGHT_Q8_0)
#define STRIP 32
#define UNITS 2
#define GROUP 2
#define SHARED 1
#define OWN 0
#define BLOCK 32
#define SCALED
vec4 value(Bits bits, uint i) { return signed_bytes(bits.units[i >> 2][i & 3]); }
float scale_of(Bits bits, uint b) { return half_at(bits.words[0], bits.place); }

#elif defined(WEIGHT_Q4_0)
#define STRIP 64
#define UNITS 2
#define GROUP 1
#define SHARED 1
#define OWN 0
#define BLOCK 32
#define SCALED
vec4 value(Bits bits, uint i) { return signed_bytes(four_bits(bits, i) << 4); }
float scale_of(Bits bits, uint b) { return half_at(bits.words[0], b) / 16; }

#elif defined(WEIGHT_Q4_1)
#define STRIP 64
#define UNITS 2
#define GROUP 1
#define SHARED 2
#define OWN 0
#define BLOCK 32
#define SCALED
#define MINIMUM
vec4 value(Bits bits, uint i) { return vec4(bytes(four_bits(bits, i))); }
float scale_of(Bits bits, uint b) { return half_at(bits.words[b], 0); }
float minimum_of(Bits bits, uint b) { return -half_at(bits.words[b], 1); }

#elif defined(WEIGHT_Q5_0)
#define STRIP 64
#define UNITS 2
#define GROUP 1
#define SHARED 3
#define OWN 0
#define BLOCK 32
#define SCALED
vec4 value(Bits bits, uint i) {
    return signed_bytes(four_bits(bits, i) << 3 | one_bit(bits.words[1 + (i >> 3)], i) << 7);
}
float scale_of(Bits bits, uint b) { return half_at(bits.words[0], b) / 8; }

#elif defined(WEIGHT_Q5_1)
#define STRIP 64
#define UNITS 2
#define GROUP 1
#define SHARED 4
#define OWN 0
#define BLOCK 32
#define SCALED
#define MINIMUM
vec4 value(Bits bits, uint i) {
    return vec4(bytes(four_bits(bits, i) | one_bit(bits.words[2 + (i >> 3)], i) << 4));
}
float scale_of(Bits bits, uint b) { return half_at(bits.words[b], 0); }
float minimum_of(Bits bits, uint b) { return -half_at(bits.words[b], 1); }

#elif defined(WEIGHT_Q2_K)
#define STRIP 64
#define UNITS 1
#define GROUP 4
#define SHARED 1
#define OWN 1
#define BLOCK 16
#define SCALED
#define MINIMUM
vec4 value(Bits bits, uint i) { return vec4(bytes(two_bits(bits.units[0], i))); }
float scale_of(Bits bits, uint b) { return half_at(bits.words[0], 0) * float(bits.words[1] >> 8 * b & 15u); }
float minimum_of(Bits bits, uint b) { return half_at(bits.words[0], 1) * float(bits.words[1] >> 8 * b + 4 & 15u); }

#elif defined(WEIGHT_Q3_K)
#define STRIP 64
#define UNITS 1
#define GROUP 2
#define SHARED 2 // four scales of 6 bits, and above them a byte of the block's float16
#define OWN 2
#define BLOCK 16
#define SCALED
vec4 value(Bits bits, uint i) {
    return signed_bytes(two_bits(bits.units[0], i) << 5 | one_bit(bits.words[2 + (i >> 3)], i) << 7);
}
float scale_of(Bits bits, uint b) {
    uint parts = bits.place == 0 ? bits.words[0] : bits.words[1];
    return half_at(bits.words[0] >> 24 | bits.words[1] >> 24 << 8, 0) / 32 * float(int(parts << 26 - 6 * b) >> 26);
}

#elif defined(WEIGHT_Q4_K)
#define STRIP 64
#define UNITS 2
#define GROUP 4
#define SHARED 1
#define OWN 1
#define BLOCK 32
#define SCALED
#define MINIMUM
vec4 value(Bits bits, uint i) { return vec4(bytes(four_bits(bits, i))); }
float scale_of(Bits bits, uint b) { return part_of(bits.words[0], bits.words[1], 0, b); }
float minimum_of(Bits bits, uint b) { return part_of(bits.words[0], bits.words[1], 1, b); }

#elif defined(WEIGHT_Q5_K)
#define STRIP 64
#define UNITS 2
#define GROUP 4
#define SHARED 1
#define OWN 3
#define BLOCK 32
#define SCALED
#define MINIMUM
vec4 value(Bits bits, uint i) {
    return vec4(bytes(four_bits(bits, i) | one_bit(bits.words[2 + (i >> 3)], i) << 4));
}
float scale_of(Bits bits, uint b) { return part_of(bits.words[0], bits.words[1], 0, b); }
float minimum_of(Bits bits, uint b) { return part_of(bits.words[0], bits.words[1], 1, b); }

#elif defined(WEIGHT_Q6_K)
#define STRIP 64
#define UNITS 3
#define GROUP 4
#define SHARED 1
#define OWN 1
#define BLOCK 16
#define SCALED
vec4 value(Bits bits, uint i) { return signed_bytes(four_bits(bits, i) << 2 | two_bits(bits.units[2], i) << 6); }
float scale_of(Bits bits, uint b) {
    return half_at(bits.words[0], 0) / 4 * float(int(bits.words[1] << 24 - 8 * b) >> 24);
}

#elif defined(WEIGHT_Q8_K)
#define STRIP 32
#define UNITS 2
#define GROUP 8
#define SHARED 1
#define OWN 0
#define BLOCK 32
#define SCALED
vec4 value(Bits bits, uint i) { return signed_bytes(bits.units[i >> 2][i & 3]); }
float scale_of(Bits bits, uint b) { return uintBitsToFloat(bits.words[0]); }

#elif defined(WEIGHT_IQ4_NL)
#define STRIP 64
#define UNITS 2
#define GROUP 1
#define SHARED 1
#define OWN 0
#define BLOCK 32
#define SCALED
vec4 value(Bits bits, uint i) { return iq4_value(four_bits(bits, i)); }
float scale_of(Bits bits, uint b) { return half_at(bits.words[0], b); }

#elif defined(WEIGHT_IQ4_XS)
#define STRIP 64
#define UNITS 2
#define GROUP 4
#define SHARED 2 // the block's float16, the scales' upper two bits; their lower four
#define OWN 0
#define BLOCK 32
#define SCALED
vec4 value(Bits bits, uint i) { return iq4_value(four_bits(bits, i)); }
float scale_of(Bits bits, uint b) {
    uint part = bits.place * 2 + b;
    uint both = (bits.words[1] >> 4 * part & 15u) | (bits.words[0] >> 16 + 2 * part & 3u) << 4;
    return half_at(bits.words[0], 0) * (float(both) - 32);
}

#elif defined(WEIGHT_MXFP4)
#define STRIP 64
#define UNITS 2
#define GROUP 2
#define SHARED 1
#define OWN 0
#define BLOCK 32
#define SCALED
// E2M1: magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6, here twice as much, and the sign.
vec4 value(Bits bits, uint i) {
    uint codes = four_bits(bits, i);
    vec4 magnitude = vec4(uvec4(0xc8643210u) >> bytes(codes << 2 & 0x1c1c1c1cu) & 15u);
    uvec4 sign = uvec4(codes << 28, codes << 20, codes << 12, codes << 4) & 0x80000000u;
    return uintBitsToFloat(floatBitsToUint(magnitude) | sign);
}
// E8M0: 2^(e - 127), here half of it: below 2^-126 it is 0.
float scale_of(Bits bits, uint b) {
    uint e = bits.words[0] >> 16 * bits.place + 8 * b & 255u;
    return uintBitsToFloat(max(e, 1u) - 1 << 23);
}
#endif

#define STRIPS (CHUNK / STRIP) // of a chunk
#define BLOCKS (STRIP / BLOCK) // of a strip
#define QUADS (BLOCK / 4)      // fours of values of a block

// The bits of a row's strip.
Bits load_bits(uint tile, uint strip, uint row) {
    Bits bits;
    uint n_strips = n_chunks * STRIPS;
    [[unroll]] for (uint u = 0; u < UNITS; ++u) bits.units[u] = weights[((tile * n_strips + strip) * UNITS + u) * TILE + row];
#ifdef GROUP
    uint n_groups = (n_strips + GROUP - 1) / GROUP, words = SHARED + GROUP * OWN;
    uint first = (tile * n_groups + strip / GROUP) * words;
    bits.place = strip % GROUP;
    [[unroll]] for (uint w = 0; w < SHARED; ++w) bits.words[w] = scales[(first + w) * TILE + row];
    [[unroll]] for (uint w = 0; w < OWN; ++w)
        bits.words[SHARED + w] = scales[(first + SHARED + bits.place * OWN + w) * TILE + row];
#endif
    return bits;
}
