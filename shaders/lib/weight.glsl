// Weights as ops::pack lays them out. A matrix [n_rows, d_in] is cut into tiles of 32 rows and chunks of 64 values.
// Within (tile, chunk) come the units: a unit is the 16 bytes (one uvec4) of one row; units of the 32 rows stand side
// by side, so that neighbouring lanes read neighbouring 16 bytes:
//   weights[((tile * n_chunks + chunk) * UNITS + unit) * 32 + row]
// Scales of the quantised types follow in a buffer of their own, two float16 (the chunk's two blocks of 32) a word:
//   scales[(tile * n_chunks + chunk) * 32 + row]
// One row a type: UNITS, and value(unit, i) = the i-th four values of a unit, before the scale.
// Only 32-bit loads: no 8-bit or 16-bit storage is needed. Block formats: GGUF specification, ggml types.

#if defined(WEIGHT_F32)
#define UNITS 16
vec4 value(uvec4 unit, uint i) { return uintBitsToFloat(unit); }
#elif defined(WEIGHT_F16)
#define UNITS 8
vec4 value(uvec4 unit, uint i) { return vec4(unpackHalf2x16(unit[2 * i]), unpackHalf2x16(unit[2 * i + 1])); }
#elif defined(WEIGHT_BF16)
#define UNITS 8
vec4 value(uvec4 unit, uint i) {
    uvec2 pair = uvec2(unit[2 * i], unit[2 * i + 1]);
    return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u, pair.y << 16, pair.y & 0xffff0000u));
}
#elif defined(WEIGHT_Q8_0)
#define UNITS 4
#define SCALED
vec4 value(uvec4 unit, uint i) {
    int word = int(unit[i]);
    return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24);
}
#elif defined(WEIGHT_Q4_0)
#define UNITS 2
#define SCALED
vec4 value(uvec4 unit, uint i) {
    uint word = unit[i >> 1] >> (16 * (i & 1));
    return vec4((uvec4(word) >> uvec4(0, 4, 8, 12)) & 15u) - 8.0;
}
#endif

#define CHUNK 64
#define TILE 32
#define QUADS (CHUNK / 4 / UNITS) // fours of values a unit

#ifdef SCALED
float scale_of(uint word, uint unit) {
    vec2 both = unpackHalf2x16(word);
    return unit < UNITS / 2 ? both.x : both.y;
}
#endif
