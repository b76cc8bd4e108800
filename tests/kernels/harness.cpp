#include "tests/kernels/harness.hpp"

#include "runtime/pack.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace kvasir::kernels {

Comparison::Comparison(std::string name, uint64_t bytes) {
    result_.name = std::move(name);
    result_.bytes = bytes;
}

void Comparison::value(double expected, double found, double bound) {
    const double error = std::abs(found - expected);
    const double ratio = error == 0 ? 0 : std::isfinite(error) && bound > 0 ? error / bound : HUGE_VAL;
    if (ratio > result_.worst) {
        result_.worst = ratio;
        result_.error = error;
        result_.bound = bound;
    }
    squared_errors_ += error * error;
    squared_bounds_ += bound * bound;
    squared_values_ += expected * expected;
}

CaseResult Comparison::result() const {
    CaseResult result = result_;
    if (squared_values_ > 0) {
        result.nmse = squared_errors_ / squared_values_;
        result.nmse_limit = squared_bounds_ / squared_values_;
    }
    return result;
}

std::vector<NamedTuning> tunings(const Device& device, bool has_subgroup_variant) {
    std::vector<NamedTuning> all;
    for (const bool software : {true, false})
        for (const bool subgroup : {true, false}) {
            DeviceTraits traits = device.traits();
            if (subgroup ? !has_subgroup_variant || !traits.subgroup_arithmetic : false) continue;
            traits.software = software;
            traits.subgroup_fixed = traits.subgroup_fixed && software;
            traits.subgroup_arithmetic = subgroup;
            all.push_back({std::string(software ? "software" : "GPU") + (subgroup ? ", subgroups" : ""),
                           tuning_for(traits)});
        }
    return all;
}

Device& test_device() {
    static Device device;
    return device;
}

Values Random::values(uint64_t n, double low, double high) {
    Values values(n);
    for (double& value : values) value = static_cast<float>(uniform(low, high));
    return values;
}

std::vector<uint32_t> Random::permutation(uint32_t n) {
    std::vector<uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    for (uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[bits() % i]);
    return order;
}

namespace {

/// Scales such that values are about [-1, 1], and bits of any value.
void random_block(Random& random, DType dtype, std::byte* block) {
    const DTypeInfo& type = info(dtype);
    for (uint32_t i = 2; i < type.block_bytes; ++i) block[i] = static_cast<std::byte>(random.bits() >> 24);
    const double largest = dtype == DType::q8_0 ? 128 : 8;
    const uint16_t scale = float_to_half(static_cast<float>(random.uniform(0.25, 1) / largest));
    std::memcpy(block, &scale, 2);
}

void random_value(Random& random, DType dtype, std::byte* to) {
    const auto value = static_cast<float>(random.uniform(-1, 1));
    const uint16_t half = dtype == DType::f16 ? float_to_half(value)
                                              : static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    if (dtype == DType::f32)
        std::memcpy(to, &value, 4);
    else
        std::memcpy(to, &half, 2);
}

} // namespace

Matrix random_matrix(Random& random, DType dtype, uint32_t n_rows, uint32_t n_columns) {
    const DTypeInfo& type = info(dtype);
    const uint64_t n_values = uint64_t(n_rows) * n_columns, n_blocks = n_values / type.block;
    Matrix matrix{dtype, n_rows, n_columns, std::vector<std::byte>(n_blocks * type.block_bytes), {}};
    for (uint64_t i = 0; i < n_blocks; ++i)
        (type.block > 1 ? random_block : random_value)(random, dtype, &matrix.bytes[i * type.block_bytes]);
    std::vector<float> decoded(n_values);
    decode(dtype, matrix.bytes.data(), decoded.data(), n_values);
    matrix.values.assign(decoded.begin(), decoded.end());
    return matrix;
}

std::vector<Matrix> random_matrices(Random& random, const std::vector<DType>& dtypes, uint32_t n_rows,
                                    uint32_t n_columns) {
    std::vector<Matrix> matrices;
    const auto share = n_rows / static_cast<uint32_t>(dtypes.size());
    for (size_t i = 0; i < dtypes.size(); ++i) {
        const bool last = i + 1 == dtypes.size();
        matrices.push_back(random_matrix(
            random, dtypes[i], last ? n_rows - share * static_cast<uint32_t>(dtypes.size() - 1) : share,
            n_columns));
    }
    return matrices;
}

Values stacked(const std::vector<Matrix>& matrices) {
    Values all;
    for (const Matrix& matrix : matrices) all.insert(all.end(), matrix.values.begin(), matrix.values.end());
    return all;
}

Buffer upload(Device& device, std::span<const uint32_t> words) {
    Buffer buffer(device, words.size_bytes(), Memory::device, "test data");
    buffer.upload(std::as_bytes(words));
    return buffer;
}

Buffer upload(Device& device, View values) {
    std::vector<uint32_t> words(values.size());
    std::transform(values.begin(), values.end(), words.begin(),
                   [](double value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); });
    return upload(device, words);
}

void write(Device& device, const Buffer& to, std::span<const std::byte> bytes) {
    Buffer staging(device, bytes.size(), Memory::host, "test data");
    staging.upload(bytes);
    Commands commands(device, false);
    commands.copy(staging, 0, to, 0, bytes.size());
    commands.end();
    device.wait(commands.submit());
}

std::vector<uint32_t> download(const Buffer& buffer) {
    const auto bytes = buffer.download(0, buffer.size());
    std::vector<uint32_t> words(bytes.size() / 4);
    std::memcpy(words.data(), bytes.data(), words.size() * 4);
    return words;
}

Rows input_rows(Device& device, View values, uint32_t width) {
    const auto n_rows = static_cast<uint32_t>(values.size() / width);
    const uint32_t stride = padded(width);
    std::vector<uint32_t> words(uint64_t(n_rows + 2) * stride, poison);
    std::fill_n(words.begin(), uint64_t(n_rows) * stride, 0u);
    for (uint32_t r = 0; r < n_rows; ++r)
        for (uint32_t c = 0; c < width; ++c)
            words[uint64_t(r) * stride + c] =
                std::bit_cast<uint32_t>(static_cast<float>(values[uint64_t(r) * width + c]));
    return {upload(device, words), width, stride};
}

Output::Output(Device& device, uint32_t n_rows, uint32_t width) {
    rows.width = width;
    rows.stride = padded(width) + chunk_values;
    before_.assign(uint64_t(n_rows + 2) * rows.stride, poison);
    expected_.assign(before_.size(), false);
    rows.buffer = Buffer(device, before_.size() * 4, Memory::device, "output");
    upload();
}

Output::Output(Device& device, uint64_t n_words) : Output(device, 1, static_cast<uint32_t>(n_words)) {}

void Output::set(uint64_t index, double value) {
    before_[index] = std::bit_cast<uint32_t>(static_cast<float>(value));
}

void Output::upload() {
    rows.buffer.upload(std::as_bytes(std::span(before_)));
}

void Output::read() {
    after_ = download(rows.buffer);
    after_.resize(before_.size()); // a buffer's size is rounded up
}

double Output::found(uint64_t index) const {
    return double(std::bit_cast<float>(after_[index]));
}

void Output::expect(Comparison& comparison, uint64_t index, double expected, double bound) {
    expected_[index] = true;
    comparison.value(expected, found(index), bound);
}

void Output::finish(Comparison& comparison) const {
    for (size_t i = 0; i < before_.size(); ++i)
        if (!expected_[i] && after_[i] != before_[i]) comparison.stray(1);
}

Stage::Stage(Device& device_, const Tuning& tuning_)
    : device(device_), tuning(tuning_), state_(device_, sizeof(State), Memory::host, "state"),
      none_(device_, 16, Memory::device, "none") {
    state() = State();
}

void Stage::run(uint32_t n_tokens, const std::function<void(const Step&)>& record) {
    Commands commands(device, false);
    record({commands, tuning, state_, none_, n_tokens});
    commands.end();
    device.wait(commands.submit());
}

} // namespace kvasir::kernels
