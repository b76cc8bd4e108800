#include "tests/kernels/cases.hpp"
#include "tests/kernels/check.hpp"
#include "tests/kernels/kv_image.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::kernels {

std::vector<RopeStoreCase> rope_store_cases() {
    std::vector<RopeStoreCase> cases;
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
        const std::string name = type == KvType::f32 ? "F32" : type == KvType::f16 ? "F16" : "Q8_0";
        for (const uint32_t head_dim : {4u, 20u, 64u, 80u, 128u})
            cases.push_back({name + ", halves, head_dim " + std::to_string(head_dim), type, Rope::halves, 4,
                             2, head_dim, head_dim, 3, 62});
        cases.push_back({name + ", pairs", type, Rope::pairs, 4, 4, 64, 64, 33, 100});
        cases.push_back({name + ", pairs of a part", type, Rope::pairs, 3, 1, 80, 20, 7, 60});
        cases.push_back({name + ", halves of a part", type, Rope::halves, 4, 1, 80, 30, 7, 60});
        cases.push_back({name + ", no rotation", type, Rope::none, 8, 4, 20, 0, 2, 63});
        cases.push_back({name + ", a far position", type, Rope::halves, 1, 1, 64, 64, 1, 3000});
        cases.push_back({name + ", beyond float16", type, Rope::pairs, 2, 2, 64, 64, 3, 5, 1e5});
        cases.push_back({name + ", beyond float16 times 127", type, Rope::none, 2, 2, 64, 0, 2, 5, 1e9});
        cases.push_back({name + ", tiny", type, Rope::halves, 2, 2, 64, 64, 2, 0, 2e-4});
        cases.push_back({name + ", zeros", type, Rope::halves, 2, 1, 20, 20, 2, 0, 0});
    }
    return cases;
}

namespace {

constexpr double rope_base = 10000, largest_half = 65504;

/// What a cached vector may be off from x, of a block of 32 values of at most `largest`. Conversion to
/// float16 gives one of the two neighbours: 2^-10 of the value, or 2^-24 where the value is small. q8_0
/// rounds to the nearest of the multiples of a float16 scale d = largest / 127, which itself is off by as
/// much, 127 times where |x| is largest; and the quotient that is rounded has three roundings of a number up
/// to 127.
double storing_bound(KvType type, double x, double largest) {
    switch (type) {
    case KvType::f32: return 0;
    case KvType::f16: return 0x1p-10 * std::abs(x) + 0x1p-24;
    case KvType::q8_0: {
        const double d = largest / 127, of_d = std::max(0x1p-10 * d, 0x1p-24);
        return (0.5 + 127 * 3 * rounding) * (d + of_d) + 127 * of_d;
    }
    }
    return 0;
}

/// x as it is kept where it is too large for the type's float16s.
double clamped(KvType type, double x) {
    const double most = type == KvType::f32   ? HUGE_VAL
                        : type == KvType::f16 ? largest_half
                                              : largest_half * 127;
    return std::clamp(x, -most, most);
}

Buffer angles(Device& device, const RopeStoreCase& one) {
    if (one.rope == Rope::none) return {};
    Values table;
    for (uint32_t pos = 0; pos < one.pos + one.n_tokens; ++pos)
        for (uint32_t i = 0; i < one.rope_dim / 2; ++i) {
            const double angle = pos * std::pow(rope_base, -2.0 * i / one.rope_dim);
            table.push_back(pos < one.pos ? HUGE_VAL
                                          : std::cos(angle)); // earlier positions are not looked at
            table.push_back(pos < one.pos ? HUGE_VAL : std::sin(angle));
        }
    return upload(device, table);
}

/// Heads [first, first + n) of each token.
Values heads_of(View qkv, const RopeStoreCase& one, uint32_t first, uint32_t n, bool rotate) {
    Values all;
    const size_t row = size_t(one.n_heads + 2 * one.n_kv_heads) * one.head_dim;
    for (uint32_t t = 0; t < one.n_tokens; ++t) {
        const View part = qkv.subspan(t * row + size_t(first) * one.head_dim, size_t(n) * one.head_dim);
        all.insert(all.end(), part.begin(), part.end());
    }
    if (!rotate || one.rope == Rope::none) return all;
    return reference::rope(all, {one.rope, n, one.head_dim, one.rope_dim, rope_base}, one.pos);
}

/// An entry (a cos - b sin) has a rounding for each product, each table entry and the sum, of sizes up to the
/// input's.
double rotation_bound(const RopeStoreCase& one) {
    return one.rope == Rope::none ? 0 : 10 * rounding * one.x_size;
}

void compare_cache(Comparison& comparison, const RopeStoreCase& one, View qkv, const KvImage& before,
                   KvImage& after) {
    for (const bool is_v : {false, true}) {
        const uint32_t first = one.n_heads + (is_v ? one.n_kv_heads : 0);
        const Values x = heads_of(qkv, one, first, one.n_kv_heads, !is_v);
        const double rotated = is_v ? 0 : rotation_bound(one);
        for (uint32_t row = 0; row < one.n_tokens * one.n_kv_heads; ++row) {
            const View vector = View(x).subspan(size_t(row) * one.head_dim, one.head_dim);
            const Values found = after.load(is_v, one.pos + row / one.n_kv_heads, row % one.n_kv_heads);
            for (uint32_t i = 0; i < found.size(); ++i) {
                if (i >= one.head_dim) {
                    comparison.value(0, found[i], 0);
                    continue;
                }
                double largest = 0;
                for (uint32_t c = i / 32 * 32; c < std::min(i / 32 * 32 + 32, one.head_dim); ++c)
                    largest = std::max(largest, std::abs(clamped(one.type, vector[c])) + rotated);
                comparison.value(clamped(one.type, vector[i]), found[i],
                                 rotated + storing_bound(one.type, clamped(one.type, vector[i]), largest));
            }
        }
    }
    for (uint32_t t = 0; t < one.n_tokens; ++t) after.forget(one.pos + t);
    comparison.stray(after.differences(before));
}

} // namespace

CaseResult run(Device& device, const Tuning& tuning, const RopeStoreCase& one) {
    Random random;
    ModelSpec m = attention_spec(one.n_heads, one.n_kv_heads, one.head_dim);
    m.rope = one.rope;
    m.rope_dim = one.rope_dim;
    const uint32_t width = (one.n_heads + 2 * one.n_kv_heads) * one.head_dim;
    const Values qkv = random.values(uint64_t(one.n_tokens) * width, -one.x_size, one.x_size);
    const Rows input = input_rows(device, qkv, width);
    const Buffer table = angles(device, one);
    ShuffledCache shuffled(device, m, one.type, one.pos + one.n_tokens, random);

    Output q(device, one.n_tokens, one.n_heads * one.head_dim);
    Stage stage(device, tuning);
    stage.state().pos = one.pos;
    stage.run(one.n_tokens,
              [&](const Step& step) { ops::rope_store(step, q.rows, input, table, shuffled.cache, 1, m); });

    const uint64_t cached = uint64_t(one.n_tokens) * (m.kv_bytes_per_token(one.type) / m.n_layers);
    Comparison comparison(one.name,
                          uint64_t(one.n_tokens) * (width + one.n_heads * one.head_dim) * 4 + cached);
    q.read();
    const Values expected = heads_of(qkv, one, 0, one.n_heads, true);
    for (uint32_t t = 0; t < one.n_tokens; ++t)
        for (uint32_t i = 0; i < q.rows.width; ++i)
            q.expect(comparison, q.at(t, i), expected[uint64_t(t) * q.rows.width + i], rotation_bound(one));
    q.finish(comparison);
    KvImage after = shuffled.image;
    after.download(shuffled.cache, 1);
    compare_cache(comparison, one, qkv, shuffled.image, after);
    after.download(shuffled.cache, 0); // the other layer
    comparison.stray(after.differences(shuffled.image));
    return comparison.result();
}

TEST_CASE("rope_store") {
    check_all(rope_store_cases(), false, &run);
}

} // namespace kvasir::kernels
