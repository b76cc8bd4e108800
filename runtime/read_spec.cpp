#include "runtime/architectures.hpp"
#include "runtime/error.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <utility>

namespace kvasir {

namespace {

/// Keys after "<family>." that read_spec uses, and those that change nothing.
constexpr const char* known_keys[] = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.max_alibi_bias",
    "attention.sliding_window",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "vocab_size",
};

/// Keys that change the mathematics in a way Kvasir does not run, with the value that leaves it unchanged.
constexpr std::pair<const char*, double> neutral_keys[] = {
    {"attention.clamp_kqv", 0},
    {"attention.scale", 0},
    {"attn_logit_softcapping", 0},
    {"embedding_scale", 1},
    {"expert_count", 0},
    {"expert_used_count", 0},
    {"expert_shared_count", 0},
    {"final_logit_softcapping", 0},
    {"logit_scale", 1},
    {"residual_scale", 1},
    {"rope.scaling.attn_factor", 1},
};

[[noreturn]] void refuse(const ModelFile& file, const std::string& found, const std::string& attempt) {
    throw Error("reading the shape of " + file.path, found, attempt);
}

/// Metadata of one family: keys are written without its prefix.
class Keys {
  public:
    Keys(const ModelFile& file, std::string family) : file_(file), prefix_(std::move(family) + ".") {}

    bool has(const char* key) const { return file_.metadata.values.contains(prefix_ + key); }

    /// A count that fits uint32; a per-layer array must have the same value everywhere.
    std::optional<uint32_t> count(const char* key) const {
        const std::string name = prefix_ + key;
        const auto it = file_.metadata.values.find(name);
        if (it == file_.metadata.values.end()) return std::nullopt;
        std::optional<int64_t> value;
        if (const auto* list = std::get_if<std::vector<int64_t>>(&it->second)) {
            if (list->empty())
                refuse(file_, quoted(name) + " is an empty array", "another copy of the model");
            for (const int64_t item : *list)
                if (item != list->front())
                    refuse(file_,
                           quoted(name) + " differs between layers (" + std::to_string(list->front()) +
                               " and " + std::to_string(item) + "), which is not supported yet",
                           "a model with equal layers");
            value = list->front();
        } else {
            value = file_.metadata.integer(name);
        }
        if (*value < 0 || *value > UINT32_MAX)
            refuse(file_, quoted(name) + " is " + std::to_string(*value) + ", not a 32-bit count",
                   "another copy of the model");
        return static_cast<uint32_t>(*value);
    }

    uint32_t need_count(const char* key) const {
        const auto value = count(key);
        if (!value) absent(key);
        return *value;
    }

    std::optional<double> real(const char* key) const { return file_.metadata.real(prefix_ + key); }

    double need_real(const char* key) const {
        const auto value = real(key);
        if (!value) absent(key);
        return *value;
    }

    std::optional<std::string> text(const char* key) const { return file_.metadata.text(prefix_ + key); }

    /// Refuses every key of the family that is not understood.
    void check_all_known() const {
        for (const auto& [name, value] : file_.metadata.values) {
            if (!name.starts_with(prefix_)) continue;
            const std::string_view key = std::string_view(name).substr(prefix_.size());
            if (std::find(std::begin(known_keys), std::end(known_keys), key) != std::end(known_keys))
                continue;
            if (key == "attention.causal") {
                if (file_.metadata.flag(name) == true) continue;
                refuse(file_, quoted(name) + " is false: each token sees later ones",
                       "a model that generates text");
            }
            const auto neutral = std::find_if(std::begin(neutral_keys), std::end(neutral_keys),
                                              [&](const auto& row) { return row.first == key; });
            if (neutral == std::end(neutral_keys))
                refuse(file_, "metadata key " + quoted(name) + " is unknown, and could change the result",
                       "a model that does not need it");
            if (const double number = *file_.metadata.real(name); number != neutral->second)
                refuse(file_, quoted(name) + " is " + shown(number) + ", which is not supported yet",
                       "a model that does not use it");
        }
    }

  private:
    [[noreturn]] void absent(const char* key) const {
        refuse(file_, "metadata key " + quoted(prefix_ + key) + " is missing", "converting the model again");
    }

    const ModelFile& file_;
    std::string prefix_;
};

/// Refuses GGUF files that are not one whole model.
void check_kind(const ModelFile& file) {
    const auto parts = file.metadata.integer("split.count").value_or(1);
    if (parts > 1)
        refuse(file,
               "it is part " + std::to_string(file.metadata.integer("split.no").value_or(0) + 1) + " of " +
                   std::to_string(parts) + " of a model, and parts are not supported yet",
               "joining them first with llama.cpp's llama-gguf-split --merge");
    const std::string type = file.metadata.text("general.type").value_or("model");
    if (type != "model")
        refuse(file, "it is of type " + quoted(type) + ", not a model", "the model's own file");
    if (file.tensors.empty())
        refuse(file, "it has no tensors, only metadata and a vocabulary", "a file with weights");
}

void read_rope(const ModelFile& file, const Keys& keys, ModelSpec& spec) {
    if (file.find("rope_freqs.weight"))
        refuse(file, "it has rope_freqs.weight, RoPE factors for each frequency (Llama 3), not supported yet",
               "a model with plain or linearly scaled RoPE");
    spec.rope_dim = keys.count("rope.dimension_count").value_or(spec.head_dim);
    spec.rope_base = keys.real("rope.freq_base").value_or(10000);
    const auto factor =
        keys.has("rope.scaling.factor") ? keys.real("rope.scaling.factor") : keys.real("rope.scale_linear");
    const std::string type = keys.text("rope.scaling.type").value_or(factor ? "linear" : "none");
    if (type != "none" && type != "linear")
        refuse(file, "RoPE scaling " + quoted(type) + " is not supported yet",
               "a model with plain or linearly scaled RoPE");
    // A factor of 0 stands for "not scaled" in older files, 1 is the same by arithmetic.
    if (type == "none" || !factor || *factor == 0 || *factor == 1) return;
    spec.rope_scaling = RopeScaling::linear;
    spec.rope_factor = *factor;
}

uint32_t read_n_vocab(const ModelFile& file, const Keys& keys) {
    const auto* tokens = file.metadata.texts("tokenizer.ggml.tokens");
    const auto stated = keys.count("vocab_size");
    if (!tokens) return keys.need_count("vocab_size");
    if (stated && *stated != tokens->size())
        refuse(file,
               "vocab_size is " + std::to_string(*stated) + ", and the vocabulary has " +
                   std::to_string(tokens->size()) + " tokens",
               "converting the model again");
    return static_cast<uint32_t>(std::min<size_t>(tokens->size(), UINT32_MAX));
}

uint32_t read_head_dim(const ModelFile& file, const Keys& keys, const ModelSpec& spec) {
    const auto key_length = keys.count("attention.key_length"),
               value_length = keys.count("attention.value_length");
    if (!key_length && (spec.n_heads == 0 || spec.d_model % spec.n_heads != 0))
        refuse(file,
               "embedding_length " + std::to_string(spec.d_model) + " is not divisible by head_count " +
                   std::to_string(spec.n_heads) + ", and attention.key_length is not given",
               "converting the model again");
    const uint32_t head_dim = key_length ? *key_length : spec.d_model / spec.n_heads;
    if (value_length && *value_length != head_dim)
        refuse(file,
               "heads have keys of length " + std::to_string(head_dim) + " and values of length " +
                   std::to_string(*value_length) + ", which is not supported yet",
               "a model where both are equal");
    return head_dim;
}

/// Biases, a head of its own and q/k norms are there where their tensors are; check_tensors then wants all of
/// them.
void read_open_choices(const ModelFile& file, const Architecture& row, ModelSpec& spec) {
    const auto has = [&](Role role, bool bias) {
        return file.find(tensor_name(row, role, 0, bias)) != nullptr;
    };
    spec.tied = !has(Role::head, false);
    spec.qkv_bias = has(row.fused_qkv ? Role::qkv : Role::q, true);
    spec.o_bias = has(Role::o, true);
    spec.ffn_bias = has(Role::up, true);
}

std::string shape_text(const std::vector<uint64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

} // namespace

ModelSpec read_spec(const ModelFile& file) {
    check_kind(file); // first, because the later parts of a split model do not even name their family
    const std::string family = file.metadata.need_text("general.architecture");
    const Architecture& row = architecture(family);
    const Keys keys(file, family);
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
    spec.head_dim = read_head_dim(file, keys, spec);
    spec.norm_eps = keys.need_real(spec.norm == Norm::rms ? "attention.layer_norm_rms_epsilon"
                                                          : "attention.layer_norm_epsilon");
    spec.window = keys.count("attention.sliding_window").value_or(0);
    spec.alibi_max_bias = keys.real("attention.max_alibi_bias").value_or(spec.alibi_max_bias);
    if (spec.rope != Rope::none) read_rope(file, keys, spec);
    read_open_choices(file, row, spec);
    spec.validate();
    return spec;
}

void check_tensors(const ModelFile& file, const ModelSpec& spec) {
    std::unordered_map<std::string_view, const TensorInfo*> unused;
    for (const TensorInfo& tensor : file.tensors) unused.emplace(tensor.name, &tensor);
    for (const TensorNeed& need : tensors_of(architecture(spec.family), spec)) {
        const auto it = unused.find(need.name);
        if (it == unused.end())
            refuse(file, "tensor " + need.name + " " + shape_text(need.shape) + " is missing",
                   "converting the model again");
        if (it->second->shape != need.shape)
            refuse(file,
                   "tensor " + need.name + " is expected as " + shape_text(need.shape) + ", and found as " +
                       shape_text(it->second->shape),
                   "converting the model again");
        unused.erase(it);
    }
    // In the file's order, so that the message does not depend on hashing.
    for (const TensorInfo& tensor : file.tensors)
        if (unused.contains(tensor.name))
            refuse(file,
                   "tensor " + quoted(tensor.name) + " " + shape_text(tensor.shape) + " is not part of a " +
                       spec.family + " model as it is run here, and would change the result",
                   "a model without it");
}

} // namespace kvasir
