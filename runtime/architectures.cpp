#include "runtime/architectures.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace kvasir {

namespace {

/// Source: GGUF specification, "Standardized tensor names".
constexpr RoleName gguf_names[] = {
    {Role::token_embedding, "token_embd"},
    {Role::position_embedding, "position_embd"},
    {Role::embedding_norm, "token_embd_norm"},
    {Role::final_norm, "output_norm"},
    {Role::head, "output"},
    {Role::attn_norm, "blk.%.attn_norm"},
    {Role::qkv, "blk.%.attn_qkv"},
    {Role::q, "blk.%.attn_q"},
    {Role::k, "blk.%.attn_k"},
    {Role::v, "blk.%.attn_v"},
    {Role::q_norm, "blk.%.attn_q_norm"},
    {Role::k_norm, "blk.%.attn_k_norm"},
    {Role::o, "blk.%.attn_output"},
    {Role::ffn_norm, "blk.%.ffn_norm"},
    {Role::gate, "blk.%.ffn_gate"},
    {Role::up, "blk.%.ffn_up"},
    {Role::down, "blk.%.ffn_down"},
};

const Architecture table[] = {
    // Converters permute the rows of Q and K, so that in GGUF the rotated partners are neighbours.
    {.choices = {.family = "llama",
                 .rope = Rope::pairs,
                 .norm = Norm::rms,
                 .activation = Activation::silu,
                 .gated = true},
     .names = gguf_names},
};

/// Appends the tensors of a model one after another.
struct Needs {
    const Architecture& row;
    std::vector<TensorNeed> list;

    void add(Role role, uint32_t layer, bool with_bias, std::vector<uint64_t> shape) {
        const uint64_t rows = shape.front();
        list.push_back({role, layer, false, tensor_name(row, role, layer), std::move(shape)});
        if (with_bias) list.push_back({role, layer, true, tensor_name(row, role, layer, true), {rows}});
    }
};

} // namespace

const Architecture& architecture(const std::string& family) {
    std::string names;
    for (const Architecture& row : table) {
        if (row.choices.family == family) return row;
        names += (names.empty() ? "" : ", ") + row.choices.family;
    }
    throw Error("running a model of the family " + quoted(family), "it is not supported",
                "one of these: " + names);
}

std::string tensor_name(const Architecture& row, Role role, uint32_t layer, bool bias) {
    const auto it =
        std::find_if(row.names.begin(), row.names.end(), [&](const RoleName& n) { return n.role == role; });
    assert(it != row.names.end());
    std::string name = it->pattern;
    if (const size_t at = name.find('%'); at != std::string::npos) name.replace(at, 1, std::to_string(layer));
    return name + (bias ? ".bias" : ".weight");
}

std::vector<TensorNeed> tensors_of(const Architecture& row, const ModelSpec& spec) {
    const uint64_t d_model = spec.d_model, d_ff = spec.d_ff, head_dim = spec.head_dim;
    const uint64_t d_q = head_dim * spec.n_heads, d_kv = head_dim * spec.n_kv_heads;
    Needs needs{row, {}};
    needs.add(Role::token_embedding, 0, false, {spec.n_vocab, d_model});
    if (spec.learned_positions) needs.add(Role::position_embedding, 0, false, {spec.n_ctx, d_model});
    if (spec.embedding_norm) needs.add(Role::embedding_norm, 0, spec.norm_bias, {d_model});
    for (uint32_t layer = 0; layer < spec.n_layers; ++layer) {
        needs.add(Role::attn_norm, layer, spec.norm_bias, {d_model});
        if (row.fused_qkv) {
            needs.add(Role::qkv, layer, spec.qkv_bias, {d_q + 2 * d_kv, d_model});
        } else {
            needs.add(Role::q, layer, spec.qkv_bias, {d_q, d_model});
            needs.add(Role::k, layer, spec.qkv_bias, {d_kv, d_model});
            needs.add(Role::v, layer, spec.qkv_bias, {d_kv, d_model});
        }
        if (spec.qk_norm) {
            needs.add(Role::q_norm, layer, false, {head_dim});
            needs.add(Role::k_norm, layer, false, {head_dim});
        }
        needs.add(Role::o, layer, spec.o_bias, {d_model, d_q});
        if (!spec.parallel) needs.add(Role::ffn_norm, layer, spec.norm_bias, {d_model});
        if (spec.gated) needs.add(Role::gate, layer, spec.ffn_bias, {d_ff, d_model});
        needs.add(Role::up, layer, spec.ffn_bias, {d_ff, d_model});
        needs.add(Role::down, layer, spec.ffn_bias, {d_model, d_ff});
    }
    needs.add(Role::final_norm, 0, spec.norm_bias, {d_model});
    if (!spec.tied) needs.add(Role::head, 0, false, {spec.n_vocab, d_model});
    return std::move(needs.list);
}

} // namespace kvasir
