#include "tests/model_check.hpp"

#include "runtime/needs.hpp"
#include "runtime/pack.hpp"
#include "runtime/session.hpp"
#include "tests/reference/forward.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

constexpr uint32_t n_ctx = 64;

std::vector<int32_t> random_ids() {
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < n_checked_tokens; ++i) ids.push_back(int32_t((i * 2654435761u >> 8) % 259));
    return ids;
}

/// The largest |difference|, relative to the root mean square of what is expected.
double relative_error(std::span<const float> found, const std::vector<double>& expected) {
    REQUIRE(found.size() == expected.size());
    double worst = 0, squares = 0;
    for (size_t i = 0; i < found.size(); ++i) {
        REQUIRE(std::isfinite(found[i]));
        worst = std::max(worst, std::abs(found[i] - expected[i]));
        squares += expected[i] * expected[i] / double(expected.size());
    }
    return worst / std::sqrt(squares);
}

std::vector<float> evaluate(Session& session, std::span<const int32_t> ids, std::vector<uint32_t> chunks) {
    session.rewind(0);
    std::vector<float> logits;
    for (uint32_t done = 0, i = 0; done < ids.size(); ++i) {
        const uint32_t n =
            std::min<uint32_t>(chunks[std::min<size_t>(i, chunks.size() - 1)], uint32_t(ids.size()) - done);
        session.evaluate(ids.subspan(done, n), [&](uint32_t, std::span<const float> row) {
            logits.insert(logits.end(), row.begin(), row.end());
        });
        done += n;
    }
    return logits;
}

/// The device's attention rows of all layers, against the reference's.
void check_probes(Session& session, const ModelSpec& m, std::span<const int32_t> ids,
                  const reference::Trace& trace) {
    std::vector<uint32_t> layers;
    for (uint32_t l = 0; l < m.n_layers; ++l) layers.push_back(l);
    session.watch(layers);
    double worst = 0;
    session.on_attention = [&](const AttentionRows& rows) {
        const auto& expected =
            trace.layers[rows.layer].attention.probabilities; // [n_tokens, n_heads, n_tokens]
        for (size_t q = 0; q < rows.n_queries; ++q)
            for (size_t h = 0; h < rows.n_heads; ++h)
                for (size_t j = 0; j < rows.n_keys; ++j)
                    worst = std::max(worst,
                                     std::abs(rows.p[(q * rows.n_heads + h) * rows.n_keys + j] -
                                              expected[((rows.first + q) * m.n_heads + h) * ids.size() + j]));
    };
    evaluate(session, ids, {30, 1});
    session.watch({});
    session.on_attention = {};
    CHECK(worst < 1e-4);
}

/// What memory_needs may tell too much of weights: a tile of each matrix, whose rows may share one with
/// another's.
uint64_t slack(const ModelFile& file) {
    uint64_t sum = 0;
    for (const TensorInfo& tensor : file.tensors) {
        const auto d_in = static_cast<uint32_t>(tensor.shape.back());
        sum += packed_tile_bytes(tensor.dtype, d_in) + packed_scale_bytes(tensor.dtype, d_in) + 16;
    }
    return sum;
}

} // namespace

void check_on_device(Device& device, const ModelFile& file, const ModelSpec& m, KvType kv, double limit,
                     const std::vector<Chunks>& cuts) {
    const uint64_t before = device.allocated();
    const Model model{m.name, file.format, m, Tokenizer(file.metadata), load_weights(device, file, m, {})};
    const uint64_t loaded = device.allocated();
    Session session(device, model, {.n_ctx = n_ctx, .kv = kv});
    const MemoryNeeds needs = memory_needs(file, m, tuning_for(device.traits()), n_ctx, kv);
    CHECK(device.allocated() - loaded == needs.kv + needs.scratch);
    CHECK(needs.weights >= loaded - before);
    CHECK(needs.weights <= loaded - before + slack(file));

    const auto ids = random_ids();
    const reference::Model exact(file, m, architecture_of(file, m.family));
    const reference::Trace trace = reference::forward(exact, ids, kv, n_ctx);
    for (const Chunks& chunks : cuts) {
        CAPTURE(chunks.size());
        CHECK(relative_error(evaluate(session, ids, chunks), trace.logits) < limit);
    }
    if (kv == KvType::f32 && cuts.size() > 1) check_probes(session, m, ids, trace);
}

} // namespace kvasir
