#include "runtime/forward.hpp"

#include "runtime/pack.hpp"
#include "runtime/state.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvasir {
namespace {

/// (cos, sin) of pos * theta_i, in double: theta_i = base^(-2i / rope_dim), and linear scaling divides the
/// position. Source: Su et al. 2021, section 3.2.2; Chen et al. 2023, equation 4.
Buffer rope_angles(Device& device, const ModelSpec& m, uint32_t n_ctx) {
    if (m.rope == Rope::none) return {};
    const uint32_t half = m.rope_dim / 2;
    std::vector<double> theta;
    for (uint32_t i = 0; i < half; ++i)
        theta.push_back(std::pow(m.rope_base, -2.0 * i / m.rope_dim) / m.rope_factor);
    std::vector<float> angles;
    angles.reserve(uint64_t(n_ctx) * m.rope_dim);
    for (uint32_t pos = 0; pos < n_ctx; ++pos)
        for (uint32_t i = 0; i < half; ++i) {
            const double angle = pos * theta[i];
            angles.push_back(static_cast<float>(std::cos(angle)));
            angles.push_back(static_cast<float>(std::sin(angle)));
        }
    Buffer buffer(device, angles.size() * sizeof(float), Memory::device, "RoPE angles");
    buffer.upload(std::as_bytes(std::span(angles)));
    return buffer;
}

} // namespace

uint32_t attention_splits(const Tuning& tuning, uint32_t n_keys) {
    if (tuning.split_keys == 0) return 1;
    return std::clamp(n_keys / tuning.split_keys, 1u, 32u);
}

Scratch make_scratch(Device& device, const ModelSpec& m, const Tuning& tuning, uint32_t n_ctx,
                     uint32_t n_tokens) {
    Scratch s;
    s.x = make_rows(device, n_tokens, m.d_model, "x");
    s.h = make_rows(device, n_tokens, m.d_model, "h");
    s.qkv = make_rows(device, n_tokens, (m.n_heads + 2 * m.n_kv_heads) * m.head_dim, "qkv");
    s.q = make_rows(device, n_tokens, m.n_heads * m.head_dim, "q");
    s.o = make_rows(device, n_tokens, m.n_heads * m.head_dim, "o");
    s.up = make_rows(device, n_tokens, m.d_ff, "up");
    s.logits = make_rows(device, 1, m.n_vocab, "logits");
    if (m.alibi_max_bias > 0) {
        const auto slopes = alibi_slopes(m.n_heads, m.alibi_max_bias);
        s.attention.slopes = Buffer(device, slopes.size() * sizeof(float), Memory::device, "ALiBi slopes");
        s.attention.slopes.upload(std::as_bytes(std::span(slopes)));
    }
    s.attention.stats = Buffer(device, uint64_t(n_tokens) * m.n_heads * 8, Memory::device, "attention stats");
    if (const uint32_t splits = attention_splits(tuning, n_ctx); splits > 1) {
        s.attention.parts =
            Buffer(device, uint64_t(splits) * m.n_heads * m.head_dim * 4, Memory::device, "attention parts");
        s.attention.part_stats =
            Buffer(device, uint64_t(splits) * m.n_heads * 8, Memory::device, "attention part stats");
    }
    s.angles = rope_angles(device, m, n_ctx);
    s.ids = Buffer(device, (uint64_t(n_ctx) + 1) * 4, Memory::host, "ids");
    s.penalised = Buffer(device, uint64_t(m.n_vocab) * 4, Memory::device, "penalised logits");
    s.state = Buffer(device, sizeof(State), Memory::host, "state");
    s.none = Buffer(device, 16, Memory::device, "none");
    return s;
}

void forward(const Step& step, const ModelSpec& m, const Weights& w, const Scratch& s, const KvCache& cache,
             const StepExtras& extras) {
    ops::embed(step, s.x, w.token_embedding, w.position_embedding, s.ids); // x [n_tokens, d_model]
    if (m.embedding_norm) ops::norm(step, s.x, s.x, w.embedding_norm, m.norm, m.norm_eps);
    for (uint32_t l = 0; l < m.n_layers; ++l) {
        const Layer& layer = w.layers[l];
        step.gpu.layer(static_cast<int>(l));
        ops::norm(step, s.h, s.x, layer.attn_norm, m.norm, m.norm_eps); // h [n_tokens, d_model]
        ops::linear(step, s.qkv, layer.qkv, s.h); // qkv [n_tokens, (n_heads + 2 n_kv_heads) head_dim]
        if (m.qk_norm) {
            ops::norm_heads(step, s.qkv, layer.q_norm, m.norm, m.norm_eps, 0, m.n_heads, m.head_dim);
            ops::norm_heads(step, s.qkv, layer.k_norm, m.norm, m.norm_eps, m.n_heads, m.n_kv_heads,
                            m.head_dim);
        }
        ops::rope_store(step, s.q, s.qkv, s.angles, cache, l,
                        m); // q [n_tokens, n_heads head_dim]; k, v -> cache
        ops::attention(step, s.o, s.attention, s.q, cache, l, m,
                       extras.n_splits); // o [n_tokens, n_heads head_dim]
        for (const ProbeRequest& probe : extras.probes)
            if (probe.layer == l)
                ops::attention_probs(step, *probe.probs, s.attention, s.q, cache, l, m, probe.n_keys);
        if (m.parallel) { // both branches read the same x
            if (layer.ffn_norm) ops::norm(step, s.h, s.x, layer.ffn_norm, m.norm, m.norm_eps);
            ops::linear(step, s.x, layer.o, s.o, {.add = true});
        } else {
            ops::linear(step, s.x, layer.o, s.o, {.add = true}); // x += W_o o
            ops::norm(step, s.h, s.x, layer.ffn_norm, m.norm, m.norm_eps);
        }
        ops::linear(step, s.up, layer.up, s.h, {.activation = m.activation}); // up [n_tokens, d_ff]
        ops::linear(step, s.x, layer.down, s.up, {.add = true});              // x += W_down up
    }
    step.gpu.layer(-1);
    ops::norm(step, s.h, s.x, w.final_norm, m.norm, m.norm_eps);
    ops::linear(step, s.logits, w.lm_head(), s.h, {.last_token = true});            // logits [n_vocab]
    if (extras.all_logits) ops::linear(step, *extras.all_logits, w.lm_head(), s.h); // [n_tokens, n_vocab]
}

} // namespace kvasir
