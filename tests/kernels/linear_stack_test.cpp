#include "runtime/pack.hpp"
#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {

std::vector<LinearStackCase> linear_stack_cases() {
    std::vector<LinearStackCase> cases;
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0}) {
        const std::string type = info(dtype).name;
        cases.push_back({type + ", one token", dtype, 5, 65, 96, 1, 2});
        cases.push_back({type + ", 9 tokens", dtype, 5, 65, 96, 9, 2});
        cases.push_back({type + ", gated", dtype, 3, 33, 64, 9, 3, true, true, true});
    }
    for (const DType dtype :
         {DType::q4_k, DType::q6_k, DType::mxfp4}) // words of a group, of an odd number of them
        cases.push_back({std::string(info(dtype).name) + ", 9 tokens", dtype, 3, 33,
                         info(dtype).block == 256 ? 256u : 160u, 9, 2});
    for (const uint32_t n_tokens : {1u, 9u}) {
        const std::string name = ", tokens " + std::to_string(n_tokens);
        cases.push_back({"a matrix a slot" + name, DType::f32, 7, 31, 20, n_tokens, 7, false});
        cases.push_back({"a matrix a slot, narrow" + name, DType::f32, 3, 65, 4, n_tokens, 3, false});
        cases.push_back({"two matrices a part" + name, DType::f32, 5, 33, 64, n_tokens, 4, true, false, false,
                         4 * packed_tile_bytes(DType::f32, 64)});
        cases.push_back({"two parts a matrix" + name, DType::f32, 3, 65, 64, n_tokens, 2, true, false, false,
                         2 * packed_tile_bytes(DType::f32, 64)});
        cases.push_back({"gated, two parts a matrix" + name, DType::q8_0, 3, 65, 64, n_tokens, 2, true, true,
                         true, 4 * packed_tile_bytes(DType::q8_0, 64)});
    }
    return cases;
}

namespace {

/// W x, and what it may be off: a sum of n products in any order by at most (n + 1) roundings of the sum of
/// their sizes (Higham 2002, section 3.1); a scale and the parts of a split sum add one each.
struct Sums {
    Values u, off;

    /// least_size: of a weight, where it is a value less a minimum
    Sums(View w, View x, double least_size) : u(reference::linear(w, x, {}, x.size())) {
        Values sizes(w.begin(), w.end()), x_sizes(x.begin(), x.end());
        for (Values* values : {&sizes, &x_sizes})
            for (double& value : *values) value = std::abs(value);
        for (double& size : sizes) size = std::max(size, least_size);
        off = reference::linear(sizes, x_sizes, {}, x.size());
        for (double& value : off) value *= (double(x.size()) + 5) * rounding;
    }
};

} // namespace

/// The gate is SiLU: its slope is below 1.1, and it adds 2.5 ulp of a division and 3 + 2|u| of exp, whose
/// share of the denominator is at most 1 (Vulkan specification, precision table).
CaseResult run(Device& device, const Tuning& tuning, const LinearStackCase& one) {
    Random random;
    const uint64_t matrix_size = uint64_t(one.d_out) * one.d_in;
    std::vector<Matrix> halves;
    std::vector<TensorInfo> infos;
    for (int half = 0; half < (one.gated ? 2 : 1); ++half)
        halves.push_back(random_matrix(random, one.dtype, one.n_matrices * one.d_out, one.d_in));
    for (const Matrix& half : halves) {
        infos.push_back(half.tensor());
        infos.back().shape = {one.n_matrices, one.d_out, one.d_in};
    }
    std::vector<const TensorInfo*> tensors;
    for (const TensorInfo& each : infos) tensors.push_back(&each);
    const Linear stack = make_stack(device, tensors, "stack", one.max_part_bytes);

    const uint32_t x_slots = one.shared_input ? 1 : one.n_slots;
    const Values x = random.values(uint64_t(one.n_tokens) * x_slots * one.d_in);
    Values padded_x = x; // a row of zeros more, which whole chunks may read
    padded_x.resize(padded_x.size() + uint64_t(x_slots) * one.d_in);
    const Rows input = input_rows(device, padded_x, x_slots * one.d_in);
    std::vector<uint32_t> choices;
    for (uint32_t i = 0; i < one.n_tokens * one.n_slots; ++i)
        choices.push_back(random.bits() % one.n_matrices);
    const Buffer chosen = upload(device, choices);
    Output y(device, one.n_tokens, one.n_slots * one.d_out);
    y.upload();
    Stage stage(device, tuning);
    stage.run(one.n_tokens, [&](const Step& step) {
        ops::linear_stack(step, y.rows, stack, input,
                          {.activation = one.gated ? Activation::silu : Activation::none,
                           .n_slots = one.n_slots,
                           .chosen = one.chosen ? &chosen : nullptr,
                           .x_slot = one.shared_input ? 0 : one.d_in,
                           .y_slot = one.d_out});
    });

    Comparison comparison(one.name, stack.bytes() + (x.size() + choices.size() * one.d_out) * 4);
    y.read();
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t s = 0; s < one.n_slots; ++s) {
            const uint32_t matrix = one.chosen ? choices[t * one.n_slots + s] : s;
            const View row =
                View(x).subspan((uint64_t(t) * x_slots + (one.shared_input ? 0 : s)) * one.d_in, one.d_in);
            const auto sums = [&](size_t half) {
                return Sums(View(halves[half].values).subspan(matrix * matrix_size, matrix_size), row,
                            one.dtype == DType::q4_k ? 2 : 0);
            };
            const Sums first = sums(0), second = sums(one.gated ? 1 : 0);
            for (uint32_t r = 0; r < one.d_out; ++r) {
                double expected = first.u[r], bound = first.off[r];
                if (one.gated) {
                    const double gate = reference::activate(Activation::silu, expected);
                    const double gate_off = 1.1 * bound + std::abs(gate) * ulp * (8 + 2 * std::abs(expected));
                    expected = gate * second.u[r];
                    bound = gate_off * (std::abs(second.u[r]) + second.off[r]) +
                            std::abs(gate) * second.off[r] + rounding * std::abs(expected);
                }
                y.expect(comparison, y.at(t, s * one.d_out + r), expected, bound);
            }
        }
    y.finish(comparison);
    return comparison.result();
}

TEST_CASE("linear_stack") {
    check_all(linear_stack_cases(), false, &run);
}

} // namespace kvasir::kernels
