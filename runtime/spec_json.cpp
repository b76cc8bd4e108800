#include "runtime/spec_json.hpp"

#include "runtime/architectures.hpp"
#include "runtime/error.hpp"
#include "runtime/file/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

namespace kvasir {
namespace {

template <class Enum>
using Names = std::initializer_list<std::pair<const char*, Enum>>;

Names<Rope> names_of(Rope) {
    static constexpr Names<Rope> names = {
        {"none", Rope::none}, {"halves", Rope::halves}, {"pairs", Rope::pairs}};
    return names;
}
Names<Norm> names_of(Norm) {
    static constexpr Names<Norm> names = {{"layer", Norm::layer}, {"rms", Norm::rms}};
    return names;
}
Names<Activation> names_of(Activation) {
    static constexpr Names<Activation> names = {
        {"none", Activation::none},         {"relu", Activation::relu}, {"gelu_tanh", Activation::gelu_tanh},
        {"gelu_erf", Activation::gelu_erf}, {"silu", Activation::silu}, {"sigmoid", Activation::sigmoid}};
    return names;
}
Names<RopeScaling> names_of(RopeScaling) {
    static constexpr Names<RopeScaling> names = {
        {"none", RopeScaling::none}, {"linear", RopeScaling::linear},
        {"ntk", RopeScaling::ntk},   {"dynamic", RopeScaling::dynamic},
        {"yarn", RopeScaling::yarn}, {"factors", RopeScaling::factors}};
    return names;
}
Names<QkNorm> names_of(QkNorm) {
    static constexpr Names<QkNorm> names = {
        {"none", QkNorm::none}, {"head", QkNorm::head}, {"heads", QkNorm::heads}, {"row", QkNorm::row}};
    return names;
}
Names<Router> names_of(Router) {
    static constexpr Names<Router> names = {{"softmax", Router::softmax}, {"sigmoid", Router::sigmoid}};
    return names;
}

/// visit(name, field) for every field of a shape.
template <class Spec, class Visit>
void each_size(Spec& m, Visit&& visit) {
    visit("n_layers", m.n_layers);
    visit("n_heads", m.n_heads);
    visit("n_kv_heads", m.n_kv_heads);
    visit("head_dim", m.head_dim);
    visit("d_model", m.d_model);
    visit("d_ff", m.d_ff);
    visit("n_vocab", m.n_vocab);
    visit("n_ctx", m.n_ctx);
    visit("kv_lora_rank", m.kv_lora_rank);
    visit("q_lora_rank", m.q_lora_rank);
    visit("mla_key_dim", m.mla_key_dim);
    visit("mla_value_dim", m.mla_value_dim);
    visit("n_experts", m.n_experts);
    visit("n_experts_used", m.n_experts_used);
    visit("n_dense_layers", m.n_dense_layers);
    visit("d_expert", m.d_expert);
    visit("d_shared", m.d_shared);
}
template <class Spec, class Visit>
void each_position(Spec& m, Visit&& visit) {
    visit("learned_positions", m.learned_positions);
    visit("rope", m.rope);
    visit("rope_dim", m.rope_dim);
    visit("rope_base", m.rope_base);
    visit("rope_scaling", m.rope_scaling);
    visit("rope_factor", m.rope_factor);
    visit("rope_original_ctx", m.rope_original_ctx);
    visit("rope_magnitude", m.rope_magnitude);
    visit("rope_beta_fast", m.rope_beta_fast);
    visit("rope_beta_slow", m.rope_beta_slow);
    visit("rope_factors", m.rope_factors);
    visit("rope_long_factors", m.rope_long_factors);
    visit("window_rope_base", m.window_rope_base);
    visit("alibi_max_bias", m.alibi_max_bias);
    visit("window", m.window);
    visit("window_period", m.window_period);
}
template <class Spec, class Visit>
void each_choice(Spec& m, Visit&& visit) {
    visit("norm", m.norm);
    visit("norm_eps", m.norm_eps);
    visit("norm_bias", m.norm_bias);
    visit("embedding_norm", m.embedding_norm);
    visit("pre_norm", m.pre_norm);
    visit("branch_norm", m.branch_norm);
    visit("post_norm", m.post_norm);
    visit("final_norm", m.final_norm);
    visit("activation", m.activation);
    visit("gated", m.gated);
    visit("parallel", m.parallel);
    visit("parallel_norms", m.parallel_norms);
    visit("qk_norm", m.qk_norm);
    visit("qk_norm_bias", m.qk_norm_bias);
    visit("qkv_bias", m.qkv_bias);
    visit("o_bias", m.o_bias);
    visit("ffn_bias", m.ffn_bias);
    visit("head_bias", m.head_bias);
    visit("tied", m.tied);
    visit("embedding_scale", m.embedding_scale);
    visit("qkv_clamp", m.qkv_clamp);
    visit("attention_scale", m.attention_scale);
    visit("attention_softcap", m.attention_softcap);
    visit("logit_softcap", m.logit_softcap);
    visit("shared_gate", m.shared_gate);
    visit("router", m.router);
    visit("router_bias", m.router_bias);
    visit("router_norm", m.router_norm);
    visit("router_scale", m.router_scale);
}
template <class Spec, class Visit>
void each_field(Spec& m, Visit&& visit) {
    visit("family", m.family);
    visit("name", m.name);
    each_size(m, visit);
    each_position(m, visit);
    each_choice(m, visit);
}

struct Refusal {
    const std::string& path;

    [[noreturn]] void operator()(const std::string& found, const std::string& attempt) const {
        throw Error("reading a model's shape from " + path, found, attempt);
    }
};

/// Takes fields out of an object, remembering which it knows.
struct Reader {
    const nlohmann::json& json;
    const Refusal refuse;
    std::set<std::string> known{};

    template <class T>
    void operator()(const char* name, T& field) {
        known.insert(name);
        if (const auto it = json.find(name); it != json.end()) read(name, *it, field);
    }

    [[noreturn]] void wrong(const char* name, const nlohmann::json& value, const char* wanted) const {
        refuse(quoted(name) + " is " + value.dump().substr(0, 60) + ", not " + wanted,
               "a value of that kind");
    }
    void read(const char* name, const nlohmann::json& value, std::string& field) const {
        if (!value.is_string()) wrong(name, value, "a text");
        field = value.get<std::string>();
    }
    void read(const char* name, const nlohmann::json& value, bool& field) const {
        if (!value.is_boolean()) wrong(name, value, "true or false");
        field = value.get<bool>();
    }
    void read(const char* name, const nlohmann::json& value, uint32_t& field) const {
        const bool negative =
            !value.is_number_unsigned() && value.is_number_integer() && value.get<int64_t>() < 0;
        if (!value.is_number_integer() || negative || value.get<uint64_t>() > UINT32_MAX)
            wrong(name, value, "a count of at most 32 bits");
        field = value.get<uint32_t>();
    }
    void read(const char* name, const nlohmann::json& value, double& field) const {
        if (!value.is_number()) wrong(name, value, "a number");
        field = value.get<double>();
    }
    void read(const char* name, const nlohmann::json& value, std::vector<double>& field) const {
        if (!value.is_array()) wrong(name, value, "an array of numbers");
        for (const auto& each : value) read(name, each, field.emplace_back());
    }
    template <class Enum>
    requires std::is_enum_v<Enum>
    void read(const char* name, const nlohmann::json& value, Enum& field) const {
        std::string all;
        for (const auto& [text, enumerator] : names_of(field)) {
            if (value == text) {
                field = enumerator;
                return;
            }
            all += (all.empty() ? "" : ", ") + std::string(text);
        }
        refuse(quoted(name) + " is " + value.dump().substr(0, 60), "one of " + all);
    }
};

/// Puts fields into an object.
struct Writer {
    nlohmann::json& json;

    template <class T>
    void operator()(const char* name, const T& field) {
        if constexpr (std::is_enum_v<T>) {
            for (const auto& [text, enumerator] : names_of(field))
                if (enumerator == field) json[name] = text;
        } else {
            json[name] = field;
        }
    }
};

/// What follows from other sizes.
void fill_in(const nlohmann::json& json, const Refusal& refuse, ModelSpec& m) {
    if (!json.contains("family")) m.family = stated_family;
    if (!json.contains("n_kv_heads")) m.n_kv_heads = m.latent() ? 1 : m.n_heads;
    if (!json.contains("head_dim") && m.latent() && m.rope_dim <= UINT32_MAX - m.kv_lora_rank)
        m.head_dim = m.kv_lora_rank + m.rope_dim;
    if (!json.contains("head_dim") && !m.latent()) {
        if (m.n_heads == 0 || m.d_model % m.n_heads != 0)
            refuse("d_model " + std::to_string(m.d_model) + " is not divisible by n_heads " +
                       std::to_string(m.n_heads) + ", and head_dim is not given",
                   "stating head_dim");
        m.head_dim = m.d_model / m.n_heads;
    }
    if (!json.contains("rope_dim") && m.rope != Rope::none && !m.latent()) m.rope_dim = m.head_dim;
}

} // namespace

ModelSpec spec_from_json(const nlohmann::json& json, const std::string& path) {
    const Refusal refuse{path};
    if (!json.is_object())
        refuse("it is " + json.dump().substr(0, 60) + ", not an object", "an object of fields");
    ModelSpec m;
    Reader reader{json, refuse};
    each_field(m, reader);
    for (const auto& [name, value] : json.items())
        if (!reader.known.contains(name))
            refuse("field " + kvasir::quoted(name) + " is unknown, and could change the result",
                   "leaving it out");
    fill_in(json, refuse, m);
    m.validate();
    return m;
}

ModelSpec spec_from_text(const std::string& text, const std::string& path) {
    return spec_from_json(parse_json(text, path), path);
}

nlohmann::json spec_to_json(const ModelSpec& spec) {
    nlohmann::json json;
    each_field(spec, Writer{json});
    return json;
}

} // namespace kvasir
