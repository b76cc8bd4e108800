#include "runtime/session.hpp"

#include "tests/expect_error.hpp"
#include "tests/golden.hpp"
#include "tests/random_model.hpp"
#include "tests/reference/forward.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <numeric>

// A whole session on the device against the reference in double: seeded tiny models, no file from elsewhere.

namespace kvasir {
namespace {

constexpr SamplerOptions greedy{.temperature = 0};

/// A Llama of odd sizes: d_model no multiple of 64, three queries a KV head, keys over more than one page.
ModelSpec odd_shape() {
    ModelSpec m = model_shape("tiny");
    m.n_heads = 6;
    m.n_kv_heads = 2;
    m.head_dim = 20;
    m.d_model = 52;
    m.d_ff = 100;
    m.rope_dim = 20;
    m.n_vocab = 300;
    m.n_ctx = 512;
    return m;
}

struct Seeded {
    std::vector<std::byte> bytes;
    ModelFile file;
    Model model;

    Seeded(Device& device, const ModelSpec& spec, DType dtype = DType::f32)
        : bytes(with_vocabulary(spec, dtype)), file(parse_gguf(bytes, "seeded")),
          model(load_model(device, file)) {}

    static std::vector<std::byte> with_vocabulary(const ModelSpec& spec, DType dtype) {
        GgufWriter writer = random_model(spec, dtype);
        add_spm_vocabulary(writer, spec.n_vocab);
        return writer.bytes();
    }
};

std::vector<int32_t> some_ids(uint32_t n, uint32_t n_vocab, uint32_t seed) {
    std::vector<int32_t> ids(n);
    for (uint32_t i = 0; i < n; ++i) ids[i] = int32_t((seed * 7919 + i * 104729 + i * i * 31) % n_vocab);
    return ids;
}

std::vector<float> evaluate(Session& session, std::span<const int32_t> ids, uint32_t chunk) {
    session.rewind(0);
    std::vector<float> logits;
    session.evaluate(
        ids,
        [&](uint32_t, std::span<const float> row) { logits.insert(logits.end(), row.begin(), row.end()); },
        chunk);
    return logits;
}

std::vector<int32_t> generate(Session& session, uint32_t n, const SamplerOptions& options = greedy) {
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < n; ++i) ids.push_back(session.next(options).value());
    return ids;
}

TEST_CASE("a session computes the reference's logits, whatever the chunks, in every cache type") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const auto ids = some_ids(150, seeded.model.spec.n_vocab, 1);
    // Keys and values come out of float32 sums of 52 products and are then rounded; a value that lies near
    // the border of two cache values may fall on either side, an f16 step being 2^-11 and a q8_0 step 2^-7 of
    // the largest value.
    for (const auto& [kv, limit] :
         {std::pair{KvType::f32, 1e-4}, {KvType::f16, 2e-3}, {KvType::q8_0, 3e-2}}) {
        CAPTURE(int(kv));
        const auto expected = reference::forward(reference::Model(seeded.file), ids, kv).logits;
        Session session(device, seeded.model, {.kv = kv});
        for (const uint32_t chunk : {64u, 7u, 1u}) {
            CAPTURE(chunk);
            const auto logits = evaluate(session, ids, chunk);
            double worst = 0, square = 0;
            for (size_t i = 0; i < logits.size(); ++i) {
                worst = std::max(worst, std::abs(double(logits[i]) - expected[i]));
                square += expected[i] * expected[i] / double(logits.size());
            }
            CHECK(worst / std::sqrt(square) < limit);
        }
    }
}

TEST_CASE("a probe on every layer and head leaves every bit of the logits as it was, and tells the truth") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const ModelSpec& m = seeded.model.spec;
    const auto ids = some_ids(100, m.n_vocab, 2);
    const auto trace = reference::forward(reference::Model(seeded.file), ids);
    for (const uint32_t chunk : {64u, 1u}) {
        CAPTURE(chunk);
        Session plain(device, seeded.model, {.kv = KvType::f32}),
            watched(device, seeded.model, {.kv = KvType::f32});
        std::vector<uint32_t> layers(m.n_layers);
        std::iota(layers.begin(), layers.end(), 0);
        watched.watch(layers);
        uint64_t rows = 0;
        double worst = 0, worst_sum = 0;
        watched.on_attention = [&](const AttentionRows& got) {
            const auto& expected = trace.layers[got.layer].attention.probabilities;
            REQUIRE(got.n_keys == got.first + got.n_queries);
            for (uint32_t q = 0; q < got.n_queries; ++q)
                for (uint32_t h = 0; h < m.n_heads; ++h, ++rows) {
                    double sum = 0;
                    for (uint32_t j = 0; j < got.n_keys; ++j) {
                        const double p = got.p[(size_t(q) * m.n_heads + h) * got.n_keys + j];
                        sum += p;
                        worst = std::max(
                            worst,
                            std::abs(p - expected[((got.first + q) * m.n_heads + h) * ids.size() + j]));
                    }
                    worst_sum = std::max(worst_sum, std::abs(sum - 1));
                }
        };
        const auto a = evaluate(plain, ids, chunk), b = evaluate(watched, ids, chunk);
        CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
        CHECK(rows == uint64_t(m.n_layers) * ids.size() * m.n_heads);
        CHECK(worst_sum < 1e-5);
        CHECK(worst < 1e-5); // float32 scores of about 1 over 20 products
    }
}

TEST_CASE("probed decoding chooses the same tokens, and its rows belong to them") {
    Device device;
    const Seeded seeded(device, odd_shape());
    Session plain(device, seeded.model, {}), watched(device, seeded.model, {});
    const auto prompt = some_ids(70, seeded.model.spec.n_vocab, 3);
    watched.watch({1});
    std::vector<uint32_t> positions;
    watched.on_attention = [&](const AttentionRows& rows) {
        for (uint32_t q = 0; q < rows.n_queries; ++q) positions.push_back(rows.first + q);
    };
    plain.prompt(prompt);
    watched.prompt(prompt);
    CHECK(generate(plain, 20) == generate(watched, 20));
    std::vector<uint32_t> expected(positions.size());
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(positions == expected);
    CHECK(positions.size() == 70 + 19); // the newest token has not been read yet
}

TEST_CASE("while steps run ahead each leaves its own logits and rows, whatever is watched in between") {
    Device device;
    const Seeded seeded(device, odd_shape());
    Session session(device, seeded.model, {.kv = KvType::f32});
    const auto prompt = some_ids(250, seeded.model.spec.n_vocab, 3); // the rows' stride changes at 256 keys
    std::vector<int32_t> ids = prompt;
    std::vector<std::vector<float>> heard; // for each token that was made while something listened
    std::vector<size_t> heard_of;
    std::vector<AttentionRows> rows;
    const auto listen = [&](std::span<const float> logits) {
        heard.emplace_back(logits.begin(), logits.end());
        heard_of.push_back(ids.size());
    };
    session.prompt(prompt);
    session.on_attention = [&](AttentionRows&& one) { // a rewind reads some again, several at once
        if (one.n_queries == 1) rows.push_back(std::move(one));
    };
    session.on_logits = listen;
    session.watch({0}, true);
    for (int i = 0; i < 40; ++i) {
        if (i == 12) session.on_logits = {};
        if (i == 17) session.on_logits = listen;
        if (i == 20) session.watch({});
        if (i == 24) session.watch({1});
        if (i == 30) { // back, and on with others
            session.rewind(260);
            ids.resize(260);
            std::erase_if(rows, [](const AttentionRows& one) { return one.first >= 260; });
            while (!heard_of.empty() && heard_of.back() >= 260) heard_of.pop_back(), heard.pop_back();
        }
        const auto id = session.next(greedy);
        REQUIRE(id);
        ids.push_back(*id);
    }
    session.on_attention = {}, session.on_logits = {}, session.watch({});

    Session plain(device, seeded.model, {.kv = KvType::f32});
    std::vector<AttentionRows> expected[2];
    plain.watch({0, 1});
    plain.on_attention = [&](AttentionRows&& one) { expected[one.layer].push_back(std::move(one)); };
    std::vector<std::vector<float>> logits;
    plain.evaluate(
        ids, [&](uint32_t, std::span<const float> row) { logits.emplace_back(row.begin(), row.end()); }, 1);
    REQUIRE(heard.size() == 20); // 10 before where it went back to, 10 after
    for (size_t i = 0; i < heard.size(); ++i) {
        CAPTURE(heard_of[i]);
        const auto& row = logits[heard_of[i] - 1];
        float worst = 0;
        for (size_t k = 0; k < row.size(); ++k) worst = std::max(worst, std::abs(row[k] - heard[i][k]));
        CHECK(worst < 1e-4f);
        const auto best = std::max_element(heard[i].begin(), heard[i].end()) - heard[i].begin();
        CHECK(ids[heard_of[i]] == best); // it is what the token was chosen from
    }
    size_t of_layer[2] = {0, 0};
    for (const AttentionRows& one : rows) {
        CAPTURE(one.layer);
        CAPTURE(one.first);
        ++of_layer[one.layer];
        const AttentionRows& same = expected[one.layer][one.first];
        REQUIRE(one.n_queries == 1);
        REQUIRE(one.p.size() == same.p.size());
        float worst = 0;
        for (size_t k = 0; k < same.p.size(); ++k) worst = std::max(worst, std::abs(one.p[k] - same.p[k]));
        CHECK(worst < 1e-5f);
    }
    CHECK(of_layer[0] >= 8);
    CHECK(of_layer[1] >= 15);
}

TEST_CASE("a prompt takes over what it shares with an earlier one, and goes on as a fresh session would") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const auto shared = some_ids(130, seeded.model.spec.n_vocab, 4);
    auto first = shared, second = shared;
    for (const int32_t id : some_ids(30, seeded.model.spec.n_vocab, 5)) first.push_back(id);
    for (const int32_t id : some_ids(20, seeded.model.spec.n_vocab, 6)) second.push_back(id);
    Session session(device, seeded.model, {.kv = KvType::f32});
    CHECK(session.prompt(first) == 0);
    const auto after_first = generate(session, 40);
    CHECK(session.prompt(second) >= 128);
    const auto after_second = generate(session, 40);
    CHECK(session.prompt(first) >= 128);
    CHECK(generate(session, 40) == after_first);
    Session fresh(device, seeded.model, {.kv = KvType::f32});
    fresh.prompt(second);
    CHECK(generate(fresh, 40) == after_second);
}

TEST_CASE("rewinding and going on is as if the forgotten tokens had never been") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const auto prompt = some_ids(60, seeded.model.spec.n_vocab, 7);
    Session session(device, seeded.model, {.kv = KvType::f32});
    session.prompt(prompt);
    const auto text = generate(session, 80);
    for (const uint32_t kept : {139u, 128u, 100u, 65u, 64u, 63u, 60u}) {
        CAPTURE(kept);
        session.rewind(kept);
        CHECK(session.length() == kept);
        const auto again = generate(session, 140 - kept);
        CHECK(std::equal(again.begin(), again.end(), text.begin() + kept - 60));
    }
    const auto logits = session.logits();
    auto ids = session.ids();
    Session whole(device, seeded.model, {.kv = KvType::f32});
    const auto all = evaluate(whole, ids, 1);
    check_logits<float, float>(logits, std::span(all).last(logits.size()), logits.size(), 1e-4);
}

TEST_CASE("equal seeds give equal texts, other seeds others, and options may change between tokens") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const auto prompt = some_ids(10, seeded.model.spec.n_vocab, 8);
    const SamplerOptions seven{.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 7};
    SamplerOptions eight = seven;
    eight.seed = 8;
    Session session(device, seeded.model, {});
    const auto run = [&](const SamplerOptions& options) {
        session.prompt(prompt);
        session.rewind(10);
        return generate(session, 40, options);
    };
    const auto text = run(seven);
    CHECK(run(seven) == text);
    CHECK(run(eight) != text);
    const auto best = run(greedy);
    session.prompt(prompt);
    session.rewind(10);
    auto mixed = generate(session, 5, greedy);
    mixed.push_back(session.next(seven).value()); // the step that ran ahead was greedy
    CHECK(std::equal(mixed.begin(), mixed.begin() + 5, best.begin()));
    session.rewind(15);
    CHECK(session.next(seven) == mixed[5]);
}

TEST_CASE("the end of the context, a stop and a refusal leave the session as it was") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const uint32_t n_vocab = seeded.model.spec.n_vocab;
    Session session(device, seeded.model, {.n_ctx = 100});
    CHECK(session.n_ctx() == 100);
    session.prompt(some_ids(90, n_vocab, 9));
    CHECK(generate(session, 10).size() == 10);
    CHECK_FALSE(session.next(greedy).has_value());
    CHECK(session.length() == 100);
    const auto ids = session.ids();
    expect_error([&] { session.prompt(some_ids(101, n_vocab, 1)); }, {"101", "100", "--context"});
    expect_error([&] { session.prompt({}); }, {"no tokens"});
    expect_error([&] { session.prompt(std::vector{int32_t(n_vocab)}); }, {"300", "0 to 299"});
    expect_error([&] { session.watch({2}); }, {"layer 2", "0 to 1"});
    CHECK(session.ids() == ids);
    session.prompt(some_ids(80, n_vocab, 10), [](uint32_t done, uint32_t) { return done == 0; });
    CHECK(session.length() > 0);
    CHECK(session.length() < 80);
    CHECK(generate(session, 3).size() == 3);
}

TEST_CASE("norms of cached keys and values are the reference's") {
    Device device;
    const Seeded seeded(device, odd_shape());
    const ModelSpec& m = seeded.model.spec;
    const auto ids = some_ids(77, m.n_vocab, 11);
    for (const auto& [kv, limit] :
         {std::pair{KvType::f32, 1e-5}, {KvType::f16, 1e-3}, {KvType::q8_0, 1e-2}}) {
        CAPTURE(int(kv));
        const auto trace = reference::forward(reference::Model(seeded.file), ids, kv);
        Session session(device, seeded.model, {.kv = kv});
        session.prompt(ids);
        const KvNorms norms = session.kv_norms(1);
        REQUIRE(norms.n_keys == ids.size());
        for (uint32_t h = 0; h < m.n_kv_heads; ++h)
            for (uint32_t j = 0; j < norms.n_keys; ++j) {
                const auto norm = [&](const reference::Values& x) {
                    double sum = 0;
                    for (uint32_t d = 0; d < m.head_dim; ++d) {
                        const double value = x[(size_t(j) * m.n_kv_heads + h) * m.head_dim + d];
                        sum += value * value;
                    }
                    return std::sqrt(sum);
                };
                const double k = norm(trace.layers[1].k), v = norm(trace.layers[1].v);
                CHECK(std::abs(norms.k[h * norms.n_keys + j] - k) <= limit * k);
                CHECK(std::abs(norms.v[h * norms.n_keys + j] - v) <= limit * v);
            }
    }
}

TEST_CASE("a profile counts every operation of every layer") {
    Device device;
    const Seeded seeded(device, odd_shape());
    Session session(device, seeded.model, {.profile = true});
    session.prompt(some_ids(64, seeded.model.spec.n_vocab, 12));
    uint64_t attentions = 0;
    for (const ProfileEntry& entry : session.take_profile()) {
        CHECK(entry.ms >= 0);
        CHECK(entry.bytes > 0);
        if (entry.op == "attention") attentions += entry.count;
    }
    CHECK(attentions == seeded.model.spec.n_layers);
    CHECK(session.take_profile().empty());
}

} // namespace
} // namespace kvasir
