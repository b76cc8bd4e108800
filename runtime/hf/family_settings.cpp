#include "runtime/hf/family_settings.hpp"

#include "runtime/error.hpp"

#include <cmath>

namespace kvasir::settings {

/// The number of experts and their sizes, under the names that families give them.
void put_experts(const Config& config, Metadata& metadata, const std::string& prefix) {
    auto& values = metadata.values;
    const auto copy = [&](const char* key, const Config::Names& names) {
        if (const auto n = config.count(names)) values[prefix + key] = *n;
    };
    copy("expert_count", {"num_local_experts", "num_experts", "n_routed_experts"});
    copy("expert_used_count", {"num_experts_per_tok"});
    copy("expert_feed_forward_length", {"moe_intermediate_size"});
    copy("expert_shared_feed_forward_length", {"shared_expert_intermediate_size"});
    if (const auto norm = config.flag({"norm_topk_prob"})) values[prefix + "expert_weights_norm"] = *norm;
}

void qwen_moe(const Config& config, Metadata& metadata, const std::string& prefix) {
    config.expect("decoder_sparse_step", 1);
    config.expect("mlp_only_layers", nlohmann::json::array());
    put_experts(config, metadata, prefix);
    metadata.values.try_emplace(prefix + "expert_weights_norm", false);
}

void deepseek2(const Config& config, Metadata& metadata, const std::string& prefix) {
    auto& values = metadata.values;
    const int64_t rank = config.need_count({"kv_lora_rank"}),
                  rotated = config.need_count({"qk_rope_head_dim"});
    const int64_t key = config.need_count({"qk_nope_head_dim"}) + rotated,
                  value = config.need_count({"v_head_dim"});
    values[prefix + "attention.kv_lora_rank"] = rank;
    if (const auto q_rank = config.count({"q_lora_rank"})) values[prefix + "attention.q_lora_rank"] = *q_rank;
    values[prefix + "attention.key_length"] = key;
    values[prefix + "attention.value_length"] = value;
    values[prefix + "rope.dimension_count"] = rotated;
    if (config.count({"n_routed_experts"}).value_or(0) == 0) return;
    config.expect("moe_layer_freq", 1);
    config.expect("scoring_func", "softmax");
    if (config.text({"topk_method"}).value_or("greedy") != "greedy" &&
        config.count({"n_group"}).value_or(1) > 1)
        config.refuse("experts are chosen by groups (n_group over 1), which is not supported",
                      "a model of the same family without it");
    put_experts(config, metadata, prefix);
    values[prefix + "expert_shared_count"] = config.count({"n_shared_experts"}).value_or(0);
    values[prefix + "leading_dense_block_count"] = config.count({"first_k_dense_replace"}).value_or(0);
    const bool norm = config.flag({"norm_topk_prob"}).value_or(false);
    values[prefix + "expert_weights_norm"] = norm; // weights that add up to 1 are not scaled
    values[prefix + "expert_weights_scale"] = norm ? 1.0 : config.real({"routed_scaling_factor"}).value_or(1);
}

void gemma2(const Config& config, Metadata& metadata, const std::string& prefix) {
    auto& values = metadata.values;
    values[prefix + "attention.sliding_window"] = config.count({"sliding_window"}).value_or(4096);
    values[prefix + "attn_logit_softcapping"] = config.real({"attn_logit_softcapping"}).value_or(0);
    values[prefix + "final_logit_softcapping"] = config.real({"final_logit_softcapping"}).value_or(0);
    values[prefix + "attention.scale"] = 1 / std::sqrt(config.real({"query_pre_attn_scalar"}).value_or(256));
}

void falcon(const Config& config, Metadata& metadata, const std::string& prefix) {
    const bool groups = config.flag({"new_decoder_architecture"}).value_or(false);
    const bool one = config.flag({"multi_query"}).value_or(true);
    const int64_t n_heads = config.need_count({"num_attention_heads", "n_head"});
    metadata.values[prefix + "attention.head_count_kv"] =
        groups ? config.count({"num_kv_heads", "n_head_kv"}).value_or(n_heads)
        : one  ? 1
               : n_heads;
}

void bigcode(const Config& config, Metadata& metadata, const std::string& prefix) {
    if (config.flag({"multi_query"}).value_or(true))
        metadata.values[prefix + "attention.head_count_kv"] = int64_t{1};
}

void mpt(const Config& config, Metadata& metadata, const std::string& prefix) {
    auto& values = metadata.values;
    const Config attention = config.object({"attn_config"});
    attention.expect("attn_type", "multihead_attention");
    attention.expect("qk_ln", false);
    attention.expect("prefix_lm", false);
    attention.expect("rope", false);
    if (attention.has("softmax_scale"))
        attention.refuse("softmax_scale is set, which is not supported", "a model without it");
    const bool alibi = attention.flag({"alibi"}).value_or(true);
    values[prefix + "attention.max_alibi_bias"] =
        alibi ? attention.real({"alibi_bias_max"}).value_or(8) : 0.0;
    if (const auto clamp = attention.real({"clip_qkv"})) values[prefix + "attention.clamp_kqv"] = *clamp;
    values[prefix + "feed_forward_length"] = static_cast<int64_t>(
        config.real({"expansion_ratio"}).value_or(4) * static_cast<double>(config.need_count({"d_model"})));
}

void refact(const Config& config, Metadata& metadata, const std::string& prefix) {
    // The model's own code: two thirds of n_inner, in whole 256s.
    const int64_t inner = config.count({"n_inner"}).value_or(4 * config.need_count({"n_embd"}));
    metadata.values[prefix + "feed_forward_length"] = (2 * inner / 3 + 255) / 256 * 256;
    if (config.flag({"multi_query"}).value_or(true))
        metadata.values[prefix + "attention.head_count_kv"] = int64_t{1};
}

void minimind(const Config& config, Metadata& metadata, const std::string& prefix) {
    auto& values = metadata.values;
    const int64_t d_model = config.need_count({"hidden_size"});
    // The model's own code: 8/3 of d_model, in whole 64s.
    values.try_emplace(prefix + "feed_forward_length", (d_model * 8 / 3 + 63) / 64 * 64);
    if (config.flag({"use_moe"}).value_or(false)) {
        config.expect("scoring_func", "softmax");
        put_experts(config, metadata, prefix);
        values.try_emplace(prefix + "expert_weights_norm", true);
        if (const auto shared = config.count({"n_shared_experts"}); shared.value_or(0) > 0) {
            if (*shared > 1)
                config.refuse("n_shared_experts is " + std::to_string(*shared) + ", and one is supported",
                              "a model with one");
            values[prefix + "expert_shared_feed_forward_length"] =
                values.contains(prefix + "expert_feed_forward_length")
                    ? values[prefix + "expert_feed_forward_length"]
                    : values[prefix + "feed_forward_length"];
        }
    }
}

} // namespace kvasir::settings
