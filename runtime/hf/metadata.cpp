#include "runtime/hf/metadata.hpp"

#include "runtime/architectures.hpp"
#include "runtime/error.hpp"
#include "runtime/rope.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace kvasir {

namespace {

/// The activations of transformers' ACT2FN that run here. "gelu_fast" and "gelu_new" are the same tanh form.
constexpr std::pair<const char*, const char*> activations[] = {
    {"gelu", "gelu_erf"},       {"gelu_new", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"},
    {"gelu_fast", "gelu_tanh"}, {"relu", "relu"},          {"silu", "silu"},
    {"swish", "silu"},          {"sigmoid", "sigmoid"},
};

/// Reads one config.json.
class Reader {
  public:
    Reader(const Config& config, const Family& family, ModelFile& file)
        : config_(config), family_(family), file_(file), row_(architecture(family.architecture).choices),
          prefix_(row_.family + ".") {}

    void run() {
        for (const auto& [key, value] : family_.expected) config_.expect(key, value);
        config_.expect("is_encoder_decoder", false);
        if (config_.has("quantization_config"))
            config_.refuse(
                "its weights are quantised (quantization_config), which is not supported in safetensors",
                "the model without quantisation, or its GGUF form");
        put("", "general.architecture", row_.family);
        read_shape();
        read_window();
        read_activation();
        if (family_.more) family_.more(config_, file_.metadata, prefix_);
        if (row_.rope != Rope::none) read_rope();
    }

  private:
    template <class T>
    void put(const std::string& prefix, const char* key, T value) {
        file_.metadata.values[prefix + key] = std::move(value);
    }
    template <class T>
    void put(const char* key, T value) {
        put(prefix_, key, std::move(value));
    }
    bool has(const char* key) const { return file_.metadata.values.contains(prefix_ + key); }

    void read_shape() {
        n_heads_ = config_.need_count({"num_attention_heads", "n_head", "n_heads"});
        d_model_ = config_.need_count({"hidden_size", "n_embd", "n_embed", "d_model"});
        n_ctx_ = config_
                     .count({"max_position_embeddings", "n_positions", "max_seq_len", "block_size",
                             "seq_length", "n_ctx"})
                     .value_or(family_.n_ctx);
        put("attention.head_count", n_heads_);
        put("embedding_length", d_model_);
        put("context_length", n_ctx_);
        put("block_count", config_.need_count({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}));
        put("vocab_size", config_.need_count({"vocab_size"}));
        auto d_ff = config_.count(family_.ff_keys);
        if (!d_ff && family_.ff_multiple > 0) d_ff = family_.ff_multiple * d_model_;
        if (d_ff) put("feed_forward_length", *d_ff);
        if (const auto n = config_.count({"num_key_value_heads"})) put("attention.head_count_kv", *n);
        if (const auto n = config_.count({"head_dim"}))
            put("attention.key_length", *n), put("attention.value_length", *n);
        const double eps =
            config_.real({"rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps", "norm_epsilon"})
                .value_or(family_.norm_eps);
        put(row_.norm == Norm::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
            eps);
    }

    /// A window on all layers or on none; Gemma 2's alternation is the family's.
    void read_window() {
        const auto window = config_.count({"sliding_window"});
        if (!window || row_.window_period > 1) return;
        const int64_t n_layers = config_.need_count({"num_hidden_layers", "n_layer"});
        bool used = config_.flag({"use_sliding_window"}).value_or(true);
        if (const auto* types = config_.find({"layer_types"});
            types && types->is_array() && !types->empty()) {
            const auto full = std::count(types->begin(), types->end(), "full_attention");
            if (full != 0 && full != static_cast<std::ptrdiff_t>(types->size()))
                config_.refuse("layer_types mixes layers with and without a window, which is not supported",
                               "a model with equal layers");
            used = full == 0;
        } else if (const auto first = config_.count({"max_window_layers"}); used && first && *first > 0) {
            if (*first < n_layers)
                config_.refuse("layers from max_window_layers " + std::to_string(*first) +
                                   " on have a window and the others have none, which is not supported",
                               "a model with equal layers");
            used = false;
        }
        if (used) put("attention.sliding_window", *window);
    }

    void read_activation() {
        const std::string name = config_.text(family_.activation_keys).value_or(family_.activation);
        const auto it = std::find_if(std::begin(activations), std::end(activations),
                                     [&](const auto& each) { return each.first == name; });
        if (it == std::end(activations))
            config_.refuse("its activation is " + kvasir::quoted(name) + ", which is not supported",
                           "a model with gelu, gelu_new, relu or silu");
        put("activation", std::string(it->second));
    }

    int64_t head_dim() const {
        if (const auto n = config_.count({"head_dim"})) return *n;
        if (n_heads_ == 0 || d_model_ % n_heads_ != 0)
            config_.refuse("d_model " + std::to_string(d_model_) + " is not divisible by " +
                               std::to_string(n_heads_) + " heads, and head_dim is not given",
                           "another copy of the model");
        return d_model_ / n_heads_;
    }

    void read_rope() {
        put("rope.layout", std::string(family_.rope_layout));
        const Config parameters = config_.object({"rope_parameters"});
        const auto base = parameters.real({"rope_theta"});
        base_ = base ? *base : config_.real({"rope_theta", "rotary_emb_base"}).value_or(family_.rope_base);
        put("rope.freq_base", base_);
        if (!has("rope.dimension_count")) {
            auto share = parameters.real({"partial_rotary_factor"});
            if (!share) share = config_.real({"partial_rotary_factor", "rotary_pct", "rope_pct"});
            const double rotated = share.value_or(family_.rotated_share) * static_cast<double>(head_dim());
            put("rope.dimension_count",
                config_.count({"rotary_dim"}).value_or(static_cast<int64_t>(rotated)));
        }
        dim_ = file_.metadata.need_integer(prefix_ + "rope.dimension_count");
        if (config_.has("rope_scaling"))
            read_scaling(config_.object({"rope_scaling"}));
        else if (config_.flag({"inference_rope_scaling"})
                     .value_or(false)) // MiniMind's code has these numbers
            read_scaling(Config({{"type", "yarn"},
                                 {"factor", 16.0},
                                 {"original_max_position_embeddings", 2048},
                                 {"attention_factor", 1.0}},
                                config_.path()));
        else
            read_scaling(parameters);
    }

    /// Source: transformers, modeling_rope_utils.py.
    void read_scaling(const Config& scaling) {
        const std::string type = scaling.text({"rope_type", "type"}).value_or("default");
        if (type == "default" || type == "mrope") return;
        const double factor = scaling.real({"factor"}).value_or(1);
        const auto original = scaling.count({"original_max_position_embeddings"});
        if (type == "linear" || type == "dynamic") {
            put("rope.scaling.type", type);
            put("rope.scaling.factor", factor);
        } else if (type == "yarn") {
            yarn(scaling, factor, original);
        } else if (type == "llama3") {
            if (!original)
                config_.refuse("rope_scaling llama3 has no original_max_position_embeddings",
                               "another copy of the model");
            put_factors("rope_freqs.weight",
                        llama3_rope_factors(
                            count32(dim_), base_, factor, scaling.real({"low_freq_factor"}).value_or(1),
                            scaling.real({"high_freq_factor"}).value_or(4), count32(*original)));
        } else if (type == "longrope" || type == "su") {
            longrope(scaling, original);
        } else {
            config_.refuse("rope_scaling is of type " + kvasir::quoted(type) + ", which is not supported",
                           "a model with linear, dynamic, yarn, llama3 or longrope");
        }
    }

    void yarn(const Config& scaling, double factor, std::optional<int64_t> original) {
        scaling.expect("truncate", true);
        put("rope.scaling.type", std::string("yarn"));
        put("rope.scaling.factor", factor);
        put("rope.scaling.original_context_length", original.value_or(n_ctx_));
        put("rope.scaling.yarn_beta_fast", scaling.real({"beta_fast"}).value_or(32));
        put("rope.scaling.yarn_beta_slow", scaling.real({"beta_slow"}).value_or(1));
        const auto magnitude = [&](double m) { return factor > 1 ? 0.1 * m * std::log(factor) + 1 : 1.0; };
        const auto mscale = scaling.real({"mscale"}), all = scaling.real({"mscale_all_dim"});
        double attention =
            mscale && all && *mscale != 0 && *all != 0 ? magnitude(*mscale) / magnitude(*all) : magnitude(1);
        if (const auto given = scaling.real({"attention_factor"})) attention = *given;
        if (has("attention.kv_lora_rank")) { // GGUF: latent attention scales scores, not cos and sin
            put("rope.scaling.attn_factor", attention);
            put("rope.scaling.yarn_log_multiplier", 0.1 * all.value_or(0));
        } else { // GGUF: on top of the paper's own factor
            put("rope.scaling.attn_factor", attention / magnitude(1));
        }
    }

    /// Phi-3's two lists of factors.
    void longrope(const Config& scaling, std::optional<int64_t> original) {
        if (row_.family != "phi3")
            config_.refuse("rope_scaling longrope is supported for phi3 only", "a model without it");
        const auto shorts = scaling.reals({"short_factor"}), longs = scaling.reals({"long_factor"});
        if (!original) original = config_.count({"original_max_position_embeddings"});
        if (!shorts || !longs || !original || *original < 2)
            config_.refuse("rope_scaling longrope is not whole: short_factor, long_factor and "
                           "original_max_position_embeddings",
                           "another copy of the model");
        put("rope.scaling.original_context_length", *original);
        put_factors("rope_factors_short.weight", *shorts);
        put_factors("rope_factors_long.weight", *longs);
        const double stretch = static_cast<double>(n_ctx_) / static_cast<double>(*original);
        const double factor =
            stretch > 1 ? std::sqrt(1 + std::log(stretch) / std::log(static_cast<double>(*original))) : 1;
        put("rope.scaling.attn_factor", scaling.real({"attention_factor"}).value_or(factor));
    }

    uint32_t count32(int64_t value) const {
        if (value > (int64_t{1} << 24))
            config_.refuse("a length of " + std::to_string(value) + " is absurd",
                           "another copy of the model");
        return static_cast<uint32_t>(value);
    }

    void put_factors(const char* name, const std::vector<double>& factors) {
        std::vector<std::byte>& bytes = file_.owned.emplace_back(factors.size() * sizeof(float));
        for (size_t i = 0; i < factors.size(); ++i) {
            const auto value = static_cast<float>(factors[i]);
            std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
        }
        file_.tensors.push_back({name, DType::f32, {factors.size()}, bytes});
    }

    const Config& config_;
    const Family& family_;
    ModelFile& file_;
    const ModelSpec& row_;
    std::string prefix_;
    int64_t n_heads_ = 0, d_model_ = 0, n_ctx_ = 0, dim_ = 0;
    double base_ = 0;
};

} // namespace

void read_config(const Config& config, const Family& family, ModelFile& file) {
    Reader(config, family, file).run();
}

} // namespace kvasir
