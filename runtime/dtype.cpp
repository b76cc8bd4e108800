#include "runtime/dtype.hpp"

#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <iterator>

namespace kvasir {

namespace {

constexpr DTypeInfo table[] = {
    {DType::f32, "F32", 0, 1, 4},     {DType::f16, "F16", 1, 1, 2},     {DType::bf16, "BF16", 30, 1, 2},
    {DType::q8_0, "Q8_0", 8, 32, 34}, {DType::q4_0, "Q4_0", 2, 32, 18},
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

uint16_t load16(const uint8_t* bytes) {
    return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
}

void decode_q8_0(const uint8_t* source, float* target, uint64_t n_blocks) {
    for (uint64_t block = 0; block < n_blocks; ++block, source += 34, target += 32) {
        const float scale = half_to_float(load16(source));
        for (int i = 0; i < 32; ++i)
            target[i] = static_cast<float>(static_cast<int8_t>(source[2 + i])) * scale;
    }
}

void decode_q4_0(const uint8_t* source, float* target, uint64_t n_blocks) {
    for (uint64_t block = 0; block < n_blocks; ++block, source += 18, target += 32) {
        const float scale = half_to_float(load16(source));
        // A byte holds value i in its low half and value i + 16 in its high half, both offset by 8.
        for (int i = 0; i < 16; ++i) {
            target[i] = static_cast<float>((source[2 + i] & 15) - 8) * scale;
            target[i + 16] = static_cast<float>((source[2 + i] >> 4) - 8) * scale;
        }
    }
}

} // namespace

const DTypeInfo& info(DType dtype) {
    const DTypeInfo& row = table[static_cast<size_t>(dtype)];
    assert(row.dtype == dtype);
    return row;
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
    case DType::f32: std::memcpy(target, bytes, n * sizeof(float)); break;
    case DType::f16:
        for (uint64_t i = 0; i < n; ++i) target[i] = half_to_float(load16(bytes + 2 * i));
        break;
    case DType::bf16:
        for (uint64_t i = 0; i < n; ++i)
            target[i] = std::bit_cast<float>(static_cast<uint32_t>(load16(bytes + 2 * i)) << 16);
        break;
    case DType::q8_0: decode_q8_0(bytes, target, n / row.block); break;
    case DType::q4_0: decode_q4_0(bytes, target, n / row.block); break;
    }
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
