#include "runtime/hf/families.hpp"

#include "runtime/architectures.hpp"
#include "runtime/error.hpp"
#include "runtime/hf/family_settings.hpp"

#include <list>

namespace kvasir {

namespace {

using Rules = std::vector<TensorRule>;

Rules operator+(Rules rules, const Rules& more) {
    rules.insert(rules.end(), more.begin(), more.end());
    return rules;
}

const Rules llama_attention = {{"layers.%.self_attn.q_proj", "blk.%.attn_q"},
                               {"layers.%.self_attn.k_proj", "blk.%.attn_k"},
                               {"layers.%.self_attn.v_proj", "blk.%.attn_v"},
                               {"layers.%.self_attn.o_proj", "blk.%.attn_output"}};
const Rules llama_ends = {{"embed_tokens", "token_embd"}, {"norm", "output_norm"}, {"lm_head", "output"}};
const Rules llama_norms = {{"layers.%.input_layernorm", "blk.%.attn_norm"},
                           {"layers.%.post_attention_layernorm", "blk.%.ffn_norm"}};
const Rules llama_mlp = {{"layers.%.mlp.gate_proj", "blk.%.ffn_gate"},
                         {"layers.%.mlp.up_proj", "blk.%.ffn_up"},
                         {"layers.%.mlp.down_proj", "blk.%.ffn_down"}};
const Rules llama = llama_ends + llama_attention + llama_norms + llama_mlp;
const Rules qk_norms = {{"layers.%.self_attn.q_norm", "blk.%.attn_q_norm"},
                        {"layers.%.self_attn.k_norm", "blk.%.attn_k_norm"}};
const Rules experts = {{"layers.%.mlp.gate", "blk.%.ffn_gate_inp"},
                       {"layers.%.mlp.experts.#.gate_proj", "blk.%.ffn_gate_exps"},
                       {"layers.%.mlp.experts.#.up_proj", "blk.%.ffn_up_exps"},
                       {"layers.%.mlp.experts.#.down_proj", "blk.%.ffn_down_exps"}};
/// Names of one shared expert under another module's.
Rules shared_expert(const char* gate, const char* up, const char* down) {
    return {{gate, "blk.%.ffn_gate_shexp"}, {up, "blk.%.ffn_up_shexp"}, {down, "blk.%.ffn_down_shexp"}};
}
const Rules mixtral_experts = {{"layers.%.block_sparse_moe.gate", "blk.%.ffn_gate_inp"},
                               {"layers.%.block_sparse_moe.experts.#.w1", "blk.%.ffn_gate_exps"},
                               {"layers.%.block_sparse_moe.experts.#.w3", "blk.%.ffn_up_exps"},
                               {"layers.%.block_sparse_moe.experts.#.w2", "blk.%.ffn_down_exps"}};
const Rules gpt2_ends = {
    {"wte", "token_embd"}, {"wpe", "position_embd"}, {"ln_f", "output_norm"}, {"lm_head", "output"}};
Rules gpt2_layers(Layout matrix, Layout qkv) {
    return {{"h.%.ln_1", "blk.%.attn_norm"},
            {"h.%.attn.c_attn", "blk.%.attn_qkv", qkv},
            {"h.%.attn.c_proj", "blk.%.attn_output", matrix},
            {"h.%.ln_2", "blk.%.ffn_norm"},
            {"h.%.mlp.c_fc", "blk.%.ffn_up", matrix},
            {"h.%.mlp.c_proj", "blk.%.ffn_down", matrix}};
}
/// BLOOM's, Falcon's and (with other modules) GPT-NeoX's block.
const Rules bloom_layers = {{"h.%.input_layernorm", "blk.%.attn_norm"},
                            {"h.%.self_attention.query_key_value", "blk.%.attn_qkv", Layout::grouped},
                            {"h.%.self_attention.dense", "blk.%.attn_output"},
                            {"h.%.mlp.dense_h_to_4h", "blk.%.ffn_up"},
                            {"h.%.mlp.dense_4h_to_h", "blk.%.ffn_down"}};
const std::vector<const char*> inv_freq = {"layers.%.self_attn.rotary_emb.inv_freq"};
const std::vector<const char*> gpt_masks = {"h.%.attn.bias", "h.%.attn.masked_bias"};

std::list<Family> make_table() {
    std::list<Family> rows;
    const auto add = [&](const char* model_type, const char* architecture, Rules tensors) -> Family& {
        return rows.emplace_back(
            Family{.model_type = model_type, .architecture = architecture, .tensors = std::move(tensors)});
    };
    const auto add_llama = [&](const char* model_type, const char* architecture, Rules tensors,
                               int64_t n_ctx) -> Family& {
        Family& row = add(model_type, architecture, std::move(tensors));
        row.norm_eps = 1e-6, row.n_ctx = n_ctx, row.unused = inv_freq;
        return row;
    };
    const auto add_gpt = [&](const char* model_type, const char* architecture, Rules tensors,
                             const char* activation) -> Family& {
        Family& row = add(model_type, architecture, std::move(tensors));
        row.activation = activation, row.activation_keys = {"activation_function"},
        row.prefixes = {"transformer."};
        row.ff_keys = {"n_inner"}, row.ff_multiple = 4, row.tied = true, row.unused = gpt_masks;
        row.expected = {{"add_cross_attention", false}};
        return row;
    };

    add_llama("llama", "llama", llama, 2048);
    add_llama("mistral", "llama", llama, 131072);
    add_llama("mixtral", "llama", llama_ends + llama_attention + llama_norms + mixtral_experts, 131072).more =
        settings::put_experts;
    add_llama("qwen2", "qwen2", llama, 32768);
    add_llama("qwen3", "qwen3", llama + qk_norms, 32768);
    add_llama("qwen2_moe", "qwen2moe",
              llama_ends + llama_attention + llama_norms + experts +
                  Rules{{"layers.%.mlp.shared_expert_gate", "blk.%.ffn_gate_inp_shexp", Layout::vector}} +
                  shared_expert("layers.%.mlp.shared_expert.gate_proj", "layers.%.mlp.shared_expert.up_proj",
                                "layers.%.mlp.shared_expert.down_proj"),
              32768)
        .more = settings::qwen_moe;
    add_llama("qwen3_moe", "qwen3moe", llama_ends + llama_attention + llama_norms + qk_norms + experts, 32768)
        .more = settings::qwen_moe;
    for (const bool normed : {false, true}) { // MiniMind 2 and 3: hf_family() chooses by the checkpoint
        Family& row = add_llama(normed ? "minimind3" : "minimind", normed ? "qwen3" : "llama",
                                llama + experts + (normed ? qk_norms : Rules{}) +
                                    shared_expert("layers.%.mlp.shared_experts.0.gate_proj",
                                                  "layers.%.mlp.shared_experts.0.up_proj",
                                                  "layers.%.mlp.shared_experts.0.down_proj"),
                                32768);
        row.rope_base = 1e6, row.norm_eps = 1e-5, row.tied = true, row.more = settings::minimind;
    }
    Family& deepseek = add_llama("deepseek_v2", "deepseek2",
                                 llama + experts +
                                     shared_expert("layers.%.mlp.shared_experts.gate_proj",
                                                   "layers.%.mlp.shared_experts.up_proj",
                                                   "layers.%.mlp.shared_experts.down_proj") +
                                     Rules{{"layers.%.self_attn.q_a_proj", "blk.%.attn_q_a"},
                                           {"layers.%.self_attn.q_a_layernorm", "blk.%.attn_q_a_norm"},
                                           {"layers.%.self_attn.q_b_proj", "blk.%.attn_q_b"},
                                           {"layers.%.self_attn.kv_a_proj_with_mqa", "blk.%.attn_kv_a_mqa"},
                                           {"layers.%.self_attn.kv_a_layernorm", "blk.%.attn_kv_a_norm"},
                                           {"layers.%.self_attn.kv_b_proj", "blk.%.attn_kv_b"}},
                                 2048);
    deepseek.more = settings::deepseek2, deepseek.rope_layout = "pairs";

    Rules gemma_rules = llama_attention + llama_mlp +
                        Rules{{"embed_tokens", "token_embd"},
                              {"norm", "output_norm", Layout::plus_one},
                              {"layers.%.input_layernorm", "blk.%.attn_norm", Layout::plus_one}};
    Family& gemma = add_llama(
        "gemma", "gemma",
        gemma_rules + Rules{{"layers.%.post_attention_layernorm", "blk.%.ffn_norm", Layout::plus_one}}, 8192);
    Family& gemma_2 = add_llama(
        "gemma2", "gemma2",
        gemma_rules +
            Rules{{"layers.%.post_attention_layernorm", "blk.%.post_attention_norm", Layout::plus_one},
                  {"layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm", Layout::plus_one},
                  {"layers.%.post_feedforward_layernorm", "blk.%.post_ffw_norm", Layout::plus_one}},
        8192);
    for (Family* row : {&gemma, &gemma_2}) {
        row->tied = true, row->activation = "gelu_pytorch_tanh";
        row->activation_keys = {
            "hidden_activation"}; // hidden_act of old files says "gelu", and the tanh form was meant
    }
    gemma_2.more = settings::gemma2;

    Family& phi3 = add_llama("phi3", "phi3",
                             llama_ends + llama_norms +
                                 Rules{{"layers.%.self_attn.qkv_proj", "blk.%.attn_qkv"},
                                       {"layers.%.self_attn.o_proj", "blk.%.attn_output"},
                                       {"layers.%.mlp.gate_up_proj", "blk.%.ffn_up"},
                                       {"layers.%.mlp.down_proj", "blk.%.ffn_down"}},
                             4096);
    phi3.norm_eps = 1e-5;
    Family& phi = add("phi", "phi2",
                      Rules{{"embed_tokens", "token_embd"},
                            {"final_layernorm", "output_norm"},
                            {"lm_head", "output"},
                            {"layers.%.input_layernorm", "blk.%.attn_norm"},
                            {"layers.%.self_attn.q_proj", "blk.%.attn_q"},
                            {"layers.%.self_attn.k_proj", "blk.%.attn_k"},
                            {"layers.%.self_attn.v_proj", "blk.%.attn_v"},
                            {"layers.%.self_attn.dense", "blk.%.attn_output"},
                            {"layers.%.mlp.fc1", "blk.%.ffn_up"},
                            {"layers.%.mlp.fc2", "blk.%.ffn_down"}});
    phi.activation = "gelu_new", phi.rotated_share = 0.5, phi.expected = {{"qk_layernorm", false}},
    phi.unused = inv_freq;
    Family& stablelm = add("stablelm", "stablelm",
                           llama + Rules{{"layers.%.self_attn.q_layernorm.norms.#", "blk.%.attn_q_norm"},
                                         {"layers.%.self_attn.k_layernorm.norms.#", "blk.%.attn_k_norm"}});
    stablelm.n_ctx = 4096, stablelm.rotated_share = 0.25, stablelm.unused = inv_freq;
    Family& starcoder2 =
        add("starcoder2", "starcoder2",
            llama_ends + llama_attention + llama_norms +
                Rules{{"layers.%.mlp.c_fc", "blk.%.ffn_up"}, {"layers.%.mlp.c_proj", "blk.%.ffn_down"}});
    starcoder2.activation = "gelu_pytorch_tanh", starcoder2.n_ctx = 4096, starcoder2.tied = true;

    const decltype(Family::expected) gpt2_expected = {{"add_cross_attention", false},
                                                      {"scale_attn_weights", true},
                                                      {"scale_attn_by_inverse_layer_idx", false}};
    Family& gpt2 =
        add_gpt("gpt2", "gpt2", gpt2_ends + gpt2_layers(Layout::conv1d, Layout::conv1d), "gelu_new");
    gpt2.n_ctx = 1024, gpt2.expected = gpt2_expected;
    Family& nano = add_gpt("nanogpt", "gpt2", gpt2.tensors, "gelu"); // Karpathy's nanoGPT: Linear, exact GELU
    nano.n_ctx = 1024, nano.prefixes = {"_orig_mod.transformer.", "_orig_mod.", "transformer."};
    Family& code = add_gpt("gpt_bigcode", "starcoder",
                           gpt2_ends + gpt2_layers(Layout::plain, Layout::grouped), "gelu_pytorch_tanh");
    code.n_ctx = 1024, code.more = settings::bigcode,
    code.expected = {{"add_cross_attention", false}, {"scale_attn_weights", true}};
    Family& refact_row =
        add_gpt("gpt_refact", "refact",
                Rules{{"wte", "token_embd"},
                      {"ln_f", "output_norm"},
                      {"lm_head", "output"},
                      {"h.%.ln_1", "blk.%.attn_norm"},
                      {"h.%.attn.q", "blk.%.attn_q"},
                      {"h.%.attn.kv", "blk.%.attn_k|blk.%.attn_v", Layout::halves},
                      {"h.%.attn.c_proj", "blk.%.attn_output"},
                      {"h.%.ln_2", "blk.%.ffn_norm"},
                      {"h.%.mlp.gate_up_proj", "blk.%.ffn_gate|blk.%.ffn_up", Layout::halves},
                      {"h.%.mlp.c_proj", "blk.%.ffn_down"}},
                "silu");
    refact_row.activation_keys = {}, refact_row.tied = false, refact_row.more = settings::refact;
    Family& gptj = add_gpt("gptj", "gptj",
                           Rules{{"wte", "token_embd"},
                                 {"ln_f", "output_norm"},
                                 {"lm_head", "output"},
                                 {"h.%.ln_1", "blk.%.attn_norm"},
                                 {"h.%.attn.q_proj", "blk.%.attn_q"},
                                 {"h.%.attn.k_proj", "blk.%.attn_k"},
                                 {"h.%.attn.v_proj", "blk.%.attn_v"},
                                 {"h.%.attn.out_proj", "blk.%.attn_output"},
                                 {"h.%.mlp.fc_in", "blk.%.ffn_up"},
                                 {"h.%.mlp.fc_out", "blk.%.ffn_down"}},
                           "gelu_new");
    gptj.tied = false, gptj.rope_layout = "pairs";

    Family& neox = add("gpt_neox", "gptneox",
                       Rules{{"embed_in", "token_embd"},
                             {"final_layer_norm", "output_norm"},
                             {"embed_out", "output"},
                             {"layers.%.input_layernorm", "blk.%.attn_norm"},
                             {"layers.%.attention.query_key_value", "blk.%.attn_qkv", Layout::grouped},
                             {"layers.%.attention.dense", "blk.%.attn_output"},
                             {"layers.%.post_attention_layernorm", "blk.%.ffn_norm"},
                             {"layers.%.mlp.dense_h_to_4h", "blk.%.ffn_up"},
                             {"layers.%.mlp.dense_4h_to_h", "blk.%.ffn_down"}});
    neox.activation = "gelu", neox.prefixes = {"gpt_neox."}, neox.rotated_share = 0.25, neox.ff_multiple = 4;
    neox.unused = {"layers.%.attention.bias", "layers.%.attention.masked_bias",
                   "layers.%.attention.rotary_emb.inv_freq"};
    neox.more = [](const Config& config, Metadata& metadata, const std::string& prefix) {
        metadata.values[prefix + "use_parallel_residual"] =
            config.flag({"use_parallel_residual"}).value_or(true);
    };
    Family& bloom = add("bloom", "bloom",
                        bloom_layers + Rules{{"word_embeddings", "token_embd"},
                                             {"word_embeddings_layernorm", "token_embd_norm"},
                                             {"h.%.post_attention_layernorm", "blk.%.ffn_norm"},
                                             {"ln_f", "output_norm"},
                                             {"lm_head", "output"}});
    Family& falcon_row = add("falcon", "falcon",
                             bloom_layers + Rules{{"word_embeddings", "token_embd"},
                                                  {"ln_f", "output_norm"},
                                                  {"lm_head", "output"},
                                                  {"h.%.ln_attn", "blk.%.attn_norm_2"},
                                                  {"h.%.ln_mlp", "blk.%.attn_norm"}});
    for (Family* row : {&bloom, &falcon_row})
        row->prefixes = {"transformer."}, row->ff_keys = {"ffn_hidden_size"}, row->ff_multiple = 4,
        row->tied = true, row->activation_keys = {"activation"};
    bloom.activation = "gelu_new", bloom.activation_keys = {},
    bloom.expected = {{"apply_residual_connection_post_layernorm", false}};
    falcon_row.activation = "gelu", falcon_row.more = settings::falcon;
    falcon_row.expected = {{"alibi", false}, {"parallel_attn", true}};
    Family& mpt_row = add("mpt", "mpt",
                          Rules{{"wte", "token_embd"},
                                {"wpe", "position_embd"},
                                {"norm_f", "output_norm"},
                                {"lm_head", "output"},
                                {"blocks.%.norm_1", "blk.%.attn_norm"},
                                {"blocks.%.attn.Wqkv", "blk.%.attn_qkv"},
                                {"blocks.%.attn.out_proj", "blk.%.attn_output"},
                                {"blocks.%.norm_2", "blk.%.ffn_norm"},
                                {"blocks.%.ffn.up_proj", "blk.%.ffn_up"},
                                {"blocks.%.ffn.down_proj", "blk.%.ffn_down"}});
    mpt_row.activation = "gelu", mpt_row.activation_keys = {}, mpt_row.prefixes = {"transformer."},
    mpt_row.tied = true, mpt_row.more = settings::mpt;
    mpt_row.expected = {{"norm_type", "low_precision_layernorm"}};
    Family& opt = add("opt", "gpt2",
                      Rules{{"embed_tokens", "token_embd"},
                            {"embed_positions", "position_embd", Layout::skip_two},
                            {"final_layer_norm", "output_norm"},
                            {"lm_head", "output"},
                            {"layers.%.self_attn_layer_norm", "blk.%.attn_norm"},
                            {"layers.%.self_attn.q_proj", "blk.%.attn_q"},
                            {"layers.%.self_attn.k_proj", "blk.%.attn_k"},
                            {"layers.%.self_attn.v_proj", "blk.%.attn_v"},
                            {"layers.%.self_attn.out_proj", "blk.%.attn_output"},
                            {"layers.%.final_layer_norm", "blk.%.ffn_norm"},
                            {"layers.%.fc1", "blk.%.ffn_up"},
                            {"layers.%.fc2", "blk.%.ffn_down"}});
    opt.activation = "relu", opt.activation_keys = {"activation_function"}, opt.tied = true;
    opt.ff_keys = {"ffn_dim"}, opt.prefixes = {"model.decoder.", "decoder."};
    opt.expected = {{"do_layer_norm_before", true}, {"_remove_final_layer_norm", false}};
    opt.more = [](const Config& config, Metadata&, const std::string&) {
        config.expect("word_embed_proj_dim", config.need_count({"hidden_size"}));
    };
    return rows;
}

} // namespace

const Family& hf_family(const Config& config, const std::string& model_type) {
    static const std::list<Family> table = make_table();
    std::string names;
    for (const Family& row : table) {
        if (row.model_type == model_type) return row;
        names += (names.empty() ? "" : ", ") + std::string(row.model_type);
    }
    const std::string kind = other_kind(model_type);
    config.refuse("its model_type is " + kvasir::quoted(model_type) + ", which is " +
                      (kind.empty() ? "not supported" : kind),
                  "a model of one of " + names);
}

} // namespace kvasir
