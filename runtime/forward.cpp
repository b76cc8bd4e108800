#include "runtime/forward.hpp"

#include "runtime/pack.hpp"
#include "runtime/rope.hpp"
#include "runtime/state.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvasir {
namespace {

/// (cos, sin) of pos * theta_i, made in double.
Buffer rope_angles(Device& device, const RopeTable& table, uint32_t n_ctx) {
    std::vector<float> angles;
    angles.reserve(uint64_t(n_ctx) * table.theta.size() * 2);
    for (uint32_t pos = 0; pos < n_ctx; ++pos)
        for (const double theta : table.theta) {
            angles.push_back(static_cast<float>(table.magnitude * std::cos(pos * theta)));
            angles.push_back(static_cast<float>(table.magnitude * std::sin(pos * theta)));
        }
    Buffer buffer(device, angles.size() * sizeof(float), Memory::device, "RoPE angles");
    buffer.upload(std::as_bytes(std::span(angles)));
    return buffer;
}

/// Rows of what only some models have. One row more where slots are read in whole chunks.
void add_scratch_of_latents(Device& device, const ModelSpec& m, uint32_t n_tokens, Scratch& s) {
    if (m.q_lora_rank) s.q_latent = make_rows(device, n_tokens, m.q_lora_rank, "q latent");
    s.q_heads = make_rows(device, n_tokens + 1, m.n_heads * m.mla_key_dim, "q heads");
    s.values = make_rows(device, n_tokens, m.n_heads * m.mla_value_dim, "values");
}

void add_scratch_of_experts(Device& device, const ModelSpec& m, uint32_t n_tokens, Scratch& s) {
    s.scores = make_rows(device, n_tokens, m.n_experts, "expert scores");
    s.weights = make_rows(device, n_tokens, m.n_experts_used, "expert weights");
    s.weights.stride = s.weights.width; // no matrix reads it
    s.chosen = Buffer(device, uint64_t(n_tokens) * m.n_experts_used * 4, Memory::device, "chosen experts");
    s.expert_up = make_rows(device, n_tokens, m.n_experts_used * padded(m.d_expert), "expert up");
    s.expert_out = make_rows(device, n_tokens, m.n_experts_used * m.d_model, "expert out");
    if (m.d_shared) s.shared_up = make_rows(device, n_tokens, m.d_shared, "shared up");
    if (m.shared_gate) s.shared_out = make_rows(device, n_tokens, m.d_model, "shared out");
    if (m.shared_gate) s.shared_weight = make_rows(device, n_tokens, 1, "shared weight");
}

/// Queries as the cached keys meet them, and the latent that is key and value of all heads. Source:
/// DeepSeek-AI 2024 (DeepSeek-V2), section 2.1.2, with W_k moved to the queries.
void latent_qkv(const Step& step, const ModelSpec& m, const Layer& layer, const Scratch& s, const Rows& h) {
    if (m.q_lora_rank) {
        ops::linear(step, s.q_latent, layer.q_a, h); // [n_tokens, q_lora_rank]
        ops::norm(step, s.q_latent, s.q_latent, layer.q_a_norm, Norm::rms, m.norm_eps);
    }
    ops::linear(step, s.q_heads, layer.q_b,
                m.q_lora_rank ? s.q_latent : h); // [n_tokens, n_heads mla_key_dim]
    ops::linear_stack(step, s.qkv, layer.absorbed, s.q_heads,
                      {.n_slots = m.n_heads, .x_slot = m.mla_key_dim, .y_slot = m.head_dim});
    const uint32_t first = m.n_heads * m.head_dim;
    ops::linear(step, s.qkv, layer.kv_a, h, {.first = first}); // [n_tokens, head_dim]
    ops::norm_part(step, s.qkv, layer.kv_a_norm, Norm::rms, m.norm_eps, first);
}

/// Each head's values from its share of the latent.
void latent_values(const Step& step, const ModelSpec& m, const Layer& layer, const Scratch& s) {
    ops::linear_stack(step, s.values, layer.values, s.o,
                      {.n_slots = m.n_heads, .x_slot = m.kv_lora_rank, .y_slot = m.mla_value_dim});
}

/// Queries and keys normed: a head by itself, or all heads of a token as one row.
void qk_norms(const Step& step, const ModelSpec& m, const Layer& layer, const Rows& qkv) {
    if (m.qk_norm == QkNorm::row) {
        ops::norm_part(step, qkv, layer.q_norm, m.norm, m.norm_eps, 0);
        ops::norm_part(step, qkv, layer.k_norm, m.norm, m.norm_eps, m.n_heads * m.head_dim);
        return;
    }
    ops::norm_heads(step, qkv, layer.q_norm, m.norm, m.norm_eps, 0, m.n_heads, m.head_dim);
    ops::norm_heads(step, qkv, layer.k_norm, m.norm, m.norm_eps, m.n_heads, m.n_kv_heads, m.head_dim);
}

/// to = (or +=) the sum of the chosen experts, each by its weight, and of the shared one.
void experts(const Step& step, const ModelSpec& m, const Layer& layer, const Scratch& s, const Rows& h,
             const Rows& to, bool add) {
    const uint32_t n = m.n_experts_used, stride = padded(m.d_expert);
    ops::linear(step, s.scores, layer.router, h);                          // scores [n_tokens, n_experts]
    ops::route(step, s.chosen, s.weights, s.scores, layer.router_bias, m); // weights [n_tokens, n]
    ops::linear_stack(step, s.expert_up, layer.expert_up, h,               // up [n_tokens, n, d_expert]
                      {.activation = m.activation, .n_slots = n, .chosen = &s.chosen, .y_slot = stride});
    ops::linear_stack(step, s.expert_out, layer.expert_down, s.expert_up, // out [n_tokens, n, d_model]
                      {.n_slots = n, .chosen = &s.chosen, .x_slot = stride, .y_slot = m.d_model});
    if (m.d_shared) // before `to` changes, which may be h
        ops::linear(step, s.shared_up, layer.shared_up, h,
                    {.activation = m.activation}); // [n_tokens, d_shared]
    if (m.shared_gate)
        ops::linear(step, s.shared_weight, layer.shared_router, h, {.activation = Activation::sigmoid});
    ops::add_weighted(step, to, s.expert_out, s.weights, add);
    if (!m.d_shared) return;
    if (!m.shared_gate) return ops::linear(step, to, layer.shared_down, s.shared_up, {.add = true});
    ops::linear(step, s.shared_out, layer.shared_down, s.shared_up); // [n_tokens, d_model]
    ops::add_weighted(step, to, s.shared_out, s.shared_weight, true);
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
    s.qkv = make_rows(device, n_tokens, m.qkv_heads() * m.head_dim, "qkv");
    s.q = make_rows(device, n_tokens, m.n_heads * m.head_dim, "q");
    s.o = make_rows(device, n_tokens + (m.latent() ? 1 : 0), m.n_heads * m.value_dim(), "o");
    s.up = make_rows(device, n_tokens, m.d_ff, "up");
    s.logits = make_rows(device, 1, m.n_vocab, "logits");
    if (m.alibi_max_bias > 0) {
        const auto slopes = alibi_slopes(m.n_heads, m.alibi_max_bias);
        s.attention.slopes = Buffer(device, slopes.size() * sizeof(float), Memory::device, "ALiBi slopes");
        s.attention.slopes.upload(std::as_bytes(std::span(slopes)));
    }
    s.attention.stats = Buffer(device, uint64_t(n_tokens) * m.n_heads * 8, Memory::device, "attention stats");
    if (const uint32_t splits = attention_splits(tuning, n_ctx); splits > 1) {
        s.attention.parts = Buffer(device, uint64_t(splits) * m.n_heads * m.value_dim() * 4, Memory::device,
                                   "attention parts");
        s.attention.part_stats =
            Buffer(device, uint64_t(splits) * m.n_heads * 8, Memory::device, "attention part stats");
    }
    if (m.branch_norm) s.branch = make_rows(device, n_tokens, m.d_model, "branch");
    if (m.latent()) add_scratch_of_latents(device, m, n_tokens, s);
    if (m.n_experts) add_scratch_of_experts(device, m, n_tokens, s);
    if (m.rope != Rope::none) s.angles = rope_angles(device, rope_table(m, n_ctx), n_ctx);
    if (m.rope != Rope::none && m.window_rope_base > 0)
        s.window_angles = rope_angles(device, rope_table(m, n_ctx, true), n_ctx);
    s.ids = Buffer(device, (uint64_t(n_ctx) + 1) * 4, Memory::host, "ids");
    s.penalised = Buffer(device, uint64_t(m.n_vocab) * 4, Memory::device, "penalised logits");
    s.state = Buffer(device, sizeof(State), Memory::host, "state");
    s.none = Buffer(device, 16, Memory::device, "none");
    return s;
}

void forward(const Step& step, const ModelSpec& m, const Weights& w, const Scratch& s, const KvCache& cache,
             const StepExtras& extras) {
    const Rows& h = m.pre_norm ? s.h : s.x;          // what a branch reads
    const Rows& o = m.latent() ? s.values : s.o;     // what attention gives
    const Rows& to = m.branch_norm ? s.branch : s.x; // what a branch writes:
    const bool add = !m.branch_norm;                 // x += ..., or a sum to be normed first
    ops::embed(step, s.x, w.token_embedding, w.position_embedding, s.ids,
               m.embedding_scale); // x [n_tokens, d_model]
    if (m.embedding_norm) ops::norm(step, s.x, s.x, w.embedding_norm, m.norm, m.norm_eps);
    for (uint32_t l = 0; l < m.n_layers; ++l) {
        const Layer& layer = w.layers[l];
        const Buffer& angles = m.window_of(l) && s.window_angles ? s.window_angles : s.angles;
        step.gpu.layer(static_cast<int>(l));
        if (m.pre_norm)
            ops::norm(step, s.h, s.x, layer.attn_norm, m.norm, m.norm_eps); // h [n_tokens, d_model]
        if (m.latent()) latent_qkv(step, m, layer, s, h);
        if (!m.latent())
            ops::linear(step, s.qkv, layer.qkv, h); // qkv [n_tokens, (n_heads + 2 n_kv_heads) head_dim]
        if (m.qkv_clamp > 0) ops::clamp(step, s.qkv, m.qkv_clamp);
        if (m.qk_norm != QkNorm::none) qk_norms(step, m, layer, s.qkv);
        ops::rope_store(step, s.q, s.qkv, angles, cache, l,
                        m); // q [n_tokens, n_heads head_dim]; k, v -> cache
        ops::attention(step, s.o, s.attention, s.q, cache, l, m,
                       extras.n_splits); // o [n_tokens, n_heads value_dim]
        for (const ProbeRequest& probe : extras.probes)
            if (probe.layer == l)
                ops::attention_probs(step, *probe.probs, s.attention, s.q, cache, l, m, probe.n_keys);
        if (m.latent()) latent_values(step, m, layer, s); // values [n_tokens, n_heads mla_value_dim]
        if (m.parallel_norms) ops::norm(step, s.h, s.x, layer.ffn_norm, m.norm, m.norm_eps); // of the same x
        ops::linear(step, to, layer.o, o, {.add = add});                                     // x += W_o o
        if (m.branch_norm) ops::norm(step, s.x, to, layer.attn_post_norm, m.norm, m.norm_eps, true);
        if (m.post_norm) ops::norm(step, s.x, s.x, layer.attn_post_norm, m.norm, m.norm_eps);
        if (m.pre_norm && !m.parallel) ops::norm(step, s.h, s.x, layer.ffn_norm, m.norm, m.norm_eps);
        if (m.has_experts(l)) {
            experts(step, m, layer, s, h, to, add);
        } else {
            ops::linear(step, s.up, layer.up, h, {.activation = m.activation}); // up [n_tokens, d_ff]
            ops::linear(step, to, layer.down, s.up, {.add = add});              // x += W_down up
        }
        if (m.branch_norm) ops::norm(step, s.x, to, layer.ffn_post_norm, m.norm, m.norm_eps, true);
        if (m.post_norm) ops::norm(step, s.x, s.x, layer.ffn_post_norm, m.norm, m.norm_eps);
    }
    step.gpu.layer(-1);
    if (m.final_norm) ops::norm(step, s.h, s.x, w.final_norm, m.norm, m.norm_eps);
    const Rows& last = m.final_norm ? s.h : s.x;
    ops::linear(step, s.logits, w.lm_head(), last, {.last_token = true}); // logits [n_vocab]
    if (m.logit_softcap > 0) ops::softcap(step, s.logits, m.logit_softcap, 1);
    if (!extras.all_logits) return;
    ops::linear(step, *extras.all_logits, w.lm_head(), last); // [n_tokens, n_vocab]
    if (m.logit_softcap > 0) ops::softcap(step, *extras.all_logits, m.logit_softcap, step.n_tokens);
}

} // namespace kvasir
