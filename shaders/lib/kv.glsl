// The KV cache as rope_store.comp writes it. Positions lie in pages of PAGE; page_table[p / PAGE] is the physical page
// of position p. In a page each KV head has KV_UNITS units of 16 bytes a position, positions side by side, so that
// lanes over positions read neighbouring 16 bytes and lanes over queries read one address together:
//   k[((page * n_kv_heads + head) * KV_UNITS + unit) * PAGE + slot], v alike
// q8_0 has blocks of 32 values with a float16 scale each (as GGUF's type); the scales of two blocks are one word:
//   kv_scales[(((page * n_kv_heads + head) * 2 + (0: k, 1: v)) * KV_PAIRS + pair) * PAGE + slot]
// HEAD_DIM is a specialisation constant; entries beyond it are zero.
#define PAGE 64
#define NO_PAGE 0xffffffffu // table entry without a page: PageTable::unused

#if defined(KV_F32)
#define KV_GROUP 4 // values that one invocation of rope_store.comp writes
#define KV_UNITS ((HEAD_DIM + 3) / 4)
#define KV_QUADS 1 // fours of values a unit
vec4 kv_value(uvec4 unit, uint i) { return uintBitsToFloat(unit); }
#elif defined(KV_F16)
#define KV_GROUP 8
#define KV_UNITS ((HEAD_DIM + 7) / 8)
#define KV_QUADS 2
vec4 kv_value(uvec4 unit, uint i) { return vec4(unpackHalf2x16(unit[2 * i]), unpackHalf2x16(unit[2 * i + 1])); }
#elif defined(KV_Q8_0)
#define KV_SCALED
#define KV_GROUP 64
#define KV_UNITS ((HEAD_DIM + 31) / 32 * 2)
#define KV_QUADS 4
#define KV_PAIRS ((HEAD_DIM + 63) / 64)
vec4 kv_value(uvec4 unit, uint i) {
    int word = int(unit[i]);
    return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24);
}
uint kv_scale_index(uint page_head, uint which, uint pair, uint slot) {
    return ((page_head * 2 + which) * KV_PAIRS + pair) * PAGE + slot;
}
#endif

/// Index of a unit; page_head is physical_page * n_kv_heads + head.
uint kv_index(uint page_head, uint unit, uint slot) { return (page_head * KV_UNITS + unit) * PAGE + slot; }
