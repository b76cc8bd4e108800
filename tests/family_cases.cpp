#include "tests/family_cases.hpp"

#include <cmath>

namespace kvasir {
namespace {

/// 3 layers, d_model 44, 3 heads of 20 on as many KV heads.
ModelSpec small(const std::string& family, const std::function<void(ModelSpec&)>& change = {}) {
    ModelSpec m = architecture(family).choices;
    m.name = family;
    m.n_layers = 3;
    m.n_heads = m.n_kv_heads = 3;
    m.head_dim = m.rope_dim = 20;
    m.d_model = 44;
    m.d_ff = 52;
    m.n_vocab = 259;
    m.n_ctx = m.rope == Rope::none && m.alibi_max_bias == 0 ? 64 : 24;
    m.norm_eps = 0x1p-17;
    m.qkv_bias = m.o_bias = m.ffn_bias = m.norm_bias = m.norm == Norm::layer;
    if (change) change(m);
    if (m.rope == Rope::none) m.rope_dim = 0;
    return m;
}

using M = ModelSpec&;
using A = Architecture&;

void fused(A row) {
    row.fused_qkv = true;
}

} // namespace

std::vector<FamilyCase> gpt_families() {
    const auto two_norms = [](A row) { row.fused_qkv = true, row.names = row.two_norms_names; };
    return {
        {"GPT-2", small("gpt2", [](M m) { m.learned_positions = m.tied = true; }), fused},
        {"BLOOM, 5 heads", small("bloom", [](M m) { m.n_heads = m.n_kv_heads = 5; }), fused},
        {"MPT with clamp and ALiBi",
         small("mpt",
               [](M m) {
                   m.alibi_max_bias = 4, m.qkv_clamp = 0.5, m.n_ctx = 24, m.tied = true;
                   m.qkv_bias = m.o_bias = m.ffn_bias = m.norm_bias = false;
               }),
         fused},
        {"MPT with positions and norms of q and k",
         small("mpt", [](M m) { m.learned_positions = m.qk_norm_bias = true, m.qk_norm = QkNorm::row; }),
         fused},
        {"Falcon 7B",
         small("falcon", [](M m) { m.n_kv_heads = 1, m.qkv_bias = m.o_bias = m.ffn_bias = false; }), fused},
        {"Falcon 40B", small("falcon", [](M m) { m.n_heads = 6, m.n_kv_heads = 2, m.parallel_norms = true; }),
         two_norms},
        {"GPT-NeoX, serial", small("gptneox", [](M m) { m.rope_dim = 6; }), fused},
        {"GPT-NeoX, parallel",
         small("gptneox", [](M m) { m.rope_dim = 6, m.parallel = m.parallel_norms = true; }), fused},
        {"GPT-J",
         small("gptj", [](M m) { m.qkv_bias = m.o_bias = false, m.head_bias = true, m.rope_dim = 8; })},
        {"StarCoder", small("starcoder", [](M m) { m.learned_positions = true, m.n_kv_heads = 1; }), fused},
        {"StarCoder 2", small("starcoder2", [](M m) { m.n_heads = 4, m.n_kv_heads = 2, m.window = 11; })},
        {"Phi-2, fused", small("phi2", [](M m) { m.rope_dim = 8, m.head_bias = true; }), fused},
        {"Phi-2", small("phi2", [](M m) { m.rope_dim = 8; })},
        {"StableLM", small("stablelm", [](M m) { m.rope_dim = 4, m.o_bias = m.ffn_bias = false; })},
        {"StableLM 2 12B", small("stablelm",
                                 [](M m) {
                                     m.rope_dim = 4, m.n_heads = 4, m.n_kv_heads = 2, m.parallel = true;
                                     m.qk_norm = QkNorm::heads, m.norm_bias = m.qkv_bias = false;
                                 })},
    };
}

std::vector<FamilyCase> llama_families() {
    const auto scaled = [](RopeScaling kind, double factor) {
        return small("llama", [=](M m) { m.rope_scaling = kind, m.rope_factor = factor; });
    };
    const auto factors = [](M m) {
        m.rope_scaling = RopeScaling::factors;
        for (uint32_t i = 0; i < m.rope_dim / 2; ++i) m.rope_factors.push_back(1 + 0.25 * i);
    };
    return {
        {"LLaMA, a window longer than the prompt",
         small("llama", [](M m) { m.n_kv_heads = 1, m.window = 4096; })},
        {"Mistral", small("llama", [](M m) { m.n_heads = 6, m.n_kv_heads = 2, m.window = 7; })},
        {"LLaMA, biases", small("llama", [](M m) { m.qkv_bias = m.o_bias = m.ffn_bias = m.tied = true; })},
        {"linear RoPE", scaled(RopeScaling::linear, 4)},
        {"YaRN", scaled(RopeScaling::yarn, 8)},
        {"LLaMA 3", small("llama", factors)},
        {"LLaMA with learned positions, GQA, tied",
         small("llama-learned",
               [](M m) { m.n_heads = 6, m.n_kv_heads = 2, m.learned_positions = m.tied = true; })},
        {"Refact, 7 heads", small("refact", [](M m) { m.n_heads = 7, m.n_kv_heads = 1; })},
        {"Phi-3, factors beyond the original length",
         small("phi3",
               [=](M m) {
                   factors(m);
                   m.rope_original_ctx = 16, m.rope_magnitude = 1.25, m.window = 13;
                   for (const double factor : m.rope_factors) m.rope_long_factors.push_back(3 * factor);
               }),
         [](A row) { row.fused_qkv = true; }},
        {"Qwen 2", small("qwen2", [](M m) { m.qkv_bias = true, m.rope_base = 1e6; })},
        {"Qwen 3",
         small("qwen3", [](M m) { m.n_heads = 4, m.n_kv_heads = 2, m.head_dim = m.rope_dim = 36; })},
        {"Gemma",
         small("gemma", [](M m) { m.tied = true, m.n_kv_heads = 1, m.embedding_scale = std::sqrt(44.0); })},
        {"Gemma 2", small("gemma2",
                          [](M m) {
                              m.tied = true, m.embedding_scale = std::sqrt(44.0), m.window = 9;
                              m.attention_softcap = 1.5, m.logit_softcap = 2;
                          })},
        {"Gemma 2 27B", small("gemma2",
                              [](M m) {
                                  m.tied = true, m.n_layers = 46, m.window = 9;
                                  m.embedding_scale = std::sqrt(44.0),
                                  m.attention_scale = std::sqrt(3 / 44.0);
                              })},
    };
}

std::vector<FamilyCase> expert_families() {
    const auto experts = [](M m) { m.n_experts = 5, m.n_experts_used = 2, m.d_expert = 36; };
    const auto latent = [](M m) {
        m.n_kv_heads = 1, m.kv_lora_rank = 28, m.rope_dim = 10, m.head_dim = 38;
        m.mla_key_dim = 24, m.mla_value_dim = 15, m.attention_scale = 1 / std::sqrt(24.0);
    };
    return {
        {"Mixtral", small("llama", experts)},
        {"Qwen 2 with experts", small("qwen2moe",
                                      [=](M m) {
                                          experts(m);
                                          m.d_shared = 68, m.qkv_bias = true;
                                      })},
        {"Qwen 3 with experts, one of them used", small("qwen3moe",
                                                        [=](M m) {
                                                            experts(m);
                                                            m.n_experts_used = 1;
                                                        })},
        {"Qwen 3 with experts, all used", small("qwen3moe",
                                                [=](M m) {
                                                    experts(m);
                                                    m.n_experts_used = 5, m.router_norm = false;
                                                })},
        {"DeepSeek V2 Lite", small("deepseek2",
                                   [=](M m) {
                                       experts(m), latent(m);
                                       m.n_dense_layers = 1, m.d_shared = 72, m.router_scale = 2;
                                   })},
        {"DeepSeek V3",
         small("deepseek2",
               [=](M m) {
                   experts(m), latent(m);
                   m.q_lora_rank = 26, m.router = Router::sigmoid, m.d_shared = 36;
                   m.router_bias = m.router_norm = true, m.router_scale = 2.5;
               }),
         [](A row) { row.split_kv_b = true; }},
    };
}

std::vector<FamilyCase> stated_models() {
    const auto stated = [](const std::function<void(ModelSpec&)>& change) {
        return small(stated_family, change);
    };
    const auto rope = [](M m, Rope kind) { m.rope = kind, m.rope_dim = 20, m.n_ctx = 24; };
    return {
        {"the first GPT: norms of the sums", stated([](M m) {
             m.learned_positions = m.post_norm = m.norm_bias = m.qkv_bias = m.o_bias = m.ffn_bias = true;
             m.pre_norm = m.final_norm = m.gated = false;
             m.norm = Norm::layer, m.activation = Activation::gelu_tanh;
         })},
        {"ReGLU, norms of the sums, RoPE and ALiBi, GQA", stated([=](M m) {
             rope(m, Rope::halves);
             m.alibi_max_bias = 8, m.n_heads = 6, m.n_kv_heads = 2, m.post_norm = true, m.pre_norm = false;
             m.activation = Activation::relu;
         })},
        {"norms of branches alone, GLU, NTK", stated([=](M m) {
             rope(m, Rope::pairs);
             m.branch_norm = true, m.pre_norm = false, m.activation = Activation::sigmoid;
             m.rope_scaling = RopeScaling::ntk, m.rope_factor = 3, m.qk_norm = QkNorm::row;
         })},
        {"parallel, two norms, norms of branches, GEGLU (erf), every third layer sees all", stated([=](M m) {
             rope(m, Rope::halves);
             m.parallel = m.parallel_norms = m.branch_norm = true, m.activation = Activation::gelu_erf;
             m.window = 6, m.window_period = 3, m.window_rope_base = 500;
         })},
        {"experts behind norms of branches", stated([=](M m) {
             rope(m, Rope::halves);
             m.branch_norm = true, m.pre_norm = false, m.gated = false, m.activation = Activation::relu;
             m.n_experts = 3, m.n_experts_used = 2, m.d_expert = 20, m.d_shared = 12, m.shared_gate = true;
         })},
        {"no positions at all, LayerNorm, embedding norm", stated([](M m) {
             m.norm = Norm::layer, m.norm_bias = m.embedding_norm = true, m.embedding_scale = 3;
         })},
        {"latent attention with ALiBi, a window and a soft-cap", stated([](M m) {
             m.rope = Rope::halves, m.n_ctx = 24, m.rope_dim = 6, m.head_dim = 22, m.kv_lora_rank = 16;
             m.n_kv_heads = 1, m.mla_key_dim = 16, m.mla_value_dim = 9, m.attention_scale = 0.3;
             m.alibi_max_bias = 8, m.window = 12, m.attention_softcap = 2;
         })},
    };
}

} // namespace kvasir
