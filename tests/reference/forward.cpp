#include "tests/reference/forward.hpp"

#include "runtime/dtype.hpp"

#include <stdexcept>

namespace kvasir::reference {

namespace {

Values read(const ModelFile& file, const TensorNeed& need) {
    const TensorInfo* tensor = file.find(need.name);
    if (!tensor || tensor->shape != need.shape)
        throw std::logic_error("no tensor " + need.name + " of this shape");
    std::vector<float> values(tensor->n_values());
    decode(tensor->dtype, tensor->data.data(), values.data(), values.size());
    return Values(values.begin(), values.end());
}

Values normalise(const ModelSpec& m, View x, View gamma, View beta) {
    return m.norm == Norm::layer ? layer_norm(x, gamma, beta, m.norm_eps)
                                 : rms_norm(x, gamma, beta, m.norm_eps);
}

/// The norm, linear map and position of one role, applied to rows.
struct Layer {
    const Model& model;
    uint32_t index;

    Values norm(Role role, View x) const {
        return normalise(model.spec(), x, model.weight(role, index), model.bias(role, index));
    }
    Values map(Role role, View x, size_t d_in) const {
        return linear(model.weight(role, index), x, model.bias(role, index), d_in);
    }
};

LayerTrace attend(const Layer& layer, View h, KvType kv) {
    const ModelSpec& m = layer.model.spec();
    Values q = layer.map(Role::q, h, m.d_model); // [n_tokens, n_heads, head_dim]
    Values k = layer.map(Role::k, h, m.d_model); // [n_tokens, n_kv_heads, head_dim]
    Values v = layer.map(Role::v, h, m.d_model); // [n_tokens, n_kv_heads, head_dim]
    if (m.qk_norm) {
        q = layer.norm(Role::q_norm, q); // each head is a row
        k = layer.norm(Role::k_norm, k);
    }
    if (m.rope != Rope::none) {
        q = rope(q, {m.rope, m.n_heads, m.head_dim, m.rope_dim, m.rope_base, m.rope_factor}, 0);
        k = rope(k, {m.rope, m.n_kv_heads, m.head_dim, m.rope_dim, m.rope_base, m.rope_factor}, 0);
    }
    LayerTrace trace;
    trace.k = through_cache(k, kv, m.head_dim);
    trace.v = through_cache(v, kv, m.head_dim);
    const Values slopes = m.alibi_max_bias > 0 ? alibi_slopes(m.n_heads, m.alibi_max_bias) : Values{};
    trace.attention =
        attention(q, trace.k, trace.v, {m.n_heads, m.n_kv_heads, m.head_dim, 0, m.window, slopes});
    return trace;
}

Values feed_forward(const Layer& layer, View h) {
    const ModelSpec& m = layer.model.spec();
    const Values up = layer.map(Role::up, h, m.d_model); // [n_tokens, d_ff]
    const Values inner = m.gated ? activate_gated(m.activation, layer.map(Role::gate, h, m.d_model), up)
                                 : activate(m.activation, up);
    return layer.map(Role::down, inner, m.d_ff); // [n_tokens, d_model]
}

} // namespace

Model::Model(const ModelFile& file)
    : Model(file, read_spec(file), architecture(file.metadata.need_text("general.architecture"))) {}

Model::Model(const ModelFile& file, const ModelSpec& spec, const Architecture& row) : spec_(spec) {
    for (const TensorNeed& need : tensors_of(row, spec)) {
        if (need.role == Role::qkv)
            split_qkv(need.layer, read(file, need), need.bias);
        else
            (need.bias ? biases_ : weights_)[{need.role, need.layer}] = read(file, need);
    }
}

/// all is [q; k; v] by rows: `[(n_heads + 2 n_kv_heads) head_dim, d_model]`, or the bias of as many values.
void Model::split_qkv(uint32_t layer, Values all, bool bias) {
    auto& target = bias ? biases_ : weights_;
    const size_t row = bias ? 1 : spec_.d_model;
    const size_t q = size_t(spec_.n_heads) * spec_.head_dim * row,
                 kv = size_t(spec_.n_kv_heads) * spec_.head_dim * row;
    const auto part = [&](size_t first, size_t n) {
        return Values(all.begin() + ptrdiff_t(first), all.begin() + ptrdiff_t(first + n));
    };
    target[{Role::q, layer}] = part(0, q);
    target[{Role::k, layer}] = part(q, kv);
    target[{Role::v, layer}] = part(q + kv, kv);
}

View Model::bias(Role role, uint32_t layer) const {
    const auto it = biases_.find({role, layer});
    return it == biases_.end() ? View{} : View(it->second);
}

Trace forward(const Model& model, std::span<const int32_t> ids, KvType kv) {
    const ModelSpec& m = model.spec();
    Trace trace;
    Values x = embed(model.weight(Role::token_embedding), ids, m.d_model); // [n_tokens, d_model]
    if (m.learned_positions) {
        if (ids.size() > m.n_ctx) throw std::logic_error("forward: more tokens than learned positions");
        x = add(x, model.weight(Role::position_embedding).first(x.size()));
    }
    if (m.embedding_norm) x = Layer{model, 0}.norm(Role::embedding_norm, x);
    trace.embedding = x;
    for (uint32_t l = 0; l < m.n_layers; ++l) {
        const Layer layer{model, l};
        Values h = layer.norm(Role::attn_norm, x);
        LayerTrace done = attend(layer, h, kv);
        x = add(x, layer.map(Role::o, done.attention.o, size_t(m.n_heads) * m.head_dim));
        if (!m.parallel) h = layer.norm(Role::ffn_norm, x); // a parallel block feeds both branches the same h
        x = add(x, feed_forward(layer, h));
        done.x = x;
        trace.layers.push_back(std::move(done));
    }
    const Values h = Layer{model, 0}.norm(Role::final_norm, x);
    trace.logits = Layer{model, 0}.map(m.tied ? Role::token_embedding : Role::head, h, m.d_model);
    return trace;
}

} // namespace kvasir::reference
