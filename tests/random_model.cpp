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

void add_keys(GgufWriter& writer, const ModelSpec& spec) {
    const std::string prefix = spec.family + ".";
    writer.add_text("general.architecture", spec.family);
    writer.add_text("general.name", spec.name);
    writer.add_u32(prefix + "block_count", spec.n_layers);
    writer.add_u32(prefix + "context_length", spec.n_ctx);
    writer.add_u32(prefix + "embedding_length", spec.d_model);
    writer.add_u32(prefix + "feed_forward_length", spec.d_ff);
    writer.add_u32(prefix + "attention.head_count", spec.n_heads);
    writer.add_u32(prefix + "attention.head_count_kv", spec.n_kv_heads);
    writer.add_u32(prefix + "attention.key_length", spec.head_dim);
    writer.add_u32(prefix + "attention.value_length", spec.head_dim);
    writer.add_u32(prefix + "vocab_size", spec.n_vocab);
    writer.add_f32(prefix + (spec.norm == Norm::rms ? "attention.layer_norm_rms_epsilon"
                                                    : "attention.layer_norm_epsilon"),
                   static_cast<float>(spec.norm_eps));
    if (spec.window > 0) writer.add_u32(prefix + "attention.sliding_window", spec.window);
    if (spec.alibi_max_bias > 0)
        writer.add_f32(prefix + "attention.max_alibi_bias", static_cast<float>(spec.alibi_max_bias));
    if (spec.rope == Rope::none) return;
    writer.add_u32(prefix + "rope.dimension_count", spec.rope_dim);
    writer.add_f32(prefix + "rope.freq_base", static_cast<float>(spec.rope_base));
    if (spec.rope_scaling == RopeScaling::none) return;
    writer.add_text(prefix + "rope.scaling.type", "linear");
    writer.add_f32(prefix + "rope.scaling.factor", static_cast<float>(spec.rope_factor));
}

} // namespace

GgufWriter random_model(const ModelSpec& spec, DType dtype, uint64_t seed) {
    GgufWriter writer;
    add_keys(writer, spec);
    Random random{seed};
    std::vector<float> values;
    for (const TensorNeed& need : tensors_of(architecture(spec.family), spec)) {
        const bool matrix = need.shape.size() > 1;
        const uint64_t n = matrix ? need.shape[0] * need.shape[1] : need.shape[0];
        const float scale = matrix ? 1 / std::sqrt(static_cast<float>(need.shape[1])) : 0.1f;
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
    else if (kind == "llama110m")
        set(32000, 768, 12, 12, 12, 2048, 2048, 10000, true);
    else if (kind == "tiny")
        set(288, 64, 2, 4, 2, 96, 256, 10000, false);
    else
        throw Error("making a model of kind " + quoted(kind), "there is none",
                    "minimind26m, llama110m or tiny");
    return spec;
}

} // namespace kvasir
