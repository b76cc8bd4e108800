#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "runtime/error.hpp"
#include "runtime/kv_sharing.hpp"
#include "runtime/model.hpp"
#include "runtime/needs.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <optional>

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

/// The contexts that needs are told for: what a session takes unasked, and the trained length.
std::vector<uint32_t> contexts(const ModelSpec& spec) {
    if (default_context(spec) == spec.n_ctx) return {spec.n_ctx};
    return {default_context(spec), spec.n_ctx};
}

bool fits(const MemoryNeeds& needs, const DeviceInfo& device) {
    return needs.total() <= device.memory && needs.largest <= device.max_binding;
}

/// What a file is, whether it runs, and what it would need where.
struct Findings {
    const ModelFile& file;
    Contents contents;
    std::optional<ModelSpec> spec; ///< where the file states a shape that is run
    std::string refusal;           ///< why it does not run; empty: it does
    std::vector<DeviceInfo> devices{};
    std::string no_devices{}; ///< why there are none

    explicit Findings(const ModelFile& file_);

    /// The device that a command would choose; null where there is none.
    const DeviceInfo* device() const {
        for (const DeviceInfo& each : devices)
            if (each.chosen) return &each;
        return nullptr;
    }
    Tuning tuning() const {
        return tuning_for(
            {.software = device() && device()->type == "software", .subgroup_arithmetic = false});
    }
    std::string text(const char* key) const {
        try {
            return file.metadata.text(key).value_or("");
        } catch (const Error&) { // some other kind of value
            return "";
        }
    }
};

Findings::Findings(const ModelFile& file_) : file(file_), contents(count(file_)) {
    try {
        spec = read_spec(file);
        check_tensors(file, *spec);
        Tokenizer tokenizer(file.metadata);
    } catch (const Error& error) {
        refusal = error.what();
    }
    if (!refusal.empty()) return;
    try {
        devices = list_devices();
    } catch (const Error& error) {
        no_devices = error.what();
    }
    if (!device() && no_devices.empty())
        no_devices = "no device of this machine can be used; `kvasir devices` says why";
}

nlohmann::json kv_to_json(const ModelSpec& spec) {
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
    return kv;
}

nlohmann::json needs_to_json(const Findings& found) {
    nlohmann::json json;
    for (const uint32_t n_ctx : contexts(*found.spec))
        for (KvType type : kv_types) {
            const MemoryNeeds needs = memory_needs(found.file, *found.spec, found.tuning(), n_ctx, type);
            nlohmann::json row{{"n_ctx", n_ctx}, {"kv_type", kvasir::name(type)}, {"weights", needs.weights},
                               {"kv", needs.kv}, {"scratch", needs.scratch},      {"total", needs.total()}};
            if (const DeviceInfo* device = found.device()) row["fits"] = fits(needs, *device);
            json.push_back(row);
        }
    return json;
}

nlohmann::json to_json(const Findings& found) {
    nlohmann::json told = nlohmann::json::object();
    for (const auto& [key, value] : story(found.file)) told[key] = to_json(value);
    nlohmann::json json{{"path", found.file.path},
                        {"format", found.file.format},
                        {"general", told},
                        {"family", found.text("general.architecture")},
                        {"name", found.text("general.name")},
                        {"tokenizer", found.text("tokenizer.ggml.model")},
                        {"tensors", found.file.tensors.size()},
                        {"runs", found.refusal.empty()},
                        {"parameters_by_role", found.contents.parameters},
                        {"weight_bytes", found.contents.n_bytes},
                        {"weight_bytes_by_type", found.contents.bytes}};
    if (!found.refusal.empty()) json["refusal"] = found.refusal;
    if (found.spec) {
        const ModelSpec& spec = *found.spec;
        json.update({{"family", spec.family},
                     {"n_layers", spec.n_layers},
                     {"n_heads", spec.n_heads},
                     {"n_kv_heads", spec.n_kv_heads},
                     {"head_dim", spec.head_dim},
                     {"d_model", spec.d_model},
                     {"d_ff", spec.d_ff},
                     {"n_vocab", spec.n_vocab},
                     {"n_ctx", spec.n_ctx},
                     {"tied", spec.tied},
                     {"parameters", spec.parameters()},
                     {"kv", kv_to_json(spec)}});
    }
    if (!found.refusal.empty()) return json;
    json["needs"] = needs_to_json(found);
    if (const DeviceInfo* device = found.device())
        json["device"] = {
            {"name", device->name}, {"memory", device->memory}, {"max_binding", device->max_binding}};
    return json;
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

std::string weight_table(const Contents& contents) {
    std::vector<std::vector<std::string>> rows{
        {"weight bytes", std::to_string(contents.n_bytes), mebibytes(contents.n_bytes)}};
    for (const auto& [type, n] : contents.bytes)
        rows.push_back({"  " + type, std::to_string(n), mebibytes(n)});
    return table(rows);
}

std::string describe_needs(const Findings& found) {
    const ModelSpec& spec = *found.spec;
    const DeviceInfo* device = found.device();
    std::vector<std::vector<std::string>> rows{{"needs", "weights", "KV cache", "scratch", "together", ""}};
    for (const uint32_t n_ctx : contexts(spec))
        for (KvType type : kv_types) {
            const MemoryNeeds needs = memory_needs(found.file, spec, found.tuning(), n_ctx, type);
            std::string verdict;
            if (device && needs.largest > device->max_binding)
                verdict = "a layer's keys exceed one binding";
            else if (device)
                verdict = fits(needs, *device) ? "fits" : "too much";
            rows.push_back({"--context " + std::to_string(n_ctx) + " --kv " + kvasir::name(type),
                            mebibytes(needs.weights), mebibytes(needs.kv), mebibytes(needs.scratch),
                            mebibytes(needs.total()), verdict});
        }
    const std::string needs = table(rows);
    if (!device) return needs + "device  none: " + found.no_devices + "\n";
    const uint32_t most =
        longest_context(found.file, spec, found.tuning(), KvType::f16, device->memory, device->max_binding);
    return needs + "device  " + one_line(device->name) + ": " + mebibytes(device->memory) +
           " of memory, bindings of " + mebibytes(device->max_binding) + "; " +
           (most ? "a context of up to " + std::to_string(most) + " fits with --kv f16"
                 : "the model does not fit") +
           "\n";
}

/// What is known of a file that does not run.
std::string describe_refused(const Findings& found) {
    const auto known = [&](const char* key) { return one_line(found.text(key)); };
    std::string text = fields({{"file", one_line(found.file.path)},
                               {"format", found.file.format},
                               {"family", known("general.architecture")},
                               {"name", known("general.name")},
                               {"tokenizer", known("tokenizer.ggml.model")},
                               {"tensors", std::to_string(found.file.tensors.size())},
                               {"runs", "no"}});
    return text + "\n" + weight_table(found.contents);
}

std::string describe(const Findings& found) {
    const ModelFile& file = found.file;
    const ModelSpec& spec = *found.spec;
    const Contents& contents = found.contents;
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
        {"runs", "yes"},
    });

    std::vector<std::pair<std::string, std::string>> told;
    for (const auto& [key, value] : story(file)) told.emplace_back(one_line(key), one_line(to_words(value)));
    if (!told.empty()) text += "\n" + fields(told);

    std::vector<std::vector<std::string>> rows{{"parameters", number(spec.parameters())}};
    for (const auto& [role, n] : contents.parameters) rows.push_back({"  " + role, number(n)});
    rows.push_back({"attention, a layer", number(spec.attention_parameters())});
    text += "\n" + table(rows);

    text += "\n" + weight_table(contents);

    rows = {{"KV bytes a token", "KV heads", "f32", "f16", "q8_0", "f16 at n_ctx",
             "attention parameters a layer"}};
    for (const auto& [key, name, as] : kv_sharings(spec))
        rows.push_back(
            {name, number(as.n_kv_heads), number(as.kv_bytes_per_token(KvType::f32)),
             number(as.kv_bytes_per_token(KvType::f16)), number(as.kv_bytes_per_token(KvType::q8_0)),
             mebibytes(as.kv_bytes_per_token(KvType::f16) * spec.n_ctx), number(as.attention_parameters())});
    return text + "\n" + table(rows) + "\n" + describe_needs(found);
}

} // namespace

int run(const InspectOptions& options) {
    const ModelFile file = read_model(model_path(options.model));
    const Findings found(file);
    if (options.json)
        print(to_text(to_json(found)));
    else
        print(found.refusal.empty() ? describe(found) : describe_refused(found));
    if (found.refusal.empty()) return 0;
    notice("kvasir: " + one_line(found.refusal));
    return 1;
}

} // namespace kvasir
