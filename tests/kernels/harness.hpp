#pragma once

#include "runtime/ops.hpp"
#include "runtime/state.hpp"
#include "tests/reference/ops.hpp"

#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

/// What the proof of every kernel needs. A case is data; running it on a device with a tuning gives a
/// CaseResult, which a test asserts and which can as well be shown or timed.
namespace kvasir::kernels {

using reference::Values;
using reference::View;

/// Rounding to float32 to nearest changes a value by at most this times its size.
constexpr double rounding = 0x1p-24;
/// A unit in the last place of float32, relative: what the Vulkan specification's precision table counts in.
constexpr double ulp = 0x1p-23;

/// How far a device's result is from the reference. Every value has a bound of its own, which follows from
/// the number and kind of the roundings that lead to it.
struct CaseResult {
    std::string name;
    double worst = 0;            ///< the largest |error| / bound: at most 1 where the case holds
    double error = 0, bound = 0; ///< of that value
    double nmse = 0,
           nmse_limit = 0; ///< sum of squared errors, and of bounds, by the sum of squared reference values
    uint64_t stray = 0;    ///< words outside of the result that were changed
    uint64_t bytes = 0;    ///< that the kernel must read and write at least, for GB/s
    bool holds() const { return worst <= 1 && stray == 0; }
};

/// Collects what a CaseResult says.
class Comparison {
  public:
    Comparison(std::string name, uint64_t bytes);
    /// NaN and infinity are never within a bound.
    void value(double expected, double found, double bound);
    void stray(uint64_t words) { result_.stray += words; }
    CaseResult result() const;

  private:
    CaseResult result_;
    double squared_errors_ = 0, squared_bounds_ = 0, squared_values_ = 0;
};

/// The tunings to prove a kernel with: that of a software device and that of a GPU, and each without subgroup
/// arithmetic where the kernel has a variant with it.
struct NamedTuning {
    std::string name;
    Tuning tuning;
};
std::vector<NamedTuning> tunings(const Device& device, bool has_subgroup_variant);

/// The device that tests run on, made on first use.
Device& test_device();

/// Seeded numbers that are the same everywhere.
class Random {
  public:
    explicit Random(uint32_t seed = 1) : engine_(seed) {}
    uint32_t bits() { return static_cast<uint32_t>(engine_()); }
    double uniform(double low, double high) { return low + (high - low) * (bits() >> 8) * 0x1p-24; }
    /// n values in [low, high), each rounded to float32.
    Values values(uint64_t n, double low = -1, double high = 1);
    std::vector<uint32_t> permutation(uint32_t n);

  private:
    std::mt19937 engine_;
};

/// A matrix as a file has it, and what it decodes to.
struct Matrix {
    DType dtype;
    uint32_t n_rows, n_columns;
    std::vector<std::byte> bytes;
    Values values;

    TensorInfo tensor() const { return {"matrix", dtype, {n_rows, n_columns}, bytes}; }
};

/// Values of about [-1, 1]; n_columns a multiple of the type's block.
Matrix random_matrix(Random& random, DType dtype, uint32_t n_rows, uint32_t n_columns);
/// n_rows split evenly among the types, the last taking the rest.
std::vector<Matrix> random_matrices(Random& random, const std::vector<DType>& dtypes, uint32_t n_rows,
                                    uint32_t n_columns);
/// The values of matrices one below the other.
Values stacked(const std::vector<Matrix>& matrices);

Buffer upload(Device& device, View values);
Buffer upload(Device& device, std::span<const uint32_t> words);
/// Overwrites the first bytes of any buffer, mapped or not.
void write(Device& device, const Buffer& to, std::span<const std::byte> bytes);
std::vector<uint32_t> download(const Buffer& buffer);

/// Rows to read: the values, zeros up to the stride, and two rows of NaN behind.
Rows input_rows(Device& device, View values, uint32_t width);

/// NaN as float32, and in both halves as float16.
constexpr uint32_t poison = 0x7fc1fdad;

/// A buffer to write: filled with poison, with guard bands between the rows and behind them. What is not
/// expected must be unchanged.
class Output {
  public:
    Output(Device& device, uint32_t n_rows, uint32_t width);
    /// One run of words.
    Output(Device& device, uint64_t n_words);

    Rows rows;

    uint64_t at(uint32_t row, uint32_t column) const { return uint64_t(row) * rows.stride + column; }
    /// What the buffer holds before the kernel runs; upload() after all of them.
    void set(uint64_t index, double value);
    void upload();

    void read(); ///< after the kernel has run
    double found(uint64_t index) const;
    void expect(Comparison& comparison, uint64_t index, double expected, double bound);
    /// Counts the words that changed and were not expected.
    void finish(Comparison& comparison) const;

  private:
    std::vector<uint32_t> before_, after_;
    std::vector<bool> expected_;
};

/// Runs operations once, and has the buffers that each of them is given.
class Stage {
  public:
    Stage(Device& device, const Tuning& tuning);
    State& state() { return *reinterpret_cast<State*>(state_.mapped().data()); }
    void run(uint32_t n_tokens, const std::function<void(const Step&)>& record);

    Device& device;
    const Tuning tuning;

  private:
    Buffer state_, none_;
};

} // namespace kvasir::kernels
