#include "runtime/dtype.hpp"

#include "runtime/blocks.hpp"

#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <iterator>

namespace kvasir {

namespace {

constexpr DTypeInfo table[] = {
    {DType::f32, "F32", 0, 1, 4},          {DType::f16, "F16", 1, 1, 2},
    {DType::bf16, "BF16", 30, 1, 2},       {DType::q8_0, "Q8_0", 8, 32, 34},
    {DType::q4_0, "Q4_0", 2, 32, 18},      {DType::q4_1, "Q4_1", 3, 32, 20},
    {DType::q5_0, "Q5_0", 6, 32, 22},      {DType::q5_1, "Q5_1", 7, 32, 24},
    {DType::q2_k, "Q2_K", 10, 256, 84},    {DType::q3_k, "Q3_K", 11, 256, 110},
    {DType::q4_k, "Q4_K", 12, 256, 144},   {DType::q5_k, "Q5_K", 13, 256, 176},
    {DType::q6_k, "Q6_K", 14, 256, 210},   {DType::q8_k, "Q8_K", 15, 256, 292},
    {DType::iq4_nl, "IQ4_NL", 20, 32, 18}, {DType::iq4_xs, "IQ4_XS", 23, 256, 136},
    {DType::mxfp4, "MXFP4", 39, 32, 17},
};

/// ggml_type in ggml.h by number, those taken out of ggml too: files with them are still about.
constexpr std::array gguf_names = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",    "NVFP4",    "Q1_0",
};

// Every decoder below takes one block, as ggml's block_* structs in ggml-common.h lay it out, and computes in
// the order of ggml's dequantize_row_*: a product of a float16 with the few bits of a scale and of a value is
// exact in float32, so that a minimum's subtraction is the only rounding.

void decode_q8_0(const uint8_t* block, float* y) {
    const float scale = load_half(block);
    for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
}

/// A byte holds value i in its low half and value i + 16 in its high half: y = values[...] * scale.
void decode_nibbles(const uint8_t* bits, float scale, const int8_t* values, float* y) {
    for (int i = 0; i < 16; ++i) {
        y[i] = scale * static_cast<float>(values[bits[i] & 15]);
        y[i + 16] = scale * static_cast<float>(values[bits[i] >> 4]);
    }
}

void decode_q4_0(const uint8_t* block, float* y) {
    constexpr int8_t values[] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
    decode_nibbles(block + 2, load_half(block), values, y);
}

void decode_q4_1(const uint8_t* block, float* y) {
    const float scale = load_half(block), low = load_half(block + 2);
    for (int i = 0; i < 16; ++i) {
        y[i] = static_cast<float>(block[4 + i] & 15) * scale + low;
        y[i + 16] = static_cast<float>(block[4 + i] >> 4) * scale + low;
    }
}

/// Value i of 32: four bits as in Q4_0 and bit i of the word `high` as the fifth.
int five_bits(const uint8_t* low, uint32_t high, int i) {
    return (i < 16 ? low[i] & 15 : low[i - 16] >> 4) | static_cast<int>(high >> i & 1) << 4;
}

void decode_q5_0(const uint8_t* block, float* y) {
    const float scale = load_half(block);
    for (int i = 0; i < 32; ++i)
        y[i] = static_cast<float>(five_bits(block + 6, load_word(block + 2), i) - 16) * scale;
}

void decode_q5_1(const uint8_t* block, float* y) {
    const float scale = load_half(block), low = load_half(block + 2);
    for (int i = 0; i < 32; ++i)
        y[i] = static_cast<float>(five_bits(block + 8, load_word(block + 4), i)) * scale + low;
}

// Blocks of 256. Two-bit planes (Q2_K, Q3_K, the upper bits of Q6_K) hold 128 values in 32 bytes: byte l the
// values l, l + 32, l + 64 and l + 96, from its lowest bits up.

int two_bits(const uint8_t* plane, int i) {
    return plane[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

void decode_q2_k(const uint8_t* block, float* y) {
    const float scale = load_half(block + 80), low = load_half(block + 82);
    for (int i = 0; i < 256; ++i) {
        const uint8_t both = block[i / 16];
        y[i] = scale * static_cast<float>(both & 15) * static_cast<float>(two_bits(block + 16, i)) -
               low * static_cast<float>(both >> 4);
    }
}

void decode_q3_k(const uint8_t* block, float* y) {
    const float scale = load_half(block + 108);
    for (int i = 0; i < 256; ++i) {
        const int high = block[i % 32] >> (i / 32) & 1;
        const int value = two_bits(block + 32, i) + 4 * high - 4;
        y[i] = scale * static_cast<float>(q3_k_scale(block + 96, i / 16)) * static_cast<float>(value);
    }
}

/// Value i of Q4_K and Q5_K: 64 values in 32 bytes, the first 32 in the low halves.
int four_bits(const uint8_t* bits, int i) {
    return bits[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
}

void decode_q4_k(const uint8_t* block, float* y) {
    const float scale = load_half(block), low = load_half(block + 2);
    for (int i = 0; i < 256; ++i) {
        const ScaleMin part = k_scale_min(block + 4, i / 32);
        y[i] = scale * static_cast<float>(part.scale) * static_cast<float>(four_bits(block + 16, i)) -
               low * static_cast<float>(part.min);
    }
}

void decode_q5_k(const uint8_t* block, float* y) {
    const float scale = load_half(block), low = load_half(block + 2);
    for (int i = 0; i < 256; ++i) {
        const ScaleMin part = k_scale_min(block + 4, i / 32);
        const int value = four_bits(block + 48, i) + 16 * (block[16 + i % 32] >> (i / 32) & 1);
        y[i] = scale * static_cast<float>(part.scale) * static_cast<float>(value) -
               low * static_cast<float>(part.min);
    }
}

void decode_q6_k(const uint8_t* block, float* y) {
    const float scale = load_half(block + 208);
    for (int i = 0; i < 256; ++i) {
        // 128 values in 64 bytes, the first 64 in the low halves
        const int low = block[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
        const auto part = static_cast<int8_t>(block[192 + i / 16]);
        y[i] =
            scale * static_cast<float>(part) * static_cast<float>((low | two_bits(block + 128, i) << 4) - 32);
    }
}

void decode_q8_k(const uint8_t* block, float* y) {
    const auto scale = std::bit_cast<float>(load_word(block));
    for (int i = 0; i < 256; ++i) y[i] = scale * static_cast<float>(static_cast<int8_t>(block[4 + i]));
}

void decode_iq4_nl(const uint8_t* block, float* y) {
    decode_nibbles(block + 2, load_half(block), iq4_values, y);
}

void decode_iq4_xs(const uint8_t* block, float* y) {
    const float scale = load_half(block);
    const uint32_t high = load16(block + 2), low = load_word(block + 4);
    for (int part = 0; part < 8; ++part) {
        const auto bits = static_cast<int>((low >> 4 * part & 15) | (high >> 2 * part & 3) << 4);
        decode_nibbles(block + 8 + 16 * part, scale * static_cast<float>(bits - 32), iq4_values,
                       y + 32 * part);
    }
}

void decode_mxfp4(const uint8_t* block, float* y) {
    // OCP Microscaling Formats 1.0: E2M1 values under one E8M0 scale; here twice the value under half the
    // scale.
    constexpr int8_t values[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    decode_nibbles(block + 1, std::ldexp(1.0f, block[0] - 128), values, y);
}

using DecodeBlock = void (*)(const uint8_t* block, float* y);

/// In the order of DType, from Q8_0 on.
constexpr DecodeBlock decoders[] = {
    decode_q8_0, decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1,   decode_q2_k,   decode_q3_k,
    decode_q4_k, decode_q5_k, decode_q6_k, decode_q8_k, decode_iq4_nl, decode_iq4_xs, decode_mxfp4,
};
static_assert(std::size(decoders) == std::size(table) - static_cast<size_t>(DType::q8_0));

} // namespace

const DTypeInfo& info(DType dtype) {
    const DTypeInfo& row = table[static_cast<size_t>(dtype)];
    assert(row.dtype == dtype);
    return row;
}

std::span<const DTypeInfo> all_dtypes() {
    return table;
}

std::optional<DType> dtype_from_gguf(uint32_t gguf_id) {
    for (const DTypeInfo& row : table)
        if (row.gguf_id == gguf_id) return row.dtype;
    return std::nullopt;
}

std::string gguf_type_name(uint32_t gguf_id) {
    return gguf_id < gguf_names.size() ? gguf_names[gguf_id] : "type " + std::to_string(gguf_id);
}

std::string dtype_names() {
    std::string names;
    for (size_t i = 0; i < std::size(table); ++i) {
        if (i > 0) names += i + 1 < std::size(table) ? ", " : " or ";
        names += table[i].name;
    }
    return names;
}

void decode(DType dtype, const void* source, float* target, uint64_t n) {
    const DTypeInfo& row = info(dtype);
    assert(n % row.block == 0);
    const auto* bytes = static_cast<const uint8_t*>(source);
    switch (dtype) {
    case DType::f32: std::memcpy(target, bytes, n * sizeof(float)); return;
    case DType::f16:
        for (uint64_t i = 0; i < n; ++i) target[i] = load_half(bytes + 2 * i);
        return;
    case DType::bf16:
        for (uint64_t i = 0; i < n; ++i)
            target[i] = std::bit_cast<float>(static_cast<uint32_t>(load16(bytes + 2 * i)) << 16);
        return;
    default: break;
    }
    const DecodeBlock decode_block = decoders[static_cast<size_t>(dtype) - static_cast<size_t>(DType::q8_0)];
    for (uint64_t i = 0; i < n / row.block; ++i)
        decode_block(bytes + i * row.block_bytes, target + i * row.block);
}

float half_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 31u;
    const uint32_t mantissa = half & 1023u;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
    if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
    // Zero and subnormals: mantissa * 2^-24 is exact in float.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

uint16_t float_to_half(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u); // NaN
    if (magnitude >= 0x477ff000u)
        return static_cast<uint16_t>(sign | 0x7c00u); // 65520 and more round to infinity
    if (magnitude < 0x38800000u) {
        // Below 2^-14 the result is a multiple of 2^-24. Adding 0.5 puts that unit at the end of a float's
        // mantissa, so the addition itself rounds to nearest even.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
    }
    const uint32_t odd = (magnitude >> 13) & 1u;
    const uint32_t rounded =
        magnitude + 0xfffu + odd; // 13 bits go; a carry runs into the exponent as it should
    return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

} // namespace kvasir
