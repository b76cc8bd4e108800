#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "runtime/kv_sharing.hpp"
#include "runtime/model.hpp"

#include <nlohmann/json.hpp>

#include <map>

namespace kvasir {

namespace {

constexpr KvType kv_types[] = {KvType::f32, KvType::f16, KvType::q8_0};

/// What a tensor is for, from its GGUF name ("blk.0.attn_q.weight").
std::string role(const std::string& name) {
    auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    if (has("norm")) return "norms";
    if (has("attn_")) return "attention";
    if (has("ffn_")) return "ffn";
    if (has("_embd")) return "embeddings";
    if (name.starts_with("output.")) return "head";
    return "other";
}

struct Contents {
    std::map<std::string, uint64_t> parameters; ///< by role
    std::map<std::string, uint64_t> bytes;      ///< by storage type
    uint64_t n_bytes = 0;
};

Contents count(const ModelFile& file) {
    Contents contents;
    for (const TensorInfo& tensor : file.tensors) {
        contents.parameters[role(tensor.name)] += tensor.n_values();
        contents.bytes[info(tensor.dtype).name] += tensor.bytes();
        contents.n_bytes += tensor.bytes();
    }
    return contents;
}

/// What the file says of the model and of how it was made: general.description, .author, .license,
/// .languages and whatever lies below general.training., as built-in models have it (assets/train/export.py).
std::vector<std::pair<std::string, MetaValue>> story(const ModelFile& file) {
    std::vector<std::pair<std::string, MetaValue>> told;
    const auto tell = [&](const std::string& key) {
        if (const auto it = file.metadata.values.find("general." + key); it != file.metadata.values.end())
            told.emplace_back(key, it->second);
    };
    for (const char* key : {"description", "author", "license", "languages"}) tell(key);
    for (const auto& [key, value] : file.metadata.values)
        if (key.starts_with("general.training.")) told.emplace_back(key.substr(8), value);
    return told;
}

nlohmann::json to_json(const MetaValue& value) {
    return std::visit([](const auto& each) { return nlohmann::json(each); }, value);
}

/// Lists without brackets, texts without quotation marks.
std::string to_words(const MetaValue& value) {
    const nlohmann::json json = to_json(value);
    if (json.is_string()) return json.get<std::string>();
    if (!json.is_array()) return json.dump();
    std::string text;
    for (const nlohmann::json& item : json)
        text += (text.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : item.dump());
    return text;
}

nlohmann::json to_json(const ModelFile& file, const ModelSpec& spec, const Contents& contents) {
    nlohmann::json kv;
    for (const auto& [key, name, as] : kv_sharings(spec)) {
        nlohmann::json per_token, at_n_ctx;
        for (KvType type : kv_types) {
            per_token[kvasir::name(type)] = as.kv_bytes_per_token(type);
            at_n_ctx[kvasir::name(type)] = as.kv_bytes_per_token(type) * spec.n_ctx;
        }
        kv[key] = {{"n_kv_heads", as.n_kv_heads},
                   {"bytes_per_token", per_token},
                   {"bytes_at_n_ctx", at_n_ctx},
                   {"attention_parameters_per_layer", as.attention_parameters()}};
    }
    nlohmann::json told = nlohmann::json::object();
    for (const auto& [key, value] : story(file)) told[key] = to_json(value);
    return {{"path", file.path},
            {"format", file.format},
            {"general", told},
            {"family", spec.family},
            {"name", spec.name},
            {"n_layers", spec.n_layers},
            {"n_heads", spec.n_heads},
            {"n_kv_heads", spec.n_kv_heads},
            {"head_dim", spec.head_dim},
            {"d_model", spec.d_model},
            {"d_ff", spec.d_ff},
            {"n_vocab", spec.n_vocab},
            {"n_ctx", spec.n_ctx},
            {"tied", spec.tied},
            {"tokenizer", file.metadata.text("tokenizer.ggml.model").value_or("")},
            {"parameters", spec.parameters()},
            {"parameters_by_role", contents.parameters},
            {"weight_bytes", contents.n_bytes},
            {"weight_bytes_by_type", contents.bytes},
            {"kv", kv}};
}

std::string position(const ModelSpec& spec) {
    std::string text;
    if (spec.learned_positions) text += ", learned";
    if (spec.rope != Rope::none) {
        text += std::string(", RoPE (") + (spec.rope == Rope::pairs ? "pairs" : "halves") + ", " +
                std::to_string(spec.rope_dim) + " of " + std::to_string(spec.head_dim) + " entries, base " +
                fixed(spec.rope_base, 0);
        if (spec.rope_scaling == RopeScaling::linear) text += ", scaled by 1/" + fixed(spec.rope_factor, 2);
        if (spec.rope_scaling == RopeScaling::ntk) text += ", NTK by " + fixed(spec.rope_factor, 2);
        if (spec.rope_scaling == RopeScaling::yarn) text += ", YaRN by " + fixed(spec.rope_factor, 2);
        if (spec.rope_scaling == RopeScaling::factors) text += ", a factor each";
        text += ")";
    }
    if (spec.alibi_max_bias > 0) text += ", ALiBi (max bias " + fixed(spec.alibi_max_bias, 1) + ")";
    return text.empty() ? "none" : text.substr(2);
}

std::string norm(const ModelSpec& spec) {
    std::string text = spec.norm == Norm::rms ? "RMSNorm" : "LayerNorm";
    if (spec.branch_norm) text += spec.pre_norm ? ", before and after branches" : ", after branches";
    if (spec.post_norm) text += spec.pre_norm ? ", before branches and of sums" : ", of sums";
    if (spec.qk_norm != QkNorm::none) text += ", of q and k";
    if (spec.embedding_norm) text += ", of the embedding";
    if (spec.parallel) text += spec.parallel_norms ? ", parallel block with two norms" : ", parallel block";
    return text;
}

std::string heads(const ModelSpec& spec) {
    const auto number = [](uint64_t n) { return std::to_string(n); };
    if (spec.latent())
        return number(spec.n_heads) + " of " + number(spec.mla_key_dim) +
               ", keys and values from a latent of " + number(spec.kv_lora_rank);
    return number(spec.n_heads) + " of " + number(spec.head_dim) + ", " + number(spec.n_kv_heads) +
           " for keys and values";
}

std::string experts(const ModelSpec& spec) {
    if (spec.n_experts == 0 || spec.n_dense_layers == spec.n_layers) return "none";
    std::string text = std::to_string(spec.n_experts_used) + " of " + std::to_string(spec.n_experts) +
                       " a token, d_ff " + std::to_string(spec.d_expert);
    if (spec.d_shared) text += ", and a shared one of " + std::to_string(spec.d_shared);
    if (spec.n_dense_layers) text += ", from layer " + std::to_string(spec.n_dense_layers) + " on";
    return text;
}

std::string window(const ModelSpec& spec) {
    if (spec.window == 0) return "all";
    std::string text = std::to_string(spec.window);
    if (spec.window_period > 1) text += ", all in every layer number " + std::to_string(spec.window_period);
    return text;
}

std::string activation(const ModelSpec& spec) {
    constexpr const char* names[] = {"none", "ReLU", "GELU (tanh)", "GELU (erf)", "SiLU", "sigmoid"};
    return std::string(names[static_cast<int>(spec.activation)]) + (spec.gated ? ", gated" : "");
}

std::string describe(const ModelFile& file, const ModelSpec& spec, const Contents& contents) {
    auto number = [](uint64_t n) { return std::to_string(n); };
    std::string text = fields({
        {"file", one_line(file.path)},
        {"format", file.format},
        {"family", one_line(spec.family)},
        {"name", one_line(spec.name)},
        {"layers", number(spec.n_layers)},
        {"heads", heads(spec)},
        {"d_model", number(spec.d_model)},
        {"d_ff", number(spec.d_ff)},
        {"norm", norm(spec)},
        {"activation", activation(spec)},
        {"experts", experts(spec)},
        {"positions", position(spec)},
        {"window", window(spec)},
        {"n_ctx", number(spec.n_ctx)},
        {"vocabulary", number(spec.n_vocab) + " tokens, " +
                           one_line(file.metadata.text("tokenizer.ggml.model").value_or("no tokenizer"))},
    });

    std::vector<std::pair<std::string, std::string>> told;
    for (const auto& [key, value] : story(file)) told.emplace_back(one_line(key), one_line(to_words(value)));
    if (!told.empty()) text += "\n" + fields(told);

    std::vector<std::vector<std::string>> rows{{"parameters", number(spec.parameters())}};
    for (const auto& [role, n] : contents.parameters) rows.push_back({"  " + role, number(n)});
    rows.push_back({"attention, a layer", number(spec.attention_parameters())});
    text += "\n" + table(rows);

    rows = {{"weight bytes", number(contents.n_bytes), mebibytes(contents.n_bytes)}};
    for (const auto& [type, n] : contents.bytes) rows.push_back({"  " + type, number(n), mebibytes(n)});
    text += "\n" + table(rows);

    rows = {{"KV bytes a token", "KV heads", "f32", "f16", "q8_0", "f16 at n_ctx",
             "attention parameters a layer"}};
    for (const auto& [key, name, as] : kv_sharings(spec))
        rows.push_back(
            {name, number(as.n_kv_heads), number(as.kv_bytes_per_token(KvType::f32)),
             number(as.kv_bytes_per_token(KvType::f16)), number(as.kv_bytes_per_token(KvType::q8_0)),
             mebibytes(as.kv_bytes_per_token(KvType::f16) * spec.n_ctx), number(as.attention_parameters())});
    return text + "\n" + table(rows);
}

} // namespace

int run(const InspectOptions& options) {
    const ModelFile file = read_model(model_path(options.model));
    const ModelSpec spec = read_spec(file);
    const Contents contents = count(file);
    print(options.json ? to_text(to_json(file, spec, contents)) : describe(file, spec, contents));
    return 0;
}

} // namespace kvasir
