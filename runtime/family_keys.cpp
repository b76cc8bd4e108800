#include "runtime/family_keys.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <iterator>

namespace kvasir {

namespace {

/// Keys after "<family>." that read_spec uses, and those that change nothing.
constexpr const char* known_keys[] = {
    "activation", // this and rope.layout: of Hugging Face folders, where GGUF leaves them to the family
    "attention.clamp_kqv",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.key_length_mla",
    "attention.kv_lora_rank",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.max_alibi_bias",
    "attention.q_lora_rank",
    "attention.scale",
    "attention.sliding_window",
    "attention.value_length",
    "attention.value_length_mla",
    "attn_logit_softcapping",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_feed_forward_length",
    "expert_gating_func",
    "expert_shared_count",
    "expert_shared_feed_forward_length",
    "expert_used_count",
    "expert_weights_norm",
    "expert_weights_scale",
    "feed_forward_length",
    "final_logit_softcapping",
    "leading_dense_block_count",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.layout",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_log_multiplier",
    "tensor_data_layout",
    "use_parallel_residual",
    "vocab_size",
};

/// Keys that change the mathematics in a way Kvasir does not run, with the value that leaves it unchanged.
constexpr std::pair<const char*, double> neutral_keys[] = {
    {"embedding_scale", 1},
    {"expert_group_count", 1},
    {"expert_group_used_count", 1},
    {"logit_scale", 1},
    {"pooling_type", 0},
    {"residual_scale", 1},
    {"rope.scaling.yarn_ext_factor", 1},
};

} // namespace

void refuse_shape(const ModelFile& file, const std::string& found, const std::string& attempt) {
    throw Error("reading the shape of " + file.path, found, attempt);
}

std::optional<uint32_t> FamilyKeys::count(const char* key) const {
    const std::string name = prefix_ + key;
    const auto it = file_.metadata.values.find(name);
    if (it == file_.metadata.values.end()) return std::nullopt;
    std::optional<int64_t> value;
    if (const auto* list = std::get_if<std::vector<int64_t>>(&it->second)) {
        if (list->empty())
            refuse_shape(file_, quoted(name) + " is an empty array", "another copy of the model");
        for (const int64_t item : *list)
            if (item != list->front())
                refuse_shape(file_,
                             quoted(name) + " differs between layers (" + std::to_string(list->front()) +
                                 " and " + std::to_string(item) + "), which is not supported yet",
                             "a model with equal layers");
        value = list->front();
    } else {
        value = file_.metadata.integer(name);
    }
    if (*value < 0 || *value > UINT32_MAX)
        refuse_shape(file_, quoted(name) + " is " + std::to_string(*value) + ", not a 32-bit count",
                     "another copy of the model");
    return static_cast<uint32_t>(*value);
}

uint32_t FamilyKeys::need_count(const char* key) const {
    const auto value = count(key);
    if (!value) absent(key);
    return *value;
}

double FamilyKeys::need_real(const char* key) const {
    const auto value = real(key);
    if (!value) absent(key);
    return *value;
}

void FamilyKeys::check_all_known() const {
    for (const auto& [name, value] : file_.metadata.values) {
        if (!name.starts_with(prefix_)) continue;
        const std::string_view key = std::string_view(name).substr(prefix_.size());
        if (std::find(std::begin(known_keys), std::end(known_keys), key) != std::end(known_keys)) continue;
        if (key == "attention.causal") {
            if (file_.metadata.flag(name) == true) continue;
            refuse_shape(file_, quoted(name) + " is false: each token sees later ones",
                         "a model that generates text");
        }
        const auto neutral = std::find_if(std::begin(neutral_keys), std::end(neutral_keys),
                                          [&](const auto& row) { return row.first == key; });
        if (neutral == std::end(neutral_keys))
            refuse_shape(file_, "metadata key " + quoted(name) + " is unknown, and could change the result",
                         "a model that does not need it");
        if (const double number = *file_.metadata.real(name); number != neutral->second)
            refuse_shape(file_, quoted(name) + " is " + shown(number) + ", which is not supported yet",
                         "a model that does not use it");
    }
}

void FamilyKeys::absent(const char* key) const {
    refuse_shape(file_, "metadata key " + quoted(prefix_ + key) + " is missing",
                 "converting the model again");
}

} // namespace kvasir
