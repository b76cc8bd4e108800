#include "runtime/architectures.hpp"
#include "runtime/error.hpp"
#include "runtime/family_keys.hpp"
#include "runtime/spec_json.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

namespace kvasir {

namespace {

/// Refuses GGUF files that are not one whole model.
void check_kind(const ModelFile& file) {
    const auto parts = file.metadata.integer("split.count").value_or(1);
    if (parts > 1)
        refuse_shape(file,
                     "it is part " + std::to_string(file.metadata.integer("split.no").value_or(0) + 1) +
                         " of " + std::to_string(parts) + " of a model, and parts are not supported yet",
                     "joining them first with llama.cpp's llama-gguf-split --merge");
    const std::string type = file.metadata.text("general.type").value_or("model");
    if (type != "model")
        refuse_shape(file, "it is of type " + quoted(type) + ", not a model", "the model's own file");
    if (file.tensors.empty())
        refuse_shape(file, "it has no tensors, only metadata and a vocabulary", "a file with weights");
}

/// Factors of the frequencies from a tensor [rope_dim / 2]; empty where there is none.
std::vector<double> read_factors(const ModelFile& file, const std::string& name, uint32_t rope_dim) {
    const TensorInfo* tensor = file.find(name);
    if (!tensor) return {};
    if (tensor->n_values() != rope_dim / 2)
        refuse_shape(file,
                     "tensor " + quoted(name) + " has " + std::to_string(tensor->n_values()) +
                         " RoPE factors, and there are " + std::to_string(rope_dim / 2) + " frequencies",
                     "converting the model again");
    std::vector<float> values(tensor->n_values());
    decode(tensor->dtype, tensor->data.data(), values.data(), values.size());
    return {values.begin(), values.end()};
}

constexpr std::pair<const char*, RopeScaling> rope_scalings[] = {
    {"linear", RopeScaling::linear}, {"yarn", RopeScaling::yarn}, {"dynamic", RopeScaling::dynamic}};

/// What a Hugging Face folder says itself: the same family comes with other activations, and with Q and K as
/// they were trained, where GGUF's converter may have permuted their rows.
void read_stated_choices(const ModelFile& file, const FamilyKeys& keys, ModelSpec& spec) {
    constexpr std::pair<const char*, Activation> activations[] = {{"relu", Activation::relu},
                                                                  {"gelu_tanh", Activation::gelu_tanh},
                                                                  {"gelu_erf", Activation::gelu_erf},
                                                                  {"silu", Activation::silu},
                                                                  {"sigmoid", Activation::sigmoid}};
    if (const auto name = keys.text("activation")) {
        const auto it = std::find_if(std::begin(activations), std::end(activations),
                                     [&](const auto& each) { return each.first == *name; });
        if (it == std::end(activations))
            refuse_shape(file, "the activation " + quoted(*name) + " is unknown",
                         "another copy of the model");
        spec.activation = it->second;
    }
    if (const auto layout = keys.text("rope.layout"); layout && spec.rope != Rope::none) {
        if (*layout != "halves" && *layout != "pairs")
            refuse_shape(file, "rope.layout is " + quoted(*layout), "another copy of the model");
        spec.rope = *layout == "halves" ? Rope::halves : Rope::pairs;
    }
}

void read_rope(const ModelFile& file, const FamilyKeys& keys, const Architecture& row, ModelSpec& spec) {
    spec.rope_dim = keys.count("rope.dimension_count").value_or(spec.head_dim);
    spec.rope_base = keys.real("rope.freq_base").value_or(10000);
    spec.rope_original_ctx = keys.count("rope.scaling.original_context_length").value_or(0);
    spec.rope_beta_fast = keys.real("rope.scaling.yarn_beta_fast").value_or(32);
    spec.rope_beta_slow = keys.real("rope.scaling.yarn_beta_slow").value_or(1);
    for (const char* key : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"})
        spec.rope_magnitude *= keys.real(key).value_or(1);
    auto factor = keys.real("rope.scaling.factor");
    if (!factor) factor = keys.real("rope.scale_linear");
    std::string type = keys.text("rope.scaling.type").value_or(factor ? "linear" : "none");
    // A factor of 0 stands for "not scaled" in older files, 1 is the same by arithmetic.
    const auto scaling = std::find_if(std::begin(rope_scalings), std::end(rope_scalings),
                                      [&](const auto& each) { return each.first == type; });
    if (scaling != std::end(rope_scalings)) {
        if (!factor || *factor == 0 || *factor == 1)
            type = "none";
        else
            spec.rope_scaling = scaling->second, spec.rope_factor = *factor;
    }
    spec.rope_factors = read_factors(file, tensor_name(row, Role::rope_factors), spec.rope_dim);
    if (spec.rope_factors.empty()) {
        if (spec.rope_scaling == RopeScaling::none && type != "none")
            refuse_shape(file,
                         "RoPE scaling " + quoted(type) + " is not supported, or has no tensor of factors",
                         "a model with plain RoPE, or one scaled by linear, yarn or a tensor of factors");
        return;
    }
    if (spec.rope_scaling == RopeScaling::yarn)
        refuse_shape(file, "RoPE is scaled both by yarn and by a tensor of factors",
                     "converting the model again");
    spec.rope_scaling = RopeScaling::factors;
    if (row.names.data() != gguf_names().data())
        spec.rope_long_factors = read_factors(file, tensor_name(row, Role::rope_long_factors), spec.rope_dim);
}

/// Keys and values of latent attention, as the cache has them. YaRN changes the scale of scores here, in
/// place of cos and sin (DeepSeek-AI 2024, the model's own code).
void read_latent(const ModelFile& file, const FamilyKeys& keys, ModelSpec& spec) {
    spec.kv_lora_rank = *keys.count("attention.kv_lora_rank");
    spec.q_lora_rank = keys.count("attention.q_lora_rank").value_or(0);
    const bool own = keys.has("attention.key_length_mla");
    spec.mla_key_dim = keys.need_count(own ? "attention.key_length_mla" : "attention.key_length");
    spec.mla_value_dim = keys.need_count(own ? "attention.value_length_mla" : "attention.value_length");
    spec.rope_dim = keys.need_count("rope.dimension_count");
    if (spec.rope_dim > UINT32_MAX / 2 || spec.kv_lora_rank > UINT32_MAX / 2)
        refuse_shape(file, "kv_lora_rank and rope.dimension_count are absurd", "another copy of the model");
    spec.n_kv_heads = 1;
    spec.head_dim = spec.kv_lora_rank + spec.rope_dim;
    spec.attention_scale = 1 / std::sqrt(static_cast<double>(spec.mla_key_dim));
}

void scale_latent_scores(const FamilyKeys& keys, ModelSpec& spec) {
    if (spec.rope_scaling != RopeScaling::yarn) return;
    const double stretch = std::log(spec.rope_factor);
    const double m = 1 + keys.real("rope.scaling.yarn_log_multiplier").value_or(0) * stretch;
    spec.attention_scale *= m * m;
    spec.rope_magnitude /= 1 + 0.1 * stretch;
}

void read_experts(const ModelFile& file, const FamilyKeys& keys, const Architecture& row, ModelSpec& spec) {
    spec.n_experts = keys.count("expert_count").value_or(0);
    if (spec.n_experts == 0) {
        spec.shared_gate = false;
        return;
    }
    spec.n_experts_used = keys.need_count("expert_used_count");
    spec.n_dense_layers = keys.count("leading_dense_block_count").value_or(0);
    spec.d_expert = keys.count("expert_feed_forward_length").value_or(spec.d_ff);
    const uint64_t shared = uint64_t{keys.count("expert_shared_count").value_or(0)} * spec.d_expert;
    spec.d_shared =
        keys.count("expert_shared_feed_forward_length")
            .value_or(spec.shared_gate ? spec.d_ff
                                       : static_cast<uint32_t>(std::min<uint64_t>(shared, UINT32_MAX)));
    spec.router_norm = keys.flag("expert_weights_norm").value_or(spec.router_norm);
    const double scale = keys.real("expert_weights_scale").value_or(0);
    spec.router_scale = scale == 0 ? 1 : scale; // 0 stands for none
    const uint32_t gating = keys.count("expert_gating_func").value_or(1);
    if (gating > 2)
        refuse_shape(file, "expert_gating_func is " + std::to_string(gating) + ", which is not supported",
                     "a model whose experts are chosen by softmax (1) or sigmoid (2)");
    spec.router = gating == 2 ? Router::sigmoid : Router::softmax;
    spec.router_bias = file.find(tensor_name(row, Role::router_bias, spec.n_dense_layers, true)) != nullptr;
}

uint32_t read_n_vocab(const ModelFile& file, const FamilyKeys& keys) {
    const auto* tokens = file.metadata.texts("tokenizer.ggml.tokens");
    const auto stated = keys.count("vocab_size");
    if (!tokens) return keys.need_count("vocab_size");
    if (stated && *stated != tokens->size())
        refuse_shape(file,
                     "vocab_size is " + std::to_string(*stated) + ", and the vocabulary has " +
                         std::to_string(tokens->size()) + " tokens",
                     "converting the model again");
    return static_cast<uint32_t>(std::min<size_t>(tokens->size(), UINT32_MAX));
}

uint32_t read_head_dim(const ModelFile& file, const FamilyKeys& keys, const ModelSpec& spec) {
    const auto key_length = keys.count("attention.key_length"),
               value_length = keys.count("attention.value_length");
    if (!key_length && (spec.n_heads == 0 || spec.d_model % spec.n_heads != 0))
        refuse_shape(file,
                     "embedding_length " + std::to_string(spec.d_model) + " is not divisible by head_count " +
                         std::to_string(spec.n_heads) + ", and attention.key_length is not given",
                     "converting the model again");
    const uint32_t head_dim = key_length ? *key_length : spec.d_model / spec.n_heads;
    if (value_length && *value_length != head_dim)
        refuse_shape(file,
                     "heads have keys of length " + std::to_string(head_dim) + " and values of length " +
                         std::to_string(*value_length) + ", which is not supported yet",
                     "a model where both are equal");
    return head_dim;
}

/// Biases, norms of q and k, and a head of its own are there where their tensors are; check_tensors then
/// wants all of them.
void read_open_choices(const ModelFile& file, const FamilyKeys& keys, const Architecture& row,
                       ModelSpec& spec) {
    const auto has = [&](Role role, bool bias = false) {
        return file.find(tensor_name(row, role, 0, bias)) != nullptr;
    };
    spec.tied = !has(Role::head);
    spec.head_bias = has(Role::head, true);
    spec.norm_bias = spec.norm == Norm::layer && (has(Role::attn_norm, true) || has(Role::final_norm, true));
    spec.qkv_bias = has(row.fused_qkv ? Role::qkv : Role::q, true);
    spec.o_bias = has(Role::o, true);
    spec.ffn_bias = has(Role::up, true);
    if (spec.rope == Rope::none && spec.alibi_max_bias == 0) spec.learned_positions = true;
    if (row.parallel == ParallelSign::key) spec.parallel = keys.flag("use_parallel_residual").value_or(true);
    if (row.parallel == ParallelSign::no_norm) spec.parallel = !has(Role::ffn_norm);
    if (spec.parallel) spec.parallel_norms = has(Role::ffn_norm);
    const TensorInfo* q_norm = file.find(tensor_name(row, Role::q_norm));
    if (!q_norm || spec.norm != Norm::layer) return; // RMSNorm of q and k is a choice of the family
    spec.qk_norm_bias = has(Role::q_norm, true);
    spec.qk_norm = q_norm->shape.size() == 2           ? QkNorm::heads
                   : q_norm->shape[0] == spec.head_dim ? QkNorm::head
                                                       : QkNorm::row;
}

std::string shape_text(const std::vector<uint64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

} // namespace

ModelSpec read_spec(const ModelFile& file) {
    check_kind(file); // first, because the later parts of a split model do not even name their family
    if (const auto stated = file.metadata.text(stated_spec_key)) {
        ModelSpec spec = spec_from_text(*stated, file.path);
        spec.name = file.metadata.text("general.name").value_or("");
        return spec;
    }
    const std::string family = file.metadata.need_text("general.architecture");
    if (family == stated_family)
        refuse_shape(file, "its family is spec, and it states no shape", "the family's name");
    const Architecture row = architecture_of(file, family);
    const FamilyKeys keys(file, family);
    keys.check_all_known();

    ModelSpec spec = row.choices;
    spec.name = file.metadata.text("general.name").value_or("");
    spec.n_layers = keys.need_count("block_count");
    spec.n_heads = keys.need_count("attention.head_count");
    spec.n_kv_heads = keys.count("attention.head_count_kv").value_or(spec.n_heads);
    spec.d_model = keys.need_count("embedding_length");
    spec.d_ff = keys.need_count("feed_forward_length");
    spec.n_ctx = keys.need_count("context_length");
    spec.n_vocab = read_n_vocab(file, keys);
    if (keys.has("attention.kv_lora_rank"))
        read_latent(file, keys, spec);
    else
        spec.head_dim = read_head_dim(file, keys, spec);
    spec.norm_eps = keys.need_real(spec.norm == Norm::rms ? "attention.layer_norm_rms_epsilon"
                                                          : "attention.layer_norm_epsilon");
    spec.window = keys.count("attention.sliding_window").value_or(spec.window);
    spec.alibi_max_bias = keys.real("attention.max_alibi_bias").value_or(spec.alibi_max_bias);
    spec.qkv_clamp = keys.real("attention.clamp_kqv").value_or(0);
    spec.attention_softcap = keys.real("attn_logit_softcapping").value_or(spec.attention_softcap);
    spec.logit_softcap = keys.real("final_logit_softcapping").value_or(spec.logit_softcap);
    if (row.scaled_embedding) spec.embedding_scale = std::sqrt(static_cast<double>(spec.d_model));
    if (spec.n_layers == row.layers_of_model_scaled_scores && spec.d_model > 0)
        spec.attention_scale = std::sqrt(static_cast<double>(spec.n_heads) / spec.d_model);
    if (const double scale = keys.real("attention.scale").value_or(0); scale != 0)
        spec.attention_scale = scale;
    read_stated_choices(file, keys, spec);
    if (spec.rope != Rope::none) read_rope(file, keys, row, spec);
    if (spec.latent()) scale_latent_scores(keys, spec);
    read_experts(file, keys, row, spec);
    read_open_choices(file, keys, row, spec);
    spec.validate();
    return spec;
}

void check_tensors(const ModelFile& file, const ModelSpec& spec) {
    const std::vector<TensorNeed> needs = tensors_of(architecture_of(file, spec.family), spec);
    std::unordered_map<std::string_view, const TensorInfo*> found;
    for (const TensorInfo& tensor : file.tensors) found.emplace(tensor.name, &tensor);
    std::unordered_set<std::string_view> needed;
    for (const TensorNeed& need : needs) needed.insert(need.name);
    const auto named = [](const TensorInfo& tensor) {
        return "tensor " + quoted(tensor.stored_as.empty() ? tensor.name : tensor.stored_as) + " " +
               shape_text(tensor.shape);
    };
    // In the file's order, so that the message does not depend on hashing.
    const auto stranger = std::find_if(file.tensors.begin(), file.tensors.end(),
                                       [&](auto& tensor) { return !needed.contains(tensor.name); });
    for (const TensorNeed& need : needs) {
        const auto it = found.find(need.name);
        if (it == found.end())
            refuse_shape(file,
                         "tensor " + need.name + " " + shape_text(need.shape) + " is missing" +
                             (stranger == file.tensors.end()
                                  ? ""
                                  : ", and " + named(*stranger) + " is not part of such a model"),
                         "converting the model again");
        if (it->second->shape != need.shape)
            refuse_shape(file,
                         "tensor " +
                             (it->second->stored_as.empty() ? need.name : quoted(it->second->stored_as)) +
                             " is expected as " + shape_text(need.shape) + ", and found as " +
                             shape_text(it->second->shape),
                         "converting the model again");
    }
    if (stranger != file.tensors.end())
        refuse_shape(file,
                     named(*stranger) + " is not part of a " + spec.family +
                         " model as it is run here, and would change the result",
                     "a model without it");
}

} // namespace kvasir
