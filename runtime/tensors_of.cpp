#include "runtime/architectures.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace kvasir {

namespace {

/// Appends the tensors of a model one after another.
struct Needs {
    const Architecture& row;
    const ModelSpec& m;
    std::vector<TensorNeed> list{};

    void add(Role role, uint32_t layer, bool with_bias, std::vector<uint64_t> shape) {
        const uint64_t rows = shape.front();
        list.push_back({role, layer, false, tensor_name(row, role, layer), std::move(shape)});
        if (with_bias) list.push_back({role, layer, true, tensor_name(row, role, layer, true), {rows}});
    }
    void norm(Role role, uint32_t layer = 0) { add(role, layer, m.norm_bias, {m.d_model}); }

    void attention(uint32_t layer) {
        const uint64_t d_model = m.d_model, head_dim = m.head_dim;
        const uint64_t d_q = head_dim * m.n_heads, d_kv = head_dim * m.n_kv_heads;
        if (row.fused_qkv) {
            add(Role::qkv, layer, m.qkv_bias, {d_q + 2 * d_kv, d_model});
        } else {
            add(Role::q, layer, m.qkv_bias, {d_q, d_model});
            add(Role::k, layer, m.qkv_bias, {d_kv, d_model});
            add(Role::v, layer, m.qkv_bias, {d_kv, d_model});
        }
        const auto qk_norm = [&](Role role, uint64_t n_heads) {
            if (m.qk_norm == QkNorm::head) add(role, layer, m.qk_norm_bias, {head_dim});
            if (m.qk_norm == QkNorm::heads) add(role, layer, m.qk_norm_bias, {n_heads, head_dim});
            if (m.qk_norm == QkNorm::row) add(role, layer, m.qk_norm_bias, {n_heads * head_dim});
        };
        qk_norm(Role::q_norm, m.n_heads);
        qk_norm(Role::k_norm, m.n_kv_heads);
        add(Role::o, layer, m.o_bias, {d_model, d_q});
    }

    void latent_attention(uint32_t layer) {
        const uint64_t n_heads = m.n_heads, kv = m.kv_lora_rank, plain = m.mla_key_dim - m.rope_dim;
        const uint64_t d_q = n_heads * m.mla_key_dim, d_v = n_heads * m.mla_value_dim;
        if (m.q_lora_rank) {
            add(Role::q_a, layer, false, {m.q_lora_rank, m.d_model});
            add(Role::q_a_norm, layer, false, {m.q_lora_rank});
            add(Role::q_b, layer, false, {d_q, m.q_lora_rank});
        } else {
            add(Role::q, layer, false, {d_q, m.d_model});
        }
        add(Role::kv_a, layer, false, {m.head_dim, m.d_model});
        add(Role::kv_a_norm, layer, false, {kv});
        if (row.split_kv_b) {
            add(Role::k_b, layer, false, {n_heads, kv, plain});
            add(Role::v_b, layer, false, {n_heads, m.mla_value_dim, kv});
        } else {
            add(Role::kv_b, layer, false, {n_heads * plain + d_v, kv});
        }
        add(Role::o, layer, false, {m.d_model, d_v});
    }

    void feed_forward(uint32_t layer) {
        const uint64_t d_model = m.d_model, d_ff = m.d_ff;
        if (m.gated && row.fused_gate) {
            add(Role::up, layer, m.ffn_bias, {2 * d_ff, d_model});
        } else {
            if (m.gated) add(Role::gate, layer, m.ffn_bias, {d_ff, d_model});
            add(Role::up, layer, m.ffn_bias, {d_ff, d_model});
        }
        add(Role::down, layer, m.ffn_bias, {d_model, d_ff});
    }

    void experts(uint32_t layer) {
        const uint64_t n = m.n_experts, d_model = m.d_model, d = m.d_expert, shared = m.d_shared;
        add(Role::router, layer, false, {n, d_model});
        if (m.router_bias)
            list.push_back(
                {Role::router_bias, layer, true, tensor_name(row, Role::router_bias, layer, true), {n}});
        if (m.gated) add(Role::expert_gates, layer, false, {n, d, d_model});
        add(Role::expert_ups, layer, false, {n, d, d_model});
        add(Role::expert_downs, layer, false, {n, d_model, d});
        if (shared == 0) return;
        if (m.shared_gate) add(Role::shared_router, layer, false, {d_model});
        if (m.gated) add(Role::shared_gate, layer, false, {shared, d_model});
        add(Role::shared_up, layer, false, {shared, d_model});
        add(Role::shared_down, layer, false, {d_model, shared});
    }
};

} // namespace

std::string tensor_name(const Architecture& row, Role role, uint32_t layer, bool bias) {
    const auto it =
        std::find_if(row.names.begin(), row.names.end(), [&](const RoleName& n) { return n.role == role; });
    assert(it != row.names.end());
    std::string name = it->pattern;
    if (const size_t at = name.find('%'); at != std::string::npos) name.replace(at, 1, std::to_string(layer));
    return name + (bias ? ".bias" : ".weight");
}

std::vector<TensorNeed> tensors_of(const Architecture& row, const ModelSpec& m) {
    Needs needs{row, m};
    needs.add(Role::token_embedding, 0, false, {m.n_vocab, m.d_model});
    if (m.learned_positions) needs.add(Role::position_embedding, 0, false, {m.n_ctx, m.d_model});
    if (m.embedding_norm) needs.norm(Role::embedding_norm);
    if (!m.rope_factors.empty()) needs.add(Role::rope_factors, 0, false, {m.rope_dim / 2});
    if (!m.rope_long_factors.empty()) needs.add(Role::rope_long_factors, 0, false, {m.rope_dim / 2});
    for (uint32_t layer = 0; layer < m.n_layers; ++layer) {
        if (m.pre_norm) needs.norm(Role::attn_norm, layer);
        m.latent() ? needs.latent_attention(layer) : needs.attention(layer);
        if (m.branch_norm || m.post_norm) needs.norm(Role::attn_post_norm, layer);
        if (m.pre_norm && (!m.parallel || m.parallel_norms)) needs.norm(Role::ffn_norm, layer);
        m.has_experts(layer) ? needs.experts(layer) : needs.feed_forward(layer);
        if (m.branch_norm || m.post_norm) needs.norm(Role::ffn_post_norm, layer);
    }
    if (m.final_norm) needs.norm(Role::final_norm);
    if (!m.tied) needs.add(Role::head, 0, m.head_bias, {m.n_vocab, m.d_model});
    return std::move(needs.list);
}

} // namespace kvasir
