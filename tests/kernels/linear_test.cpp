#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"

#include "runtime/pack.hpp"

#include <cmath>

namespace kvasir::kernels {

namespace {

const std::vector<DType> all_types = {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0};
const std::vector<Activation> activations = {Activation::relu, Activation::gelu_tanh, Activation::gelu_erf,
                                             Activation::silu, Activation::sigmoid};

const char* name_of(Activation activation) {
    switch (activation) {
    case Activation::none: return "none";
    case Activation::relu: return "relu";
    case Activation::gelu_tanh: return "gelu_tanh";
    case Activation::gelu_erf: return "gelu_erf";
    case Activation::silu: return "silu";
    case Activation::sigmoid: return "sigmoid";
    }
    return "";
}

/// The plain matrix of every type, in the shapes that the kernel's loops end at. Each (type, columns of a
/// workgroup, option) is a pipeline of its own, which software drivers take long to compile: so shapes share
/// those of 1, 3 and 33 tokens, and options are proven below with the type that compiles fastest.
void add_shapes(std::vector<LinearCase>& cases) {
    for (const DType dtype : all_types) {
        const std::string type = info(dtype).name;
        const uint32_t block = info(dtype).block;
        for (const uint32_t n_tokens : {1u, 3u, 7u, 33u})
            cases.push_back({type + ", tokens " + std::to_string(n_tokens), {dtype}, 65, 96, n_tokens});
        cases.push_back({type + ", one row", {dtype}, 1, 320, 1});
        cases.push_back({type + ", one row, many tokens", {dtype}, 1, 64, 33});
        cases.push_back({type + ", narrow", {dtype}, 31, block, 3});
        cases.push_back({type + ", wide", {dtype}, 33, block > 1 ? 1056u : 1031u, 1});
        cases.push_back({type + ", tall", {dtype}, 257, block > 1 ? 32u : 31u, 31});
        cases.push_back(
            {type + ", last token", {dtype}, 65, 96, 7, Activation::none, false, false, false, true});
        cases.push_back({type + ", two tiles a part",
                         {dtype},
                         200,
                         96,
                         3,
                         Activation::none,
                         false,
                         false,
                         false,
                         false,
                         1,
                         2 * packed_tile_bytes(dtype, 96)});
        cases.push_back({type + ", gated, one token", {dtype}, 33, 96, 1, Activation::silu, true});
    }
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (const uint32_t d_in : {1u, 33u, 257u})
            for (const uint32_t n_tokens : {1u, 3u})
                cases.push_back({std::string(info(dtype).name) + ", d_in " + std::to_string(d_in),
                                 {dtype},
                                 33,
                                 d_in,
                                 n_tokens});
    cases.push_back({"two tokens", {DType::q8_0}, 65, 96, 2});
    cases.push_back({"a part a type", all_types, 257, 96, 3});
    cases.push_back({"a part a type, one token", all_types, 257, 96, 1});
}

void add_options(std::vector<LinearCase>& cases) {
    const std::vector<DType> q4 = {DType::q4_0};
    const uint64_t two_tiles = 2 * packed_tile_bytes(DType::q4_0, 96);
    for (const uint32_t n_tokens : {1u, 3u}) {
        const std::string tokens = ", tokens " + std::to_string(n_tokens);
        cases.push_back({"bias" + tokens, q4, 257, 64, n_tokens, Activation::none, false, true});
        cases.push_back({"residual" + tokens, q4, 31, 128, n_tokens, Activation::none, false, false, true});
        cases.push_back(
            {"bias and residual" + tokens, q4, 33, 64, n_tokens, Activation::none, false, true, true});
        cases.push_back({"bias and residual, parts" + tokens, q4, 200, 96, n_tokens, Activation::none, false,
                         true, true, false, 1, two_tiles});
        cases.push_back({"gated in parts" + tokens, q4, 100, 96, n_tokens, Activation::silu, true, true,
                         false, false, 1, two_tiles});
    }
    cases.push_back(
        {"last token of a biased matrix", q4, 65, 96, 7, Activation::none, false, true, false, true});
    cases.push_back(
        {"gate and up of two types", {DType::q8_0, DType::q4_0}, 33, 96, 1, Activation::silu, true});
    for (const Activation activation : activations)
        for (const bool gated : {false, true})
            // sums of about 1, of 100 and of 10000: e^x overflows on the one side and vanishes on the other
            for (const double size : {1.0, 100.0, 1e4})
                cases.push_back({std::string(name_of(activation)) + (gated ? ", gated" : "") + " of " +
                                     std::to_string(int(size)),
                                 q4, 257, 32, 1, activation, gated, false, false, false, size});
}

/// How far act(u) may be off where u is off by `off`: the largest slope of any of them is below 1.13
/// (GELU's), and the function's own evaluation adds, by the Vulkan specification's precision table, for
/// exp(x) 3 + 2|x| ulp, for a division 2.5, and a rounding for every other step.
double activation_bound(Activation activation, double u, double off) {
    const double y = std::abs(reference::activate(activation, u));
    const double vanishing =
        (1 + std::abs(u)) * 0x1p-126; // where e^-u overflows, or below the smallest normal number
    // act = a / (1 + e^-z): an error of e^-z counts as much as it has of the denominator
    const auto logistic = [&](double z) {
        const double share = z > 0 ? std::exp(-z) / (1 + std::exp(-z)) : 1 / (1 + std::exp(z));
        return y * ulp * (4 + share * (3 + 6 * std::abs(z))) + vanishing;
    };
    switch (activation) {
    case Activation::none:
    case Activation::relu: return off;
    case Activation::silu: return 1.13 * off + logistic(u);
    case Activation::sigmoid: return 0.25 * off + logistic(u);
    case Activation::gelu_tanh:
        return 1.13 * off + logistic(2 * std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u));
    // Abramowitz & Stegun 7.1.26 is good to 1.5e-7; its polynomial of five terms (at most 1.5 in size), the
    // division, the exponential and the sum with 1 add 16 ulp at most
    case Activation::gelu_erf: return 1.13 * off + 0.5 * std::abs(u) * (1.5e-7 + 16 * ulp) + 4 * ulp * y;
    }
    return 0;
}

} // namespace

std::vector<LinearCase> linear_cases() {
    std::vector<LinearCase> cases;
    add_shapes(cases);
    add_options(cases);
    return cases;
}

namespace {

/// The matrices of a case, on the device and in double.
struct LinearData {
    std::vector<Matrix> matrices; ///< gated: gate, up
    Values weights, bias;
    Linear linear;

    LinearData(Device& device, Random& random, const LinearCase& one) {
        if (one.gated)
            for (int half = 0; half < 2; ++half)
                matrices.push_back(random_matrix(random, one.dtypes[one.dtypes.size() > 1 ? size_t(half) : 0],
                                                 one.d_out, one.d_in));
        else
            matrices = random_matrices(random, one.dtypes, one.d_out, one.d_in);
        weights = stacked(matrices);
        std::vector<TensorInfo> infos;
        for (const Matrix& matrix : matrices) infos.push_back(matrix.tensor());
        std::vector<const TensorInfo*> tensors;
        for (const TensorInfo& info : infos) tensors.push_back(&info);
        linear = make_linear(device, tensors, one.gated, "matrix", one.max_part_bytes);
        if (!one.bias) return;
        bias = random.values(uint64_t(one.d_out) * (one.gated ? 2 : 1));
        linear.bias = upload(device, bias);
    }
};

/// u = W x + b of a token and what it may be off: a sum of n products in any order by at most (n + 1)
/// roundings of the sum of their sizes (Higham 2002, section 3.1); a scale, a bias and the parts of a split
/// sum add one each.
struct Sums {
    Values u, off;

    Sums(const LinearData& data, View x, uint32_t d_in)
        : u(reference::linear(data.weights, x, data.bias, d_in)) {
        Values sizes(data.weights), x_sizes(x.begin(), x.end()), bias_sizes(data.bias);
        for (Values* values : {&sizes, &x_sizes, &bias_sizes})
            for (double& value : *values) value = std::abs(value);
        off = reference::linear(sizes, x_sizes, bias_sizes, d_in);
        for (double& value : off) value *= (d_in + 4) * rounding;
    }
};

} // namespace

CaseResult run(Device& device, const Tuning& tuning, const LinearCase& one) {
    Random random;
    const LinearData data(device, random, one);
    const Values x = random.values(uint64_t(one.n_tokens) * one.d_in, -one.x_size, one.x_size);
    const uint32_t first = one.last_token ? one.n_tokens - 1 : 0, n_columns = one.n_tokens - first;
    const Values residual = random.values(uint64_t(n_columns) * one.d_out);

    const Rows input = input_rows(device, x, one.d_in);
    Output y(device, one.n_tokens, one.d_out);
    for (uint32_t t = 0; t < n_columns && one.add; ++t)
        for (uint32_t r = 0; r < one.d_out; ++r) y.set(y.at(t, r), residual[uint64_t(t) * one.d_out + r]);
    y.upload();
    Stage stage(device, tuning);
    stage.run(one.n_tokens, [&](const Step& step) {
        ops::linear(step, y.rows, data.linear, input,
                    {.activation = one.activation, .add = one.add, .last_token = one.last_token});
    });

    Comparison comparison(one.name,
                          data.linear.bytes() + (x.size() + residual.size() * (one.add ? 2 : 1)) * 4);
    y.read();
    for (uint32_t t = 0; t < n_columns; ++t) {
        const Sums sums(data, View(x).subspan(uint64_t(first + t) * one.d_in, one.d_in), one.d_in);
        for (uint32_t r = 0; r < one.d_out; ++r) {
            double expected = reference::activate(one.activation, sums.u[r]);
            double bound = activation_bound(one.activation, sums.u[r], sums.off[r]);
            if (one.gated) {
                const double up = sums.u[one.d_out + r], off = sums.off[one.d_out + r];
                bound = bound * (std::abs(up) + off) + std::abs(expected) * off;
                expected *= up;
                bound += rounding * std::abs(expected);
            }
            if (one.add) {
                expected += residual[uint64_t(t) * one.d_out + r];
                bound += rounding * std::abs(expected);
            }
            y.expect(comparison, y.at(t, r), expected, bound);
        }
    }
    y.finish(comparison);
    return comparison.result();
}

TEST_CASE("linear") {
    check_all(linear_cases(), false, &run);
}

} // namespace kvasir::kernels
