#include "shaders/lib/random.h"
#include "tests/reference/ops.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

// The reference is checked against what is true by mathematics, never against numbers it gave itself.

namespace kvasir::reference {
namespace {

/// n values in (-1, 1) that look random: equal seeds give equal values everywhere.
Values noise(size_t n, uint32_t seed) {
    std::mt19937 bits(seed);
    Values x(n);
    for (double& value : x) value = double(bits()) / 2147483648.0 - 1;
    return x;
}

double largest_difference(View a, View b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
    return worst;
}

double dot(View a, View b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Values scaled(View x, double factor) {
    Values y(x.begin(), x.end());
    for (double& value : y) value *= factor;
    return y;
}

TEST_CASE("embed takes rows and refuses ids outside the table") {
    const Values table = {0, 1, 10, 11, 20, 21};
    const std::vector<int32_t> ids = {2, 0, 2};
    CHECK(embed(table, ids, 2) == Values{20, 21, 0, 1, 20, 21});
    CHECK_THROWS_AS(embed(table, std::vector<int32_t>{3}, 2), std::logic_error);
    CHECK_THROWS_AS(embed(table, std::vector<int32_t>{-1}, 2), std::logic_error);
}

TEST_CASE("linear is the matrix product plus the bias, and linear") {
    CHECK(linear(Values{1, 2, 3, 4, 5, 6}, Values{1, 0, -1}, Values{10, 20}, 3) == Values{8, 18});
    const Values w = noise(7 * 5, 1), x = noise(3 * 5, 2), y = noise(3 * 5, 3);
    CHECK(largest_difference(linear(w, add(x, y), {}, 5), add(linear(w, x, {}, 5), linear(w, y, {}, 5))) <
          1e-14);
    CHECK_THROWS_AS(linear(w, x, noise(6, 4), 5), std::logic_error);
}

TEST_CASE("norms: moments of a row, and what they are invariant to") {
    const size_t d = 33, n_rows = 4;
    const Values x = noise(n_rows * d, 1), one(d, 1.0);
    const Values layer = layer_norm(x, one, {}, 0), rms = rms_norm(x, one, {}, 0);
    for (size_t row = 0; row < n_rows; ++row) {
        const View l = View(layer).subspan(row * d, d), r = View(rms).subspan(row * d, d);
        CHECK(dot(l, one) / d == doctest::Approx(0).epsilon(1e-12));
        CHECK(dot(l, l) / d == doctest::Approx(1).epsilon(1e-12));
        CHECK(dot(r, r) / d == doctest::Approx(1).epsilon(1e-12));
    }
    CHECK(largest_difference(rms_norm(scaled(x, 8), one, {}, 0), rms) < 1e-13);
    // eps belongs to the mean square: scaling x by s is the same as dividing eps by s^2.
    CHECK(largest_difference(rms_norm(scaled(x, 3), one, {}, 9e-3), rms_norm(x, one, {}, 1e-3)) < 1e-13);
    CHECK(largest_difference(layer_norm(add(scaled(x, 3), Values(d, 5.0)), one, {}, 9e-3),
                             layer_norm(x, one, {}, 1e-3)) < 1e-13);

    // RMSNorm of a row with mean 0 is LayerNorm; gamma and beta act after either.
    const Values gamma = noise(d, 2), beta = noise(d, 3);
    CHECK(largest_difference(rms_norm(layer, gamma, beta, 0), layer_norm(x, gamma, beta, 0)) < 1e-12);
    CHECK(largest_difference(layer_norm(x, Values(d, 0.0), beta, 1e-5), add(Values(x.size(), 0.0), beta)) ==
          0);
}

TEST_CASE("activations: identities that tie them together") {
    for (double x = -6; x <= 6; x += 0.25) {
        CAPTURE(x);
        const auto f = [](Activation a, double v) { return activate(a, v); };
        CHECK(f(Activation::none, x) == x);
        CHECK(f(Activation::relu, x) - f(Activation::relu, -x) == x);
        CHECK(f(Activation::relu, x) >= 0);
        // x times a distribution function of a symmetric distribution: f(x) - f(-x) = x.
        for (Activation a : {Activation::gelu_erf, Activation::gelu_tanh, Activation::silu})
            CHECK(f(a, x) - f(a, -x) == doctest::Approx(x));
        CHECK(f(Activation::sigmoid, x) + f(Activation::sigmoid, -x) == doctest::Approx(1));
        CHECK(f(Activation::silu, x) == doctest::Approx(x * f(Activation::sigmoid, x)));
        // An approximation: the forms are 4.73e-4 apart at most.
        CHECK(std::abs(f(Activation::gelu_tanh, x) - f(Activation::gelu_erf, x)) < 4.8e-4);
    }
    // P(Z <= 1) of the normal distribution, from its tables.
    CHECK(activate(Activation::gelu_erf, 1) == doctest::Approx(0.8413447460685429).epsilon(1e-14));
    CHECK(activate_gated(Activation::relu, Values{-1, 2}, Values{5, 7}) == Values{0, 14});
}

TEST_CASE("RoPE: scores depend on the distance only") {
    for (Rope kind : {Rope::halves, Rope::pairs})
        for (size_t rope_dim : {2, 6, 10}) {
            const RopeShape shape{kind, 1, 10, rope_dim, 10000, 1};
            const Values q = noise(10, 1), k = noise(10, 2);
            const double score = dot(rope(q, shape, 12), rope(k, shape, 7));
            CHECK(dot(rope(q, shape, 5), rope(k, shape, 0)) == doctest::Approx(score).epsilon(1e-12));
            CHECK(dot(rope(q, shape, 1005), rope(k, shape, 1000)) == doctest::Approx(score).epsilon(1e-9));
            CHECK(std::abs(dot(rope(q, shape, 6), rope(k, shape, 0)) - score) > 1e-3);
            const Values turned = rope(q, shape, 99);
            CHECK(dot(turned, turned) == doctest::Approx(dot(q, q)).epsilon(1e-12));
            CHECK(rope(q, shape, 0) == q);
            for (size_t i = rope_dim; i < 10; ++i) CHECK(turned[i] == q[i]);
        }
}

TEST_CASE("RoPE: halves and pairs are one rotation under a permutation") {
    const size_t dim = 8, head_dim = 11, n_heads = 3, n_tokens = 5;
    const Values x = noise(n_tokens * n_heads * head_dim, 3);
    const auto interleave = [&](const Values& from) {
        Values to = from;
        for (size_t head = 0; head < from.size(); head += head_dim)
            for (size_t i = 0; i < dim / 2; ++i) {
                to[head + 2 * i] = from[head + i];
                to[head + 2 * i + 1] = from[head + i + dim / 2];
            }
        return to;
    };
    const RopeShape halves{Rope::halves, n_heads, head_dim, dim, 500, 1};
    RopeShape pairs = halves;
    pairs.rope = Rope::pairs;
    CHECK(largest_difference(interleave(rope(x, halves, 17)), rope(interleave(x), pairs, 17)) < 1e-15);
}

TEST_CASE("RoPE: angles, positions of rows, and linear scaling") {
    // Pair i turns by pos base^(-2i/d): with base 16 and d 4, by pos and pos / 4.
    const Values x = {1, 0, 1, 0};
    const RopeShape pairs{Rope::pairs, 1, 4, 4, 16, 1};
    CHECK(largest_difference(rope(x, pairs, 3),
                             Values{std::cos(3.0), std::sin(3.0), std::cos(0.75), std::sin(0.75)}) < 1e-15);
    RopeShape stretched = pairs;
    stretched.factor = 4;
    const Values two = noise(8, 5);
    CHECK(largest_difference(rope(x, stretched, 12), rope(x, pairs, 3)) < 1e-15);
    const Values both = rope(two, pairs, 9), second = rope(View(two).subspan(4), pairs, 10);
    CHECK(largest_difference(View(both).subspan(4), second) == 0);
    RopeShape odd = pairs;
    odd.rope_dim = 3;
    CHECK_THROWS_AS(rope(x, odd, 0), std::logic_error);
}

TEST_CASE("binary16: the landmarks of IEEE 754, and the nearest of two neighbours") {
    CHECK(round_to_half(65504) == 65504);
    CHECK(round_to_half(65519.99) == 65504);
    CHECK(std::isinf(round_to_half(65520)));
    CHECK(round_to_half(-1e9) == -std::numeric_limits<double>::infinity());
    CHECK(round_to_half(std::ldexp(1, -24)) == std::ldexp(1, -24));
    CHECK(round_to_half(std::ldexp(1, -25)) == 0); // a tie, to even
    CHECK(round_to_half(std::ldexp(3, -25)) == std::ldexp(1, -23));
    CHECK(round_to_half(2049) == 2048); // ties to even, both ways
    CHECK(round_to_half(2051) == 2052);
    CHECK(round_to_half(1.0 / 3) == 0.333251953125);
    CHECK(std::signbit(round_to_half(-0.0)));
    for (double x : noise(1000, 7)) {
        const double half = round_to_half(x);
        CHECK(round_to_half(half) == half);
        CHECK(std::abs(half - x) <= std::ldexp(std::abs(x), -11));
    }
}

TEST_CASE("KV cache types: bounds of the error, blocks and padding") {
    const size_t head_dim = 80; // two whole blocks and a half one
    const Values x = noise(3 * head_dim, 8);
    for (size_t i = 0; i < x.size(); ++i)
        CHECK(through_cache(x, KvType::f16, head_dim)[i] == round_to_half(x[i]));
    const Values y = through_cache(x, KvType::q8_0, head_dim);
    for (size_t row = 0; row < 3; ++row)
        for (size_t begin = 0; begin < head_dim; begin += 32) {
            const size_t n = std::min<size_t>(32, head_dim - begin), at = row * head_dim + begin;
            double largest = 0;
            for (size_t i = at; i < at + n; ++i) largest = std::max(largest, std::abs(x[i]));
            const double d = round_to_half(largest / 127);
            for (size_t i = at; i < at + n; ++i) {
                CHECK(std::abs(y[i] - x[i]) <=
                      0.5 * d + 0.07 * d); // 127 d is within 127 * 2^-11 d of the largest
                CHECK(y[i] / d == std::round(y[i] / d));
            }
        }
    // What a block holds does not depend on its neighbours, and a padded block is that of the values alone.
    const Values tail = through_cache(View(x).subspan(64, 16), KvType::q8_0, 16);
    CHECK(largest_difference(tail, View(y).subspan(64, 16)) == 0);
    CHECK(through_cache(Values(40, 0.0), KvType::q8_0, 40) == Values(40, 0.0));
    CHECK(through_cache(Values{0.1}, KvType::f32, 1)[0] == double(0.1f));
}

TEST_CASE("ALiBi slopes are those of the paper and of the authors' rule") {
    const Values eight = alibi_slopes(8, 8);
    for (size_t h = 0; h < 8; ++h) CHECK(eight[h] == std::exp2(-double(h + 1))); // 1/2, 1/4, ... 1/256
    const Values sixteen = alibi_slopes(16, 8);
    for (size_t h = 0; h < 16; ++h) CHECK(sixteen[h] == doctest::Approx(std::pow(2, -0.5 * double(h + 1))));
    // 12 heads: the 8 of 8 heads, then every other one of those of 16.
    const Values twelve = alibi_slopes(12, 8);
    REQUIRE(twelve.size() == 12);
    for (size_t h = 0; h < 8; ++h) CHECK(twelve[h] == eight[h]);
    for (size_t h = 8; h < 12; ++h) CHECK(twelve[h] == doctest::Approx(sixteen[2 * (h - 8)]));
}

struct Case {
    size_t n_heads, n_kv_heads, head_dim, pos, n_tokens, window;
    bool alibi;
};

TEST_CASE("attention: rows sum to 1, masks hold, o = p v, and stats give the probabilities back") {
    for (const Case& c :
         {Case{4, 4, 8, 0, 33, 0, false}, Case{8, 2, 5, 7, 6, 0, true}, Case{6, 1, 16, 30, 3, 10, true},
          Case{1, 1, 1, 0, 1, 1, false}, Case{3, 3, 7, 64, 1, 32, false}}) {
        const size_t n_kv = c.pos + c.n_tokens, kv_row = c.n_kv_heads * c.head_dim,
                     group = c.n_heads / c.n_kv_heads;
        const Values q = noise(c.n_tokens * c.n_heads * c.head_dim, 1), k = noise(n_kv * kv_row, 2),
                     v = noise(n_kv * kv_row, 3), slopes = c.alibi ? alibi_slopes(c.n_heads, 8) : Values{};
        const Attention a =
            attention(q, k, v, {c.n_heads, c.n_kv_heads, c.head_dim, c.pos, c.window, slopes});
        for (size_t t = 0; t < c.n_tokens; ++t)
            for (size_t h = 0; h < c.n_heads; ++h) {
                const size_t row = t * c.n_heads + h, i = c.pos + t;
                const View p = View(a.probabilities).subspan(row * n_kv, n_kv);
                CHECK(std::accumulate(p.begin(), p.end(), 0.0) == doctest::Approx(1).epsilon(1e-12));
                for (size_t j = 0; j < n_kv; ++j) {
                    const bool seen = j <= i && (c.window == 0 || i - j < c.window);
                    CHECK((p[j] > 0) == seen);
                    if (!seen) continue;
                    const View key = View(k).subspan((j * c.n_kv_heads + h / group) * c.head_dim, c.head_dim);
                    const double s =
                        dot(View(q).subspan(row * c.head_dim, c.head_dim), key) / std::sqrt(c.head_dim) -
                        (c.alibi ? slopes[h] * double(i - j) : 0);
                    CHECK(s <= a.max[row]);
                    CHECK(std::exp(s - a.max[row]) / a.sum[row] == doctest::Approx(p[j]).epsilon(1e-12));
                }
                for (size_t e = 0; e < c.head_dim; ++e) {
                    double o = 0;
                    for (size_t j = 0; j < n_kv; ++j)
                        o += p[j] * v[(j * c.n_kv_heads + h / group) * c.head_dim + e];
                    CHECK(a.o[row * c.head_dim + e] == doctest::Approx(o).epsilon(1e-12));
                }
            }
    }
}

TEST_CASE("attention: GQA is MHA with repeated KV heads, MQA with one") {
    const size_t n_heads = 6, d = 4, n = 9;
    for (size_t n_kv_heads : {1, 2, 3, 6}) {
        const Values q = noise(n * n_heads * d, 1), k = noise(n * n_kv_heads * d, 2),
                     v = noise(n * n_kv_heads * d, 3);
        Values wide_k, wide_v;
        for (size_t j = 0; j < n; ++j)
            for (size_t h = 0; h < n_heads; ++h)
                for (size_t e = 0; e < d; ++e) {
                    const size_t at = (j * n_kv_heads + h / (n_heads / n_kv_heads)) * d + e;
                    wide_k.push_back(k[at]);
                    wide_v.push_back(v[at]);
                }
        const Attention narrow = attention(q, k, v, {n_heads, n_kv_heads, d});
        const Attention wide = attention(q, wide_k, wide_v, {n_heads, n_heads, d});
        CHECK(narrow.o == wide.o);
        CHECK(narrow.probabilities == wide.probabilities);
    }
    CHECK_THROWS_AS(attention(noise(6 * 4, 1), noise(4 * 4, 2), noise(4 * 4, 3), {6, 4, 4}),
                    std::logic_error);
}

TEST_CASE("attention: a window of 1 attends itself, a wide one sees all, chunks equal the whole") {
    const size_t n_heads = 2, d = 3, n = 7, row = n_heads * d;
    const Values q = noise(n * row, 1), k = noise(n * row, 2), v = noise(n * row, 3);
    CHECK(attention(q, k, v, {n_heads, n_heads, d, 0, 1}).o == v);
    const Attention whole = attention(q, k, v, {n_heads, n_heads, d});
    CHECK(attention(q, k, v, {n_heads, n_heads, d, 0, n}).o == whole.o);
    CHECK(View(whole.o).first(row).front() == v.front()); // position 0 sees itself only
    for (size_t t = 0; t < n; ++t) {
        const Attention one = attention(View(q).subspan(t * row, row), View(k).first((t + 1) * row),
                                        View(v).first((t + 1) * row), {n_heads, n_heads, d, t});
        CHECK(largest_difference(one.o, View(whole.o).subspan(t * row, row)) == 0);
    }
    CHECK_THROWS_AS(attention(q, k, v, {n_heads, n_heads, d, 1}), std::logic_error);
}

TEST_CASE("attention: ALiBi alone weighs keys geometrically; softmax ignores a constant") {
    const size_t n = 6;
    const Values slope = {0.25};
    const Attention a = attention(Values(n, 0.0), noise(n, 1), noise(n, 2), {1, 1, 1, 0, 0, slope});
    for (size_t t = 1; t < n; ++t)
        for (size_t j = 1; j <= t; ++j)
            CHECK(a.probabilities[t * n + j] / a.probabilities[t * n + j - 1] ==
                  doctest::Approx(std::exp(0.25)));
    const Values x = noise(20, 3);
    CHECK(largest_difference(softmax(x), softmax(add(x, Values{700.0}))) < 1e-12);
}

} // namespace
} // namespace kvasir::reference
