#include "tests/hf_folder.hpp"

#include "runtime/architectures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <regex>

namespace kvasir {

namespace {

using Bytes = std::vector<std::byte>;
using Names = std::vector<TensorNames>;
using nlohmann::json;

/// The rows of a matrix, or the values of a vector.
std::vector<Bytes> rows_of(const GgufWriter::Tensor& tensor) {
    const size_t n = tensor.shape[0], size = tensor.data.size() / n;
    std::vector<Bytes> rows;
    for (size_t i = 0; i < n; ++i)
        rows.emplace_back(tensor.data.begin() + ptrdiff_t(i * size),
                          tensor.data.begin() + ptrdiff_t((i + 1) * size));
    return rows;
}

Bytes joined(const std::vector<Bytes>& rows) {
    Bytes all;
    for (const Bytes& row : rows) all.insert(all.end(), row.begin(), row.end());
    return all;
}

/// The same rows, the one at i from order(i).
void reorder(GgufWriter::Tensor& tensor, const std::function<size_t(size_t)>& order) {
    const auto rows = rows_of(tensor);
    std::vector<Bytes> result;
    for (size_t i = 0; i < rows.size(); ++i) result.push_back(rows[order(i)]);
    tensor.data = joined(result);
}

void transpose(GgufWriter::Tensor& tensor) {
    if (tensor.shape.size() != 2) return;
    const size_t n = tensor.shape[0], d = tensor.shape[1], width = tensor.data.size() / (n * d);
    Bytes result(tensor.data.size());
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < d; ++j)
            std::copy_n(tensor.data.begin() + ptrdiff_t((i * d + j) * width), width,
                        result.begin() + ptrdiff_t((j * n + i) * width));
    std::swap(tensor.shape[0], tensor.shape[1]);
    tensor.data = result;
}

void apply(Form form, const ModelSpec& m, GgufWriter::Tensor& tensor) {
    const size_t d = m.head_dim, a_group = m.n_heads / m.n_kv_heads;
    switch (form) {
    case Form::plain:
    case Form::joined: break;
    case Form::transposed: transpose(tensor); break;
    case Form::grouped:
        reorder(tensor, [&](size_t i) {
            const size_t group = i / ((a_group + 2) * d), head = i / d % (a_group + 2), in_head = i % d;
            const size_t source =
                head < a_group ? group * a_group + head : m.n_heads + (head - a_group) * m.n_kv_heads + group;
            return source * d + in_head;
        });
        break;
    case Form::permuted: // entries i and i + d/2 here are 2i and 2i + 1 there
        reorder(tensor, [&](size_t i) { return i / d * d + i % d % (d / 2) * 2 + i % d / (d / 2); });
        break;
    case Form::less_one: {
        auto* values =
            reinterpret_cast<float*>(tensor.data.data()); // norms are F32; about 1, so that this is exact
        for (size_t i = 0; i < tensor.shape[0]; ++i) values[i] -= 1;
        break;
    }
    case Form::after_two:
        tensor.data.insert(tensor.data.begin(), 2 * tensor.data.size() / tensor.shape[0], std::byte{0x40});
        tensor.shape[0] += 2;
        break;
    case Form::row: tensor.shape.insert(tensor.shape.begin(), 1); break;
    }
}

std::string with(std::string pattern, char mark, const std::string& number) {
    if (const size_t at = pattern.find(mark); at != std::string::npos) pattern.replace(at, 1, number);
    return pattern;
}

/// "blk.3." and so on taken out: the layer, and the name with '%'.
std::pair<std::string, std::string> without_layer(const std::string& name) {
    std::smatch found;
    if (!std::regex_match(name, found, std::regex("blk\\.(\\d+)(\\..*)"))) return {"", name};
    return {found[1], "blk.%" + found[2].str()};
}

/// One model's part of hf_models(), changed as needed. d_model 64, 4 heads of 16.
HfModel base(const std::string& type, const std::string& family, Names names, uint32_t n_kv_heads = 4) {
    HfModel model{.type = type,
                  .m = architecture(family).choices,
                  .row = architecture(family),
                  .config = {},
                  .names = std::move(names)};
    ModelSpec& m = model.m;
    m.n_layers = 2, m.n_heads = 4, m.n_kv_heads = n_kv_heads, m.d_model = 64, m.head_dim = 16, m.d_ff = 96,
    m.n_vocab = 50, m.n_ctx = 32;
    m.rope_dim = m.rope == Rope::none ? 0 : 16;
    m.norm_eps = 0x1p-17;
    m.norm_bias = m.qkv_bias = m.o_bias = m.ffn_bias = m.norm == Norm::layer;
    model.config = {{"model_type", type},
                    {"hidden_size", 64},
                    {"num_hidden_layers", 2},
                    {"num_attention_heads", 4},
                    {"intermediate_size", 96},
                    {"vocab_size", 50},
                    {"max_position_embeddings", 32},
                    {"num_key_value_heads", n_kv_heads},
                    {"rms_norm_eps", 0x1p-17},
                    {"tie_word_embeddings", false},
                    {"torch_dtype", "float32"}};
    return model;
}

/// With the keys of GPT-2's config.
HfModel gpt(const std::string& type, const std::string& family, Names names) {
    HfModel model = base(type, family, std::move(names));
    model.prefix = "transformer.";
    model.config = {{"model_type", type},
                    {"n_embd", 64},
                    {"n_layer", 2},
                    {"n_head", 4},
                    {"n_inner", 96},
                    {"vocab_size", 50},
                    {"n_positions", 32},
                    {"layer_norm_epsilon", 0x1p-17},
                    {"tie_word_embeddings", false}};
    return model;
}

Names operator+(Names names, const Names& more) {
    names.insert(names.end(), more.begin(), more.end());
    return names;
}

const Names ends = {{"token_embd", "embed_tokens"}, {"output_norm", "norm"}, {"output", "lm_head"}};
const Names norms = {{"blk.%.attn_norm", "layers.%.input_layernorm"},
                     {"blk.%.ffn_norm", "layers.%.post_attention_layernorm"}};
Names attention(Form qk) {
    return {{"blk.%.attn_q", "layers.%.self_attn.q_proj", qk},
            {"blk.%.attn_k", "layers.%.self_attn.k_proj", qk},
            {"blk.%.attn_v", "layers.%.self_attn.v_proj"},
            {"blk.%.attn_output", "layers.%.self_attn.o_proj"}};
}
const Names mlp = {{"blk.%.ffn_gate", "layers.%.mlp.gate_proj"},
                   {"blk.%.ffn_up", "layers.%.mlp.up_proj"},
                   {"blk.%.ffn_down", "layers.%.mlp.down_proj"}};
Names llama(Form qk) {
    return ends + norms + attention(qk) + mlp;
}
const Names qk_norms = {{"blk.%.attn_q_norm", "layers.%.self_attn.q_norm"},
                        {"blk.%.attn_k_norm", "layers.%.self_attn.k_norm"}};
const Names experts = {{"blk.%.ffn_gate_inp", "layers.%.mlp.gate"},
                       {"blk.%.ffn_gate_exps", "layers.%.mlp.experts.#.gate_proj"},
                       {"blk.%.ffn_up_exps", "layers.%.mlp.experts.#.up_proj"},
                       {"blk.%.ffn_down_exps", "layers.%.mlp.experts.#.down_proj"}};
Names shared(const std::string& module) {
    return {{"blk.%.ffn_gate_shexp", "layers.%.mlp." + module + ".gate_proj"},
            {"blk.%.ffn_up_shexp", "layers.%.mlp." + module + ".up_proj"},
            {"blk.%.ffn_down_shexp", "layers.%.mlp." + module + ".down_proj"}};
}
Names gpt2(Form matrix, Form qkv) {
    return {{"token_embd", "wte"},
            {"position_embd", "wpe"},
            {"output_norm", "ln_f"},
            {"output", "lm_head"},
            {"blk.%.attn_norm", "h.%.ln_1"},
            {"blk.%.attn_qkv", "h.%.attn.c_attn", qkv},
            {"blk.%.attn_output", "h.%.attn.c_proj", matrix},
            {"blk.%.ffn_norm", "h.%.ln_2"},
            {"blk.%.ffn_up", "h.%.mlp.c_fc", matrix},
            {"blk.%.ffn_down", "h.%.mlp.c_proj", matrix}};
}
const Names bloom = {{"token_embd", "word_embeddings"},
                     {"output_norm", "ln_f"},
                     {"output", "lm_head"},
                     {"blk.%.attn_qkv", "h.%.self_attention.query_key_value", Form::grouped},
                     {"blk.%.attn_output", "h.%.self_attention.dense"},
                     {"blk.%.ffn_up", "h.%.mlp.dense_h_to_4h"},
                     {"blk.%.ffn_down", "h.%.mlp.dense_4h_to_h"}};

void with_experts(HfModel& model, uint32_t d_expert, uint32_t d_shared) {
    ModelSpec& m = model.m;
    m.n_experts = 4, m.n_experts_used = 2, m.d_expert = d_expert, m.d_shared = d_shared;
}

std::vector<HfModel> llama_models() {
    std::vector<HfModel> all;
    all.push_back(base("llama", "llama", llama(Form::permuted), 2));
    all.back().m.qkv_bias = all.back().m.ffn_bias = true;
    all.push_back(base("mistral", "llama", llama(Form::permuted), 2));
    all.back().config["sliding_window"] = all.back().m.window = 12;
    Names mixtral = {{"blk.%.ffn_gate_inp", "layers.%.block_sparse_moe.gate"},
                     {"blk.%.ffn_gate_exps", "layers.%.block_sparse_moe.experts.#.w1"},
                     {"blk.%.ffn_up_exps", "layers.%.block_sparse_moe.experts.#.w3"},
                     {"blk.%.ffn_down_exps", "layers.%.block_sparse_moe.experts.#.w2"}};
    all.push_back(base("mixtral", "llama", ends + norms + attention(Form::permuted) + mixtral, 2));
    with_experts(all.back(), 96, 0);
    all.back().config.update(
        {{"num_local_experts", 4}, {"num_experts_per_tok", 2}, {"sliding_window", nullptr}});
    all.push_back(base("qwen2", "qwen2", llama(Form::plain), 2));
    all.back().m.qkv_bias = true;
    all.back().config.update({{"sliding_window", 8}, {"use_sliding_window", false}});
    all.push_back(base("qwen3", "qwen3", llama(Form::plain) + qk_norms, 2));
    all.back().config["head_dim"] = all.back().m.head_dim = all.back().m.rope_dim =
        12; // not d_model / n_heads
    all.push_back(base("qwen2_moe", "qwen2moe",
                       ends + norms + attention(Form::plain) + experts + shared("shared_expert") +
                           Names{{"blk.%.ffn_gate_inp_shexp", "layers.%.mlp.shared_expert_gate", Form::row}},
                       2));
    with_experts(all.back(), 32, 80);
    all.back().config.update({{"num_experts", 4},
                              {"num_experts_per_tok", 2},
                              {"moe_intermediate_size", 32},
                              {"shared_expert_intermediate_size", 80},
                              {"decoder_sparse_step", 1}});
    all.push_back(
        base("qwen3_moe", "qwen3moe", ends + norms + attention(Form::plain) + experts + qk_norms, 2));
    with_experts(all.back(), 32, 0);
    all.back().config.update({{"num_experts", 4},
                              {"num_experts_per_tok", 2},
                              {"moe_intermediate_size", 32},
                              {"norm_topk_prob", true}});
    all.push_back(base("minimind", "llama", llama(Form::permuted), 2));
    all.back().m.rope_base = 1e6, all.back().m.tied = true;
    all.back().config.update(
        {{"rope_theta", 1e6}, {"tie_word_embeddings", true}, {"use_moe", false}, {"num_experts", 4}});
    all.push_back(
        base("minimind", "qwen3",
             ends + norms + attention(Form::plain) + qk_norms + experts + shared("shared_experts.0"), 2));
    with_experts(all.back(), 96, 96);
    all.back().config.update({{"use_moe", true},
                              {"n_routed_experts", 4},
                              {"num_experts_per_tok", 2},
                              {"n_shared_experts", 1},
                              {"rope_theta", 10000},
                              {"norm_topk_prob", true}});
    for (const char* type : {"gemma", "gemma2"}) {
        Names names = attention(Form::plain) + mlp +
                      Names{{"token_embd", "embed_tokens"},
                            {"output_norm", "norm", Form::less_one},
                            {"blk.%.attn_norm", "layers.%.input_layernorm", Form::less_one}};
        if (std::string(type) == "gemma")
            names = names + Names{{"blk.%.ffn_norm", "layers.%.post_attention_layernorm", Form::less_one}};
        else
            names = names +
                    Names{{"blk.%.post_attention_norm", "layers.%.post_attention_layernorm", Form::less_one},
                          {"blk.%.ffn_norm", "layers.%.pre_feedforward_layernorm", Form::less_one},
                          {"blk.%.post_ffw_norm", "layers.%.post_feedforward_layernorm", Form::less_one}};
        all.push_back(base(type, type, names, 2));
        all.back().m.tied = true;
        all.back().m.embedding_scale = 8;
        all.back().config.update({{"hidden_activation", "gelu_pytorch_tanh"},
                                  {"hidden_act", "gelu"},
                                  {"tie_word_embeddings", true}});
    }
    ModelSpec& gemma2 = all.back().m;
    gemma2.window = 8, gemma2.attention_softcap = 50, gemma2.logit_softcap = 30,
    gemma2.attention_scale = 0.125;
    all.back().config.update({{"sliding_window", 8},
                              {"attn_logit_softcapping", 50.0},
                              {"final_logit_softcapping", 30.0},
                              {"query_pre_attn_scalar", 64}});
    all.push_back(base("phi3", "phi3",
                       ends + norms +
                           Names{{"blk.%.attn_qkv", "layers.%.self_attn.qkv_proj"},
                                 {"blk.%.attn_output", "layers.%.self_attn.o_proj"},
                                 {"blk.%.ffn_up", "layers.%.mlp.gate_up_proj"},
                                 {"blk.%.ffn_down", "layers.%.mlp.down_proj"}},
                       2));
    all.back().row.fused_qkv = true;
    return all;
}

HfModel deepseek() {
    HfModel model = base("deepseek_v2", "deepseek2",
                         llama(Form::plain) + experts + shared("shared_experts") +
                             Names{{"blk.%.attn_q_a", "layers.%.self_attn.q_a_proj"},
                                   {"blk.%.attn_q_a_norm", "layers.%.self_attn.q_a_layernorm"},
                                   {"blk.%.attn_q_b", "layers.%.self_attn.q_b_proj"},
                                   {"blk.%.attn_kv_a_mqa", "layers.%.self_attn.kv_a_proj_with_mqa"},
                                   {"blk.%.attn_kv_a_norm", "layers.%.self_attn.kv_a_layernorm"},
                                   {"blk.%.attn_kv_b", "layers.%.self_attn.kv_b_proj"}});
    ModelSpec& m = model.m;
    m.q_lora_rank = 24, m.kv_lora_rank = 20, m.rope_dim = 8, m.mla_key_dim = 20, m.mla_value_dim = 14,
    m.head_dim = 28, m.n_kv_heads = 1;
    m.attention_scale = 1 / std::sqrt(20.0);
    with_experts(model, 32, 64);
    m.n_dense_layers = 1, m.router_scale = 2;
    model.config.update({{"q_lora_rank", 24},
                         {"kv_lora_rank", 20},
                         {"qk_rope_head_dim", 8},
                         {"qk_nope_head_dim", 12},
                         {"v_head_dim", 14},
                         {"n_routed_experts", 4},
                         {"num_experts_per_tok", 2},
                         {"moe_intermediate_size", 32},
                         {"n_shared_experts", 2},
                         {"first_k_dense_replace", 1},
                         {"routed_scaling_factor", 2.0},
                         {"norm_topk_prob", false},
                         {"topk_method", "greedy"}});
    return model;
}

std::vector<HfModel> gpt_models() {
    std::vector<HfModel> all;
    all.push_back(gpt("gpt2", "gpt2", gpt2(Form::transposed, Form::transposed)));
    all.push_back(gpt("nanogpt", "gpt2", gpt2(Form::plain, Form::plain)));
    all.back().config = {{"n_embd", 64},     {"n_layer", 2},     {"n_head", 4},
                         {"block_size", 32}, {"vocab_size", 50}, {"bias", true},
                         {"dropout", 0.0},   {"n_inner", 96},    {"layer_norm_epsilon", 0x1p-17}};
    all.back().m.tied = true, all.back().m.activation = Activation::gelu_erf;
    all.push_back(gpt("gpt_bigcode", "starcoder", gpt2(Form::plain, Form::plain)));
    all.back().m.n_kv_heads = 1;
    all.push_back(gpt("gpt_bigcode", "starcoder", gpt2(Form::plain, Form::grouped)));
    all.back().config["multi_query"] = false;
    for (HfModel& model : all) model.row.fused_qkv = true;
    Names refact = {{"token_embd", "wte"},
                    {"output_norm", "ln_f"},
                    {"output", "lm_head"},
                    {"blk.%.attn_norm", "h.%.ln_1"},
                    {"blk.%.attn_q", "h.%.attn.q"},
                    {"blk.%.attn_k|blk.%.attn_v", "h.%.attn.kv", Form::joined},
                    {"blk.%.attn_output", "h.%.attn.c_proj"},
                    {"blk.%.ffn_norm", "h.%.ln_2"},
                    {"blk.%.ffn_gate|blk.%.ffn_up", "h.%.mlp.gate_up_proj", Form::joined},
                    {"blk.%.ffn_down", "h.%.mlp.c_proj"}};
    all.push_back(gpt("gpt_refact", "refact", refact));
    all.back().m.n_kv_heads = 1, all.back().m.d_ff = 256;
    all.back().config.erase("n_inner");
    all.push_back(gpt("gptj", "gptj",
                      Names{{"token_embd", "wte"},
                            {"output_norm", "ln_f"},
                            {"output", "lm_head"},
                            {"blk.%.attn_norm", "h.%.ln_1"},
                            {"blk.%.attn_q", "h.%.attn.q_proj"},
                            {"blk.%.attn_k", "h.%.attn.k_proj"},
                            {"blk.%.attn_v", "h.%.attn.v_proj"},
                            {"blk.%.attn_output", "h.%.attn.out_proj"},
                            {"blk.%.ffn_up", "h.%.mlp.fc_in"},
                            {"blk.%.ffn_down", "h.%.mlp.fc_out"}}));
    all.back().config["rotary_dim"] = all.back().m.rope_dim = 8;
    all.back().m.qkv_bias = all.back().m.o_bias = false, all.back().m.head_bias = true;
    return all;
}

std::vector<HfModel> other_models() {
    std::vector<HfModel> all;
    const auto add = [&](const char* type, const char* family, Names names,
                         uint32_t n_kv_heads = 4) -> HfModel& {
        HfModel& model = all.emplace_back(base(type, family, std::move(names), n_kv_heads));
        model.config.erase("rms_norm_eps");
        model.config["layer_norm_eps"] = 0x1p-17;
        return model;
    };
    Names neox = {{"token_embd", "embed_in"},
                  {"output_norm", "final_layer_norm"},
                  {"output", "embed_out"},
                  {"blk.%.attn_norm", "layers.%.input_layernorm"},
                  {"blk.%.attn_qkv", "layers.%.attention.query_key_value", Form::grouped},
                  {"blk.%.attn_output", "layers.%.attention.dense"},
                  {"blk.%.ffn_norm", "layers.%.post_attention_layernorm"},
                  {"blk.%.ffn_up", "layers.%.mlp.dense_h_to_4h"},
                  {"blk.%.ffn_down", "layers.%.mlp.dense_4h_to_h"}};
    for (const bool parallel : {true, false}) {
        HfModel& model = add("gpt_neox", "gptneox", neox);
        model.prefix = "gpt_neox.", model.row.fused_qkv = true;
        model.m.parallel = model.m.parallel_norms = parallel, model.m.rope_dim = 4,
        model.m.activation = Activation::gelu_erf;
        model.config.update(
            {{"use_parallel_residual", parallel}, {"rotary_pct", 0.25}, {"hidden_act", "gelu"}});
        model.config.erase("num_key_value_heads");
    }
    HfModel& bloom_model = add("bloom", "bloom",
                               bloom + Names{{"token_embd_norm", "word_embeddings_layernorm"},
                                             {"blk.%.attn_norm", "h.%.input_layernorm"},
                                             {"blk.%.ffn_norm", "h.%.post_attention_layernorm"}});
    bloom_model.prefix = "transformer.", bloom_model.row.fused_qkv = true, bloom_model.m.tied = true,
    bloom_model.m.d_ff = 256;
    bloom_model.config = {{"model_type", "bloom"},
                          {"hidden_size", 64},
                          {"n_layer", 2},
                          {"n_head", 4},
                          {"vocab_size", 50},
                          {"seq_length", 32},
                          {"layer_norm_epsilon", 0x1p-17}};
    for (const uint32_t n_kv_heads : {1u, 2u}) {
        HfModel& model = add("falcon", "falcon",
                             bloom + (n_kv_heads == 1 ? Names{{"blk.%.attn_norm", "h.%.input_layernorm"}}
                                                      : Names{{"blk.%.attn_norm_2", "h.%.ln_attn"},
                                                              {"blk.%.attn_norm", "h.%.ln_mlp"}}),
                             n_kv_heads);
        model.prefix = "transformer.", model.row.fused_qkv = true;
        model.m.qkv_bias = model.m.o_bias = model.m.ffn_bias = false, model.m.tied = true, model.m.d_ff = 256,
        model.m.activation = Activation::gelu_erf;
        if (n_kv_heads == 2) model.row.names = model.row.two_norms_names, model.m.parallel_norms = true;
        for (const char* key : {"num_key_value_heads", "intermediate_size", "tie_word_embeddings"})
            model.config.erase(key);
        model.config.update({{"new_decoder_architecture", n_kv_heads == 2},
                             {"multi_query", true},
                             {"num_kv_heads", n_kv_heads == 2 ? 2 : 71},
                             {"parallel_attn", true},
                             {"alibi", false}});
    }
    HfModel& mpt = add("mpt", "mpt",
                       Names{{"token_embd", "wte"},
                             {"output_norm", "norm_f"},
                             {"output", "lm_head"},
                             {"blk.%.attn_norm", "blocks.%.norm_1"},
                             {"blk.%.attn_qkv", "blocks.%.attn.Wqkv"},
                             {"blk.%.attn_output", "blocks.%.attn.out_proj"},
                             {"blk.%.ffn_norm", "blocks.%.norm_2"},
                             {"blk.%.ffn_up", "blocks.%.ffn.up_proj"},
                             {"blk.%.ffn_down", "blocks.%.ffn.down_proj"}});
    mpt.prefix = "transformer.", mpt.row.fused_qkv = true, mpt.m.tied = true, mpt.m.d_ff = 128,
    mpt.m.activation = Activation::gelu_erf;
    mpt.m.norm_bias = mpt.m.qkv_bias = mpt.m.o_bias = mpt.m.ffn_bias = false, mpt.m.alibi_max_bias = 8,
    mpt.m.qkv_clamp = 6;
    mpt.config = {
        {"model_type", "mpt"},
        {"d_model", 64},
        {"n_layers", 2},
        {"n_heads", 4},
        {"vocab_size", 50},
        {"max_seq_len", 32},
        {"expansion_ratio", 2},
        {"layer_norm_epsilon", 0x1p-17},
        {"attn_config",
         {{"alibi", true}, {"alibi_bias_max", 8}, {"clip_qkv", 6.0}, {"attn_type", "multihead_attention"}}}};
    HfModel& phi = add("phi", "phi2",
                       Names{{"token_embd", "embed_tokens"},
                             {"output_norm", "final_layernorm"},
                             {"output", "lm_head"},
                             {"blk.%.attn_norm", "layers.%.input_layernorm"},
                             {"blk.%.attn_q", "layers.%.self_attn.q_proj"},
                             {"blk.%.attn_k", "layers.%.self_attn.k_proj"},
                             {"blk.%.attn_v", "layers.%.self_attn.v_proj"},
                             {"blk.%.attn_output", "layers.%.self_attn.dense"},
                             {"blk.%.ffn_up", "layers.%.mlp.fc1"},
                             {"blk.%.ffn_down", "layers.%.mlp.fc2"}});
    phi.m.rope_dim = 8, phi.m.head_bias = true;
    phi.config.update({{"partial_rotary_factor", 0.5}, {"hidden_act", "gelu_new"}});
    HfModel& stablelm =
        add("stablelm", "stablelm",
            llama(Form::plain) + Names{{"blk.%.attn_q_norm", "layers.%.self_attn.q_layernorm.norms.#"},
                                       {"blk.%.attn_k_norm", "layers.%.self_attn.k_layernorm.norms.#"}},
            2);
    stablelm.m.rope_dim = 4, stablelm.m.o_bias = stablelm.m.ffn_bias = false,
    stablelm.m.qk_norm = QkNorm::heads;
    stablelm.config.update({{"partial_rotary_factor", 0.25}, {"use_qkv_bias", true}});
    HfModel& starcoder2 =
        add("starcoder2", "starcoder2",
            ends + norms + attention(Form::plain) +
                Names{{"blk.%.ffn_up", "layers.%.mlp.c_fc"}, {"blk.%.ffn_down", "layers.%.mlp.c_proj"}},
            2);
    starcoder2.m.window = 8;
    starcoder2.config.update({{"sliding_window", 8}, {"hidden_act", "gelu_pytorch_tanh"}});
    HfModel& opt = add("opt", "gpt2",
                       Names{{"token_embd", "embed_tokens"},
                             {"position_embd", "embed_positions", Form::after_two},
                             {"output_norm", "final_layer_norm"},
                             {"output", "lm_head"},
                             {"blk.%.attn_norm", "layers.%.self_attn_layer_norm"},
                             {"blk.%.attn_q", "layers.%.self_attn.q_proj"},
                             {"blk.%.attn_k", "layers.%.self_attn.k_proj"},
                             {"blk.%.attn_v", "layers.%.self_attn.v_proj"},
                             {"blk.%.attn_output", "layers.%.self_attn.out_proj"},
                             {"blk.%.ffn_norm", "layers.%.final_layer_norm"},
                             {"blk.%.ffn_up", "layers.%.fc1"},
                             {"blk.%.ffn_down", "layers.%.fc2"}});
    opt.prefix = "model.decoder.", opt.m.tied = true, opt.m.activation = Activation::relu;
    opt.config = {{"model_type", "opt"},
                  {"hidden_size", 64},
                  {"num_hidden_layers", 2},
                  {"num_attention_heads", 4},
                  {"ffn_dim", 96},
                  {"vocab_size", 50},
                  {"max_position_embeddings", 32},
                  {"word_embed_proj_dim", 64},
                  {"do_layer_norm_before", true},
                  {"activation_function", "relu"},
                  {"layer_norm_eps", 0x1p-17}};
    return all;
}

} // namespace

SafetensorsWriter HfModel::safetensors(DType dtype) const {
    const GgufWriter source = gguf(dtype);
    SafetensorsWriter writer;
    std::vector<GgufWriter::Tensor> waiting; // the first of two that are joined
    for (GgufWriter::Tensor tensor : source.tensors) {
        const size_t dot = tensor.name.rfind('.');
        const auto [layer, stem] = without_layer(tensor.name.substr(0, dot));
        const std::string ending = tensor.name.substr(dot);
        const auto is = [&](const TensorNames& n) {
            return n.gguf == stem || n.gguf.starts_with(stem + "|") || n.gguf.ends_with("|" + stem);
        };
        const auto at = std::find_if(names.begin(), names.end(), is);
        REQUIRE_MESSAGE(at != names.end(), type << ": " << tensor.name);
        std::string name = with(at->hf, '%', layer) + ending;
        if (name.find("lm_head") != 0 && name.find("embed_out") != 0) name = prefix + name;
        if (at->form == Form::joined && at->gguf.starts_with(stem + "|")) {
            waiting.push_back(tensor);
            continue;
        }
        if (at->form == Form::joined) {
            REQUIRE(!waiting.empty());
            tensor.data.insert(tensor.data.begin(), waiting.back().data.begin(), waiting.back().data.end());
            tensor.shape[0] += waiting.back().shape[0];
            waiting.pop_back();
        }
        apply(at->form, m, tensor);
        const DType type_of = *dtype_from_gguf(tensor.type);
        if (name.find('#') == std::string::npos) {
            writer.add(name, info(type_of).name, tensor.shape, tensor.data);
            continue;
        }
        const auto parts = rows_of(tensor);
        const std::vector<uint64_t> shape(tensor.shape.begin() + 1, tensor.shape.end());
        for (size_t i = 0; i < parts.size(); ++i)
            writer.add(with(name, '#', std::to_string(i)), info(type_of).name, shape, parts[i]);
    }
    return writer;
}

void HfModel::save(const Folder& folder, DType dtype) const {
    write_file(folder / "config.json", config.dump());
    safetensors(dtype).save(folder / "model.safetensors");
}

std::vector<HfModel> hf_models() {
    std::vector<HfModel> all = llama_models();
    all.push_back(deepseek());
    for (const auto& more : {gpt_models(), other_models()}) all.insert(all.end(), more.begin(), more.end());
    return all;
}

HfModel hf_model(const std::string& type) {
    for (HfModel& model : hf_models())
        if (model.type == type) return model;
    throw std::logic_error("no model of type " + type);
}

} // namespace kvasir
