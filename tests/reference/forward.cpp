#include "tests/reference/forward.hpp"

#include "runtime/dtype.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace kvasir::reference {

namespace {

Values read(const ModelFile& file, const TensorNeed& need) {
    const TensorInfo* tensor = file.find(need.name);
    if (!tensor || tensor->shape != need.shape)
        throw std::logic_error("no tensor " + need.name + " of this shape");
    std::vector<float> values(tensor->n_values());
    std::vector<std::byte> storage;
    decode(tensor->dtype, in_order(*tensor, storage).data(), values.data(), values.size());
    return Values(values.begin(), values.end());
}

Values normalise(const ModelSpec& m, View x, View gamma, View beta) {
    return m.norm == Norm::layer ? layer_norm(x, gamma, beta, m.norm_eps)
                                 : rms_norm(x, gamma, beta, m.norm_eps);
}

/// The norm and linear map of one role, applied to rows.
struct Layer {
    const Model& model;
    uint32_t index;
    size_t n_ctx;

    Values norm(Role role, View x) const {
        return normalise(model.spec(), x, model.weight(role, index), model.bias(role, index));
    }
    /// RMSNorm without bias, whatever the model's norm is.
    Values rms(Role role, View x) const {
        return rms_norm(x, model.weight(role, index), {}, model.spec().norm_eps);
    }
    Values map(Role role, View x, size_t d_in) const {
        return linear(model.weight(role, index), x, model.bias(role, index), d_in);
    }
    Values rotate(View x, size_t n_heads, size_t head_dim, size_t first = 0) const {
        const ModelSpec& m = model.spec();
        if (m.rope == Rope::none) return Values(x.begin(), x.end());
        const Values theta = rope_theta(m, n_ctx, m.window_of(index) > 0);
        const double yarn = m.rope_scaling == RopeScaling::yarn ? 0.1 * std::log(m.rope_factor) + 1 : 1;
        return rope(x, {m.rope, n_heads, head_dim, m.rope_dim, 0, 1, theta, m.rope_magnitude * yarn, first},
                    0);
    }
};

/// Queries or keys normed: each head as a row with the common weights, with its own, or all heads as one row.
Values qk_norm(const Layer& layer, Role role, const Values& x, size_t n_heads) {
    const ModelSpec& m = layer.model.spec();
    if (m.qk_norm == QkNorm::none) return x;
    if (m.qk_norm != QkNorm::heads) return layer.norm(role, x);
    const View gamma = layer.model.weight(role, layer.index), beta = layer.model.bias(role, layer.index);
    Values y;
    for (size_t from = 0; from < x.size(); from += m.head_dim) {
        const size_t head = from / m.head_dim % n_heads * m.head_dim;
        const Values row = normalise(m, View(x).subspan(from, m.head_dim), gamma.subspan(head, m.head_dim),
                                     beta.empty() ? beta : beta.subspan(head, m.head_dim));
        y.insert(y.end(), row.begin(), row.end());
    }
    return y;
}

LayerTrace attend(const Layer& layer, View h, KvType kv) {
    const ModelSpec& m = layer.model.spec();
    const auto clamped = [&](Values x) {
        for (double& value : x)
            if (m.qkv_clamp > 0) value = std::min(std::max(value, -m.qkv_clamp), m.qkv_clamp);
        return x;
    };
    Values q = clamped(layer.map(Role::q, h, m.d_model));       // [n_tokens, n_heads, head_dim]
    Values k = clamped(layer.map(Role::k, h, m.d_model));       // [n_tokens, n_kv_heads, head_dim]
    const Values v = clamped(layer.map(Role::v, h, m.d_model)); // [n_tokens, n_kv_heads, head_dim]
    q = layer.rotate(qk_norm(layer, Role::q_norm, q, m.n_heads), m.n_heads, m.head_dim);
    k = layer.rotate(qk_norm(layer, Role::k_norm, k, m.n_kv_heads), m.n_kv_heads, m.head_dim);
    LayerTrace trace;
    trace.k = through_cache(k, kv, m.head_dim);
    trace.v = through_cache(v, kv, m.head_dim);
    const Values slopes = m.alibi_max_bias > 0 ? alibi_slopes(m.n_heads, m.alibi_max_bias) : Values{};
    trace.attention = attention(q, trace.k, trace.v,
                                {m.n_heads, m.n_kv_heads, m.head_dim, 0, m.window_of(layer.index), slopes,
                                 m.attention_scale, m.attention_softcap});
    return trace;
}

/// Latent attention as it was trained: keys and values of every head from the cached latent, and one rotated
/// key part for all heads. Source: DeepSeek-AI 2024 (DeepSeek-V2), eq. 37 to 46.
LayerTrace attend_latent(const Layer& layer, View h, KvType kv) {
    const ModelSpec& m = layer.model.spec();
    const size_t plain = m.mla_key_dim - m.rope_dim, rank = m.kv_lora_rank, n_tokens = h.size() / m.d_model;
    Values q = m.q_lora_rank
                   ? layer.map(Role::q_b, layer.rms(Role::q_a_norm, layer.map(Role::q_a, h, m.d_model)),
                               m.q_lora_rank)
                   : layer.map(Role::q, h, m.d_model);
    q = layer.rotate(q, m.n_heads, m.mla_key_dim, plain);
    Values cached = layer.map(Role::kv_a, h, m.d_model); // [n_tokens, kv_lora_rank + rope_dim]
    for (size_t t = 0; t < n_tokens; ++t) {
        const Values latent = layer.rms(Role::kv_a_norm, View(cached).subspan(t * m.head_dim, rank));
        std::copy(latent.begin(), latent.end(), cached.begin() + ptrdiff_t(t * m.head_dim));
    }
    LayerTrace trace;
    trace.k = through_cache(layer.rotate(cached, 1, m.head_dim, rank), kv, m.head_dim);
    Values k, v; // [n_tokens, n_heads, mla_key_dim], [n_tokens, n_heads, mla_value_dim]
    for (size_t t = 0; t < n_tokens; ++t) {
        const View row = View(trace.k).subspan(t * m.head_dim, m.head_dim), latent = row.first(rank);
        trace.v.insert(trace.v.end(), latent.begin(), latent.end());
        const Values keys = linear(layer.model.weight(Role::k_b, layer.index), latent, {}, rank);
        for (size_t head = 0; head < m.n_heads; ++head) {
            k.insert(k.end(), keys.begin() + ptrdiff_t(head * plain),
                     keys.begin() + ptrdiff_t((head + 1) * plain));
            k.insert(k.end(), row.begin() + ptrdiff_t(rank), row.end());
        }
        const Values values = linear(layer.model.weight(Role::v_b, layer.index), latent, {}, rank);
        v.insert(v.end(), values.begin(), values.end());
    }
    const Values slopes = m.alibi_max_bias > 0 ? alibi_slopes(m.n_heads, m.alibi_max_bias) : Values{};
    trace.attention = attention(q, k, v,
                                {m.n_heads, m.n_heads, m.mla_key_dim, 0, m.window_of(layer.index), slopes,
                                 m.attention_scale, m.attention_softcap, m.mla_value_dim});
    return trace;
}

/// W_down (act(W_gate h) * W_up h), or W_down act(W_up h), from matrices that may be one expert's.
Values feed(const ModelSpec& m, View gate, View up, View down, View h, View gate_bias, View up_bias,
            View down_bias) {
    const Values u = linear(up, h, up_bias, m.d_model); // [n_tokens, d_ff]
    const Values inner = m.gated ? activate_gated(m.activation, linear(gate, h, gate_bias, m.d_model), u)
                                 : activate(m.activation, u);
    return linear(down, inner, down_bias, up.size() / m.d_model); // [n_tokens, d_model]
}

Values feed_forward(const Layer& layer, View h) {
    const Model& model = layer.model;
    const ModelSpec& m = model.spec();
    const auto dense = [&](Role gate, Role up, Role down) {
        return feed(m, m.gated ? model.weight(gate, layer.index) : View{}, model.weight(up, layer.index),
                    model.weight(down, layer.index), h, model.bias(gate, layer.index),
                    model.bias(up, layer.index), model.bias(down, layer.index));
    };
    if (!m.has_experts(layer.index)) return dense(Role::gate, Role::up, Role::down);
    Values y = m.d_shared ? dense(Role::shared_gate, Role::shared_up, Role::shared_down) : Values(h.size());
    const size_t size = size_t(m.d_expert) * m.d_model;
    for (size_t t = 0; t < h.size() / m.d_model; ++t) {
        const View row = h.subspan(t * m.d_model, m.d_model);
        double shared = 1;
        if (m.shared_gate)
            shared = activate(Activation::sigmoid, layer.map(Role::shared_router, row, m.d_model))[0];
        for (size_t i = 0; i < m.d_model; ++i) y[t * m.d_model + i] *= shared;
        const Routes routes =
            route(m, layer.map(Role::router, row, m.d_model), model.bias(Role::router_bias, layer.index));
        for (size_t u = 0; u < routes.experts.size(); ++u) {
            const auto matrix = [&](Role role) {
                return model.weight(role, layer.index).subspan(routes.experts[u] * size, size);
            };
            const Values out = feed(m, m.gated ? matrix(Role::expert_gates) : View{},
                                    matrix(Role::expert_ups), matrix(Role::expert_downs), row, {}, {}, {});
            for (size_t i = 0; i < m.d_model; ++i) y[t * m.d_model + i] += routes.weights[u] * out[i];
        }
    }
    return y;
}

/// A branch's output into the residual stream, with the norms that stand behind it.
Values joined(const Layer& layer, View x, const Values& branch, Role norm) {
    const ModelSpec& m = layer.model.spec();
    const Values sum = add(x, m.branch_norm ? layer.norm(norm, branch) : branch);
    return m.post_norm ? layer.norm(norm, sum) : sum;
}

} // namespace

Model::Model(const ModelFile& file)
    : Model(file, read_spec(file), architecture_of(file, read_spec(file).family)) {}

Model::Model(const ModelFile& file, const ModelSpec& spec, const Architecture& row) : spec_(spec) {
    const size_t d_q = size_t(spec.n_heads) * spec.head_dim, d_kv = size_t(spec.n_kv_heads) * spec.head_dim;
    for (const TensorNeed& need : tensors_of(row, spec)) {
        const Values all = read(file, need);
        if (need.role == Role::qkv)
            split(need.layer, all, need.bias, {{Role::q, d_q}, {Role::k, d_kv}, {Role::v, d_kv}});
        else if (need.role == Role::up && spec.gated && row.fused_gate)
            split(need.layer, all, need.bias, {{Role::gate, spec.d_ff}, {Role::up, spec.d_ff}});
        else if (need.role == Role::kv_b)
            split_kv_b(need.layer, all);
        else
            (need.bias ? biases_ : weights_)[{need.role, need.layer}] = all;
    }
    if (!row.split_kv_b) return;
    const size_t rank = spec.kv_lora_rank, plain = spec.mla_key_dim - spec.rope_dim;
    for (uint32_t layer = 0; layer < spec.n_layers; ++layer) { // back to rows of [n_heads, plain, rank]
        Values& keys = weights_[{Role::k_b, layer}];
        const Values file_keys = keys;
        for (size_t h = 0; h < spec.n_heads; ++h)
            for (size_t i = 0; i < plain; ++i)
                for (size_t c = 0; c < rank; ++c)
                    keys[(h * plain + i) * rank + c] = file_keys[(h * rank + c) * plain + i];
    }
}

/// all is a matrix of these rows one below the other, d_model wide, or a bias of as many values.
void Model::split(uint32_t layer, const Values& all, bool bias,
                  std::initializer_list<std::pair<Role, size_t>> parts) {
    const size_t row = bias ? 1 : spec_.d_model;
    auto from = all.begin();
    for (const auto& [role, n_rows] : parts) {
        const auto to = from + ptrdiff_t(n_rows * row);
        (bias ? biases_ : weights_)[{role, layer}] = Values(from, to);
        from = to;
    }
}

/// all is, head by head, the rows of its keys and those of its values, kv_lora_rank wide.
void Model::split_kv_b(uint32_t layer, const Values& all) {
    const size_t rank = spec_.kv_lora_rank, keys = (spec_.mla_key_dim - spec_.rope_dim) * rank,
                 values = spec_.mla_value_dim * rank;
    for (size_t h = 0; h < spec_.n_heads; ++h) {
        const auto from = all.begin() + ptrdiff_t(h * (keys + values));
        auto &k = weights_[{Role::k_b, layer}], &v = weights_[{Role::v_b, layer}];
        k.insert(k.end(), from, from + ptrdiff_t(keys));
        v.insert(v.end(), from + ptrdiff_t(keys), from + ptrdiff_t(keys + values));
    }
}

View Model::bias(Role role, uint32_t layer) const {
    const auto it = biases_.find({role, layer});
    return it == biases_.end() ? View{} : View(it->second);
}

Trace forward(const Model& model, std::span<const int32_t> ids, KvType kv, size_t n_ctx) {
    const ModelSpec& m = model.spec();
    Trace trace;
    Values x = embed(model.weight(Role::token_embedding), ids, m.d_model); // [n_tokens, d_model]
    for (double& value : x) value *= m.embedding_scale;
    if (m.learned_positions) {
        if (ids.size() > m.n_ctx) throw std::logic_error("forward: more tokens than learned positions");
        x = add(x, model.weight(Role::position_embedding).first(x.size()));
    }
    const Layer once{model, 0, n_ctx};
    if (m.embedding_norm) x = once.norm(Role::embedding_norm, x);
    trace.embedding = x;
    for (uint32_t l = 0; l < m.n_layers; ++l) {
        const Layer layer{model, l, n_ctx ? n_ctx : m.n_ctx};
        const Values before = x;
        const Values h = m.pre_norm ? layer.norm(Role::attn_norm, x) : x;
        LayerTrace done = m.latent() ? attend_latent(layer, h, kv) : attend(layer, h, kv);
        const size_t d_o = done.attention.o.size() / ids.size();
        x = joined(layer, x, layer.map(Role::o, done.attention.o, d_o), Role::attn_post_norm);
        // a parallel block feeds both branches the same x, through one norm or through two
        Values u = m.parallel ? before : x;
        if (m.pre_norm) u = layer.norm(m.parallel && !m.parallel_norms ? Role::attn_norm : Role::ffn_norm, u);
        x = joined(layer, x, feed_forward(layer, u), Role::ffn_post_norm);
        done.x = x;
        trace.layers.push_back(std::move(done));
    }
    const Values h = m.final_norm ? once.norm(Role::final_norm, x) : x;
    trace.logits =
        softcap(once.map(m.tied ? Role::token_embedding : Role::head, h, m.d_model), m.logit_softcap);
    return trace;
}

} // namespace kvasir::reference
