// The quantiser beside ggml's own (ggml_quantize_chunk of ggml 0.27 without an importance matrix), and at its
// edges.
#include "runtime/quantize.hpp"

#include "tests/sha256.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace kvasir {

namespace {

/// Nearly normal values: sums of four uniform ones.
std::vector<float> bell(size_t n) {
    std::mt19937 random(1); // its numbers are the standard's
    std::vector<float> values(n);
    for (float& value : values) {
        double sum = -2;
        for (int i = 0; i < 4; ++i) sum += (random() >> 8) * 0x1p-24;
        value = static_cast<float>(sum);
    }
    return values;
}

std::vector<std::byte> quantised(DType dtype, std::span<const float> values) {
    std::vector<std::byte> bytes(values.size() / info(dtype).block * info(dtype).block_bytes);
    quantize(dtype, values, bytes.data());
    return bytes;
}

std::vector<float> there_and_back(DType dtype, std::span<const float> values) {
    std::vector<float> back(values.size());
    decode(dtype, quantised(dtype, values).data(), back.data(), back.size());
    return back;
}

double mean_squared_error(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - b[i], 2);
    return sum / double(a.size());
}

} // namespace

TEST_CASE("Q8_0 and Q4_0 are ggml's to the byte") {
    const auto values = bell(1 << 16);
    CHECK(Sha256::of(quantised(DType::q8_0, values)) ==
          "2c959c46cdeb8cd409764f4fcb89070d7fba62b61441d68efb3d7cb4b87eac60");
    CHECK(Sha256::of(quantised(DType::q4_0, values)) ==
          "f37c3dfbe3a3fa1ea855eeb0a2d8f6650672439300b550926dddd325e2c2078e");
}

TEST_CASE("Q4_K comes within 10 % of the mean squared error of ggml's") {
    const auto values = bell(1 << 16);
    CHECK(mean_squared_error(values, there_and_back(DType::q4_k, values)) < 1.1 * 0.00157724);
}

TEST_CASE("values that a type can hold stay as they are") {
    std::vector<float> values(256);
    for (size_t i = 0; i < 256; ++i) values[i] = static_cast<float>(i * 5 % 16) - 8; // 0 to 15, less 8
    for (const DType dtype : {DType::q4_0, DType::q4_k})
        // d and dmin of Q4_K are float16, 1/63 of the largest scale and minimum
        CHECK(mean_squared_error(values, there_and_back(dtype, values)) <
              (dtype == DType::q4_0 ? 1e-12 : 1e-5));
}

TEST_CASE("constant blocks, zeros, one outlier, tiny and huge values: finite, and off by a step at most") {
    for (const DType dtype : quantised_types)
        for (const float size : {1.0f, 1e-3f, 1e4f})
            for (int kind = 0; kind < 5; ++kind) {
                CAPTURE(info(dtype).name);
                CAPTURE(size);
                CAPTURE(kind);
                std::vector<float> values(512);
                for (size_t i = 0; i < values.size(); ++i)
                    values[i] = size * (kind == 0   ? 0.0f
                                        : kind == 1 ? 1.0f
                                        : kind == 2 ? -1.0f
                                        : kind == 3 ? float(i == 300)
                                                    : float(i % 32) / 31);
                const auto back = there_and_back(dtype, values);
                // A sixteenth of the range, a 6-bit scale of the block's largest and float16's rounding of
                // it.
                const double step = size * (1 / 15.0 + 1 / 63.0 + 1 / 1024.0);
                for (size_t i = 0; i < values.size(); ++i) CHECK(std::abs(back[i] - values[i]) <= step);
            }
}

TEST_CASE("what is no number or infinite does no harm beyond its block") {
    for (const DType dtype : quantised_types)
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
              -std::numeric_limits<float>::infinity(), 1e-42f, 3e38f}) {
            CAPTURE(info(dtype).name);
            CAPTURE(bad);
            auto values = bell(768);
            const auto before = there_and_back(dtype, values);
            values[300] = bad;
            const auto after = there_and_back(dtype, values);
            for (size_t i = 0; i < values.size(); ++i)
                if (i < 256 || i >= 512) CHECK(after[i] == before[i]);
        }
}

} // namespace kvasir
