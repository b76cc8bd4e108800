// Blocks built by hand, by the definition of each type: fields are written bit by bit where ggml-common.h
// puts them, and the values follow from the type's equation, independent of the decoder's way of reading
// them.
#include "runtime/dtype.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

namespace kvasir {

namespace {

struct Block {
    explicit Block(DType dtype_) : dtype(dtype_), bytes(info(dtype_).block_bytes) {}

    /// Adds n bits of value at bit `bit` of the bytes from `at` on, the lowest first.
    void put(size_t at, size_t bit, uint32_t value, size_t n) {
        for (size_t i = 0; i < n; ++i)
            bytes[at + (bit + i) / 8] |= static_cast<uint8_t>((value >> i & 1) << (bit + i) % 8);
    }
    void put_half(size_t at, float value) { put(at, 0, float_to_half(value), 16); }

    /// Every value is that of the equation, as float32 has it.
    void check(const std::function<double(int)>& value) const {
        CAPTURE(info(dtype).name);
        std::vector<float> decoded(info(dtype).block);
        decode(dtype, bytes.data(), decoded.data(), decoded.size());
        int wrong = 0;
        for (size_t i = 0; i < decoded.size(); ++i) wrong += decoded[i] != static_cast<float>(value(int(i)));
        CHECK(wrong == 0);
    }

    DType dtype;
    std::vector<uint8_t> bytes;
};

/// Numbers below 2^bits that take every value and differ from one index to the next.
uint32_t some(int i, int bits) {
    return static_cast<uint32_t>(i * 7 + i / 16 * 5 + 3) % (1u << bits);
}

/// 32 values of four bits: i and i + 16 share byte i.
void put_nibbles(Block& block, size_t at, const std::function<uint32_t(int)>& value) {
    for (int i = 0; i < 32; ++i) block.put(at + size_t(i % 16), i < 16 ? 0 : 4, value(i) & 15, 4);
}

/// 256 values of two bits: 128 values in 32 bytes, value l + 32 s of them at bit 2 s of byte l.
void put_two_bits(Block& block, size_t at, const std::function<uint32_t(int)>& value) {
    for (int i = 0; i < 256; ++i)
        block.put(at + size_t(i / 128 * 32 + i % 32), size_t(i % 128 / 32 * 2), value(i) & 3, 2);
}

/// Scales and minima of 6 bits of eight parts in 12 bytes: parts 0 to 3 have the low six bits of bytes 0 to 3
/// and 4 to 7; parts 4 to 7 have their low four bits in bytes 8 to 11, scale below minimum, and their upper
/// two bits at the top of bytes 0 to 3 and 4 to 7.
void put_parts(Block& block, size_t at, const std::function<uint32_t(int)>& scale,
               const std::function<uint32_t(int)>& min) {
    for (int part = 0; part < 8; ++part) {
        const size_t byte = size_t(part % 4);
        if (part < 4) {
            block.put(at + byte, 0, scale(part), 6);
            block.put(at + 4 + byte, 0, min(part), 6);
            continue;
        }
        block.put(at + 8 + byte, 0, scale(part) & 15, 4);
        block.put(at + 8 + byte, 4, min(part) & 15, 4);
        block.put(at + byte, 6, scale(part) >> 4, 2);
        block.put(at + 4 + byte, 6, min(part) >> 4, 2);
    }
}

const auto scale6 = [](int part) { return some(part + 5, 6); };
const auto min6 = [](int part) { return some(part + 11, 6); };

/// kvalues_iq4nl of ggml.
constexpr std::array iq4 = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

constexpr float d = 0.0123f, m = -1.75f; // as float16: see half()

/// What a float16 keeps of a value.
double half(float value) {
    return half_to_float(float_to_half(value));
}

} // namespace

TEST_CASE("Q4_1: y = d q + m; d, m, 16 bytes of four bits") {
    Block block(DType::q4_1);
    block.put_half(0, d);
    block.put_half(2, m);
    put_nibbles(block, 4, [](int i) { return some(i, 4); });
    block.check([](int i) { return half(d) * some(i, 4) + half(m); });
}

TEST_CASE("Q5_0 and Q5_1: the fifth bit of value i is bit i of a word; y = d (q - 16), y = d q + m") {
    Block zero(DType::q5_0), one(DType::q5_1);
    zero.put_half(0, d);
    one.put_half(0, d);
    one.put_half(2, m);
    for (int i = 0; i < 32; ++i) {
        zero.put(2, size_t(i), some(i, 5) >> 4, 1);
        one.put(4, size_t(i), some(i, 5) >> 4, 1);
    }
    put_nibbles(zero, 6, [](int i) { return some(i, 5); });
    put_nibbles(one, 8, [](int i) { return some(i, 5); });
    zero.check([](int i) { return half(d) * (int(some(i, 5)) - 16); });
    one.check([](int i) { return half(d) * some(i, 5) + half(m); });
}

TEST_CASE("Q2_K: y = d s q - dmin m; 16 bytes of s and m, four bits each, 64 bytes of two bits, d, dmin") {
    Block block(DType::q2_k);
    for (int part = 0; part < 16; ++part) {
        block.put(size_t(part), 0, some(part, 4), 4);
        block.put(size_t(part), 4, some(part + 3, 4), 4);
    }
    put_two_bits(block, 16, [](int i) { return some(i, 2); });
    block.put_half(80, d);
    block.put_half(82, -m);
    block.check(
        [](int i) { return half(d) * some(i / 16, 4) * some(i, 2) - half(-m) * some(i / 16 + 3, 4); });
}

TEST_CASE("Q3_K: y = d (s - 32) (q - 4); bit l of 32 bytes, 64 bytes of two bits, 12 of scales, d") {
    Block block(DType::q3_k);
    // bit g of byte l is the third bit of value 32 g + l
    for (int i = 0; i < 256; ++i) block.put(size_t(i % 32), size_t(i / 32), some(i, 3) >> 2, 1);
    put_two_bits(block, 32, [](int i) { return some(i, 3); });
    // scale k: low four bits in byte k % 8, parts 8 to 15 in its high half; upper two in byte 8 + k % 4, at 2
    // (k / 4)
    for (int part = 0; part < 16; ++part) {
        block.put(96 + size_t(part % 8), part < 8 ? 0 : 4, scale6(part) & 15, 4);
        block.put(104 + size_t(part % 4), size_t(part / 4 * 2), scale6(part) >> 4, 2);
    }
    block.put_half(108, d);
    block.check([](int i) { return half(d) * (int(scale6(i / 16)) - 32) * (int(some(i, 3)) - 4); });
}

TEST_CASE(
    "Q4_K: y = d s q - dmin m; d, dmin, 12 bytes of s and m, four bits of value l and l + 32 in byte l") {
    Block block(DType::q4_k);
    block.put_half(0, d);
    block.put_half(2, -m);
    put_parts(block, 4, scale6, min6);
    for (int i = 0; i < 256; ++i)
        block.put(16 + size_t(i / 64 * 32 + i % 32), i % 64 < 32 ? 0 : 4, some(i, 4), 4);
    block.check([](int i) { return half(d) * scale6(i / 32) * some(i, 4) - half(-m) * min6(i / 32); });
}

TEST_CASE("Q5_K: as Q4_K, and bit i / 32 of 32 bytes is the fifth bit of value i") {
    Block block(DType::q5_k);
    block.put_half(0, d);
    block.put_half(2, -m);
    put_parts(block, 4, scale6, min6);
    for (int i = 0; i < 256; ++i) {
        block.put(16 + size_t(i % 32), size_t(i / 32), some(i, 5) >> 4, 1);
        block.put(48 + size_t(i / 64 * 32 + i % 32), i % 64 < 32 ? 0 : 4, some(i, 5) & 15, 4);
    }
    block.check([](int i) { return half(d) * scale6(i / 32) * some(i, 5) - half(-m) * min6(i / 32); });
}

TEST_CASE("Q6_K: y = d s (q - 32); 128 bytes of four bits, 64 of two, 16 scales of 8 bits, d") {
    Block block(DType::q6_k);
    const auto scale = [](int part) { return int(some(part, 8)) - 128; };
    // 128 values in 64 bytes: value l and l + 64 in byte l
    for (int i = 0; i < 256; ++i)
        block.put(size_t(i / 128 * 64 + i % 64), i % 128 < 64 ? 0 : 4, some(i, 6) & 15, 4);
    put_two_bits(block, 128, [](int i) { return some(i, 6) >> 4; });
    for (int part = 0; part < 16; ++part) block.put(192 + size_t(part), 0, uint32_t(scale(part)) & 255, 8);
    block.put_half(208, d);
    block.check([&](int i) { return half(d) * scale(i / 16) * (int(some(i, 6)) - 32); });
}

TEST_CASE("Q8_K: y = d q; d is a float32, then 256 bytes, then sums that decoding does not need") {
    Block block(DType::q8_k);
    std::memcpy(block.bytes.data(), &d, 4);
    for (int i = 0; i < 256; ++i) block.put(4 + size_t(i), 0, uint32_t(i - 128) & 255, 8);
    for (size_t i = 260; i < 292; ++i) block.bytes[i] = 0xff;
    block.check([](int i) { return double(d) * (i - 128); });
}

TEST_CASE("IQ4_NL: y = d v[q] of a table of 16 values") {
    Block block(DType::iq4_nl);
    block.put_half(0, d);
    put_nibbles(block, 2, [](int i) { return some(i, 4); });
    block.check([](int i) { return half(d) * iq4[some(i, 4)]; });
}

TEST_CASE("IQ4_XS: y = d (s - 32) v[q]; d, the upper two bits of s, the lower four, 8 times 16 bytes") {
    Block block(DType::iq4_xs);
    block.put_half(0, d);
    for (int part = 0; part < 8; ++part) {
        block.put(2, size_t(part * 2), scale6(part) >> 4, 2);
        block.put(4, size_t(part * 4), scale6(part) & 15, 4);
        put_nibbles(block, 8 + size_t(part) * 16, [&](int i) { return some(32 * part + i, 4); });
    }
    block.check([](int i) { return half(d) * (int(scale6(i / 32)) - 32) * iq4[some(i, 4)]; });
}

TEST_CASE("MXFP4: E2M1 values under one E8M0 scale (OCP Microscaling Formats 1.0, 5.3.3 and 5.4.1)") {
    for (const int exponent : {0, 1, 2, 126, 127, 254}) {
        CAPTURE(exponent);
        Block block(DType::mxfp4);
        block.put(0, 0, uint32_t(exponent), 8);
        put_nibbles(block, 1, [](int i) { return some(i, 4); });
        block.check([&](int i) {
            const uint32_t code = some(i, 4), e = code >> 1 & 3, mantissa = code & 1;
            const double magnitude = e ? std::ldexp(1 + mantissa / 2.0, int(e) - 1) : mantissa / 2.0;
            return (code & 8 ? -1 : 1) * magnitude * std::ldexp(1.0, exponent - 127);
        });
    }
}

TEST_CASE("a type's blocks follow one another") {
    for (const DTypeInfo& type : all_dtypes()) {
        CAPTURE(type.name);
        std::vector<uint8_t> bytes(size_t(type.block_bytes) * 3);
        for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 29 % 60);
        std::vector<float> all(size_t(type.block) * 3), one(type.block);
        decode(type.dtype, bytes.data(), all.data(), all.size());
        for (size_t i = 0; i < 3; ++i) {
            decode(type.dtype, &bytes[i * type.block_bytes], one.data(), one.size());
            CHECK(std::memcmp(one.data(), &all[i * type.block], one.size() * sizeof(float)) == 0);
        }
    }
}

} // namespace kvasir
