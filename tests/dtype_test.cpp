#include "runtime/dtype.hpp"

#include "runtime/file/model_file.hpp"
#include "tests/gguf_writer.hpp"
#include "tests/sha256.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

namespace kvasir {

namespace {

/// IEEE 754 binary16 by its definition.
double half_value(uint16_t half) {
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31) return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    return exponent ? sign * std::ldexp(1 + mantissa / 1024.0, exponent - 15)
                    : sign * std::ldexp(mantissa, -24);
}

std::string sha256_of(const std::vector<float>& values) {
    return Sha256::of(std::as_bytes(std::span(values)));
}

std::vector<float> decoded(const TensorInfo& tensor) {
    std::vector<float> values(tensor.n_values());
    decode(tensor.dtype, tensor.data.data(), values.data(), values.size());
    return values;
}

} // namespace

TEST_CASE("half to float: all 65536 values equal their definition") {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        const double expected = half_value(half);
        const float found = half_to_float(half);
        const bool same = std::isnan(expected)
                              ? std::isnan(found)
                              : found == expected && std::signbit(found) == std::signbit(expected);
        if (!same) FAIL("half " << bits << " gives " << found << ", not " << expected);
    }
}

TEST_CASE("float to half: every half comes back, and what lies between rounds to the nearest, ties to even") {
    int wrong = 0;
    const auto expect = [&](float value, uint16_t half) { wrong += float_to_half(value) != half; };
    for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
        const auto low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
        const auto sign = [](uint16_t half) { return static_cast<uint16_t>(half | 0x8000); };
        const double above =
            high == 0x7c00 ? 65536.0 : half_value(high); // the next value, were there room for it
        const auto middle =
            static_cast<float>((half_value(low) + above) / 2); // exact: one bit more than a half
        const float before = std::nextafter(middle, 0.0f), after = std::nextafter(middle, 1e9f);
        const uint16_t even = low % 2 == 0 ? low : high;
        expect(static_cast<float>(half_value(low)), low);
        expect(before, low), expect(middle, even), expect(after, high);
        expect(-static_cast<float>(half_value(low)), sign(low));
        expect(-before, sign(low)), expect(-middle, sign(even)), expect(-after, sign(high));
    }
    CHECK(wrong == 0);
    CHECK(float_to_half(1e30f) == 0x7c00);
    CHECK(float_to_half(-std::numeric_limits<float>::infinity()) == 0xfc00);
    CHECK(float_to_half(std::numeric_limits<float>::denorm_min()) == 0);
    CHECK(std::isnan(half_to_float(float_to_half(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("the table of types is in the order of DType, and GGUF numbers lead back") {
    CHECK(all_dtypes().size() == 17);
    for (const DTypeInfo& type : all_dtypes()) {
        CHECK(&info(type.dtype) == &type);
        CHECK(dtype_from_gguf(type.gguf_id) == type.dtype);
        CHECK(gguf_type_name(type.gguf_id) == type.name);
    }
    CHECK(!dtype_from_gguf(16));
    CHECK(gguf_type_name(16) == "IQ2_XXS");
    CHECK(gguf_type_name(39) == "MXFP4");
    CHECK(gguf_type_name(99) == "type 99");
    CHECK(dtype_names() ==
          "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K, "
          "IQ4_NL, IQ4_XS or MXFP4");
}

TEST_CASE("decoding blocks whose values are known by hand") {
    std::vector<uint8_t> q8(34), q4(18);
    q8[1] = q4[1] = 0x38; // half 0x3800 = 0.5
    for (int i = 0; i < 32; ++i) q8[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(i - 16));
    q8[2] = 0x80; // -128
    for (int i = 0; i < 16; ++i) q4[2 + i] = static_cast<uint8_t>(i | (15 - i) << 4);
    float values[32];
    decode(DType::q8_0, q8.data(), values, 32);
    CHECK(values[0] == -64);
    for (int i = 1; i < 32; ++i) CHECK(values[i] == (i - 16) * 0.5f);
    decode(DType::q4_0, q4.data(), values, 32);
    for (int i = 0; i < 16; ++i) {
        CHECK(values[i] == (i - 8) * 0.5f);
        CHECK(values[16 + i] == (7 - i) * 0.5f);
    }
    const uint16_t bf16[2] = {0x3fc0, 0xc2f7}; // 1.5, -123.5
    decode(DType::bf16, bf16, values, 2);
    CHECK(values[0] == 1.5f);
    CHECK(values[1] == -123.5f);
}

TEST_CASE("encoding and decoding stays within half a step of the type") {
    std::vector<float> values(96);
    for (size_t i = 0; i < values.size(); ++i)
        values[i] = std::sin(static_cast<float>(i)) * std::exp2(float(i / 32));
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0}) {
        CAPTURE(info(dtype).name);
        const auto bytes = encode(dtype, values);
        CHECK(bytes.size() == values.size() / info(dtype).block * info(dtype).block_bytes);
        std::vector<float> back(values.size());
        decode(dtype, bytes.data(), back.data(), back.size());
        for (size_t i = 0; i < values.size(); ++i) {
            const double largest = std::exp2(double(i / 32)); // no value of this block is larger
            // Half a unit in the last place; Q8_0: half of 1/127 and the scale's own rounding; Q4_0: a whole
            // 1/8 where the extreme's opposite is cut off.
            const double step = dtype == DType::f32    ? 0
                                : dtype == DType::f16  ? std::ldexp(std::fabs(values[i]), -11)
                                : dtype == DType::bf16 ? std::ldexp(std::fabs(values[i]), -8)
                                : dtype == DType::q8_0 ? largest * (0.5 / 127 + 1 / 2048.0)
                                                       : largest * (1 / 8.0 + 1 / 2048.0);
            CHECK(std::fabs(double(back[i]) - values[i]) <= step);
        }
    }
}

TEST_CASE("SHA-256 of the standard's own examples") {
    const std::string abc = "abc";
    CHECK(Sha256::of(std::as_bytes(std::span(abc))) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(Sha256::of({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("every tensor of the quantised files decodes to ggml's bytes") {
    const auto folder = shared_data("quant", 6);
    if (!folder) return;
    const auto golden = nlohmann::json::parse(std::ifstream(*folder / "dequant.json"));
    int n_files = 0;
    for (const auto& [type, entry] : golden.items()) { // it has hashes of more types than there are files
        const auto path = *folder / ("llama-256." + type + ".gguf");
        if (!std::filesystem::exists(path)) continue;
        CAPTURE(type);
        ++n_files;
        const ModelFile file = read_gguf(path.string());
        CHECK(entry.at("tensors").size() == 21);
        for (const auto& [name, expected] : entry.at("tensors").items()) {
            CAPTURE(name);
            const TensorInfo* tensor = file.find(name);
            REQUIRE(tensor);
            CHECK(info(tensor->dtype).name == expected.at("type").get<std::string>());
            CHECK(sha256_of(decoded(*tensor)) == expected.at("dequant_sha256").get<std::string>());
        }
        std::ifstream in(*folder / ("llama-256." + type + ".blk0_attn_q.dequant.f32"), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        CHECK(Sha256::of(std::as_bytes(std::span(bytes))) ==
              sha256_of(decoded(*file.find("blk.0.attn_q.weight"))));
    }
    CHECK(n_files >= 6);
}

} // namespace kvasir
