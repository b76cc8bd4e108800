#include "tests/random_model.hpp"

#include "runtime/architectures.hpp"
#include "runtime/error.hpp"

#include <cmath>

namespace kvasir {

namespace {

/// splitmix64: the same numbers on every machine. Source: Steele, Lea, Flood 2014.
struct Random {
    uint64_t state;

    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    /// Uniform with mean 0 and standard deviation 1.
    float centred() {
        const double unit = static_cast<double>(next() >> 11) * 0x1p-53; // 0 to 1
        return static_cast<float>((2 * unit - 1) * std::sqrt(3.0));
    }
};

/// Keys of one family, written without its prefix.
struct FamilyWriter {
    GgufWriter& to;
    std::string prefix;

    void count(const char* key, uint32_t value) { to.add_u32(prefix + key, value); }
    void real(const char* key, double value) { to.add_f32(prefix + key, static_cast<float>(value)); }
    void flag(const char* key, bool value) { to.add_bool(prefix + key, value); }
    void text(const char* key, const std::string& value) { to.add_text(prefix + key, value); }
};

void add_rope(FamilyWriter& keys, const ModelSpec& m) {
    keys.count("rope.dimension_count", m.rope_dim);
    keys.real("rope.freq_base", m.rope_base);
    if (m.rope_scaling == RopeScaling::linear || m.rope_scaling == RopeScaling::yarn) {
        keys.text("rope.scaling.type", m.rope_scaling == RopeScaling::linear ? "linear" : "yarn");
        keys.real("rope.scaling.factor", m.rope_factor);
    }
    if (m.rope_original_ctx) keys.count("rope.scaling.original_context_length", m.rope_original_ctx);
    if (m.rope_magnitude != 1 && !m.latent()) keys.real("rope.scaling.attn_factor", m.rope_magnitude);
}

void add_experts(FamilyWriter& keys, const ModelSpec& m) {
    keys.count("expert_count", m.n_experts);
    keys.count("expert_used_count", m.n_experts_used);
    keys.count("expert_feed_forward_length", m.d_expert);
    if (m.n_dense_layers) keys.count("leading_dense_block_count", m.n_dense_layers);
    if (m.d_shared && m.shared_gate) keys.count("expert_shared_feed_forward_length", m.d_shared);
    if (m.d_shared && !m.shared_gate) keys.count("expert_shared_count", m.d_shared / m.d_expert);
    keys.flag("expert_weights_norm", m.router_norm);
    keys.real("expert_weights_scale", m.router_scale);
    keys.count("expert_gating_func", m.router == Router::sigmoid ? 2 : 1);
}

void add_keys(GgufWriter& writer, const ModelSpec& m) {
    writer.add_text("general.architecture", m.family);
    writer.add_text("general.name", m.name);
    FamilyWriter keys{writer, m.family + "."};
    keys.count("block_count", m.n_layers);
    keys.count("context_length", m.n_ctx);
    keys.count("embedding_length", m.d_model);
    keys.count("feed_forward_length", m.d_ff);
    keys.count("attention.head_count", m.n_heads);
    keys.count("attention.head_count_kv", m.n_kv_heads);
    keys.count("attention.key_length", m.head_dim);
    keys.count("attention.value_length", m.value_dim());
    if (m.latent()) {
        keys.count("attention.kv_lora_rank", m.kv_lora_rank);
        if (m.q_lora_rank) keys.count("attention.q_lora_rank", m.q_lora_rank);
        keys.count("attention.key_length_mla", m.mla_key_dim);
        keys.count("attention.value_length_mla", m.mla_value_dim);
    }
    keys.count("vocab_size", m.n_vocab);
    keys.real(m.norm == Norm::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
              m.norm_eps);
    if (m.window > 0) keys.count("attention.sliding_window", m.window);
    if (m.alibi_max_bias > 0) keys.real("attention.max_alibi_bias", m.alibi_max_bias);
    if (m.qkv_clamp > 0) keys.real("attention.clamp_kqv", m.qkv_clamp);
    if (m.attention_softcap > 0) keys.real("attn_logit_softcapping", m.attention_softcap);
    if (m.logit_softcap > 0) keys.real("final_logit_softcapping", m.logit_softcap);
    if (m.attention_scale > 0 && !m.latent()) keys.real("attention.scale", m.attention_scale);
    if (architecture(m.family).parallel == ParallelSign::key) keys.flag("use_parallel_residual", m.parallel);
    if (m.rope != Rope::none) add_rope(keys, m);
    if (m.n_experts) add_experts(keys, m);
}

/// RoPE's factors are a choice of the model, not weights.
const std::vector<double>* stated_values(const ModelSpec& m, Role role) {
    return role == Role::rope_factors        ? &m.rope_factors
           : role == Role::rope_long_factors ? &m.rope_long_factors
                                             : nullptr;
}

} // namespace

GgufWriter random_model(const ModelSpec& spec, DType dtype, uint64_t seed) {
    return random_model(spec, dtype, seed, architecture(spec.family));
}

GgufWriter random_model(const ModelSpec& spec, DType dtype, uint64_t seed, const Architecture& row) {
    GgufWriter writer;
    add_keys(writer, spec);
    Random random{seed};
    std::vector<float> values;
    for (const TensorNeed& need : tensors_of(row, spec)) {
        if (const auto* stated = stated_values(spec, need.role)) {
            values.assign(stated->begin(), stated->end());
            writer.add_tensor(need.name, need.shape, DType::f32, values);
            continue;
        }
        const bool matrix = need.shape.size() > 1;
        uint64_t n = 1;
        for (const uint64_t axis : need.shape) n *= axis;
        const float scale = matrix ? 1 / std::sqrt(static_cast<float>(need.shape.back())) : 0.1f;
        const float mean = matrix || need.bias ? 0.0f : 1.0f;
        values.resize(n);
        for (float& value : values) value = mean + scale * random.centred();
        writer.add_tensor(need.name, need.shape, matrix ? dtype : DType::f32, values);
    }
    return writer;
}

ModelSpec model_shape(const std::string& kind) {
    ModelSpec spec = architecture("llama").choices;
    spec.name = kind;
    const auto set = [&](uint32_t n_vocab, uint32_t d_model, uint32_t n_layers, uint32_t n_heads,
                         uint32_t n_kv_heads, uint32_t d_ff, uint32_t n_ctx, double rope_base, bool tied) {
        spec.n_vocab = n_vocab;
        spec.d_model = d_model;
        spec.n_layers = n_layers;
        spec.n_heads = n_heads;
        spec.n_kv_heads = n_kv_heads;
        spec.head_dim = spec.rope_dim = d_model / n_heads;
        spec.d_ff = d_ff;
        spec.n_ctx = n_ctx;
        spec.rope_base = rope_base;
        spec.tied = tied;
    };
    if (kind == "minimind26m")
        set(6400, 512, 8, 8, 2, 1408, 32768, 1e6, true);
    else if (kind == "experts78m") {
        set(6400, 512, 8, 8, 2, 1408, 32768, 1e6, true);
        spec.n_experts = 4, spec.n_experts_used = 2, spec.d_expert = 1408;
    } else if (kind == "llama110m")
        set(32000, 768, 12, 12, 12, 2048, 2048, 10000, true);
    else if (kind == "tiny")
        set(288, 64, 2, 4, 2, 96, 256, 10000, false);
    else
        throw Error("making a model of kind " + quoted(kind), "there is none",
                    "minimind26m, experts78m, llama110m or tiny");
    return spec;
}

} // namespace kvasir
