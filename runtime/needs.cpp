#include "runtime/needs.hpp"

#include "runtime/architectures.hpp"
#include "runtime/forward.hpp"
#include "runtime/kv_cache.hpp"
#include "runtime/pack.hpp"
#include "runtime/state.hpp"

#include <algorithm>

namespace kvasir {
namespace {

/// As Buffer rounds.
uint64_t buffer(uint64_t bytes) {
    return (std::max<uint64_t>(bytes, 16) + 15) / 16 * 16;
}

uint64_t matrices(DType dtype, uint64_t n_matrices, uint64_t n_rows, uint64_t d_in) {
    const auto width = static_cast<uint32_t>(d_in);
    const uint64_t tiles = n_matrices * tiles_of(static_cast<uint32_t>(n_rows));
    return tiles * packed_tile_bytes(dtype, width) + buffer(tiles * packed_scale_bytes(dtype, width));
}

uint64_t weights_of(const ModelFile& file, const ModelSpec& m) {
    uint64_t sum = 0;
    for (const TensorNeed& need : tensors_of(architecture_of(file, m.family), m)) {
        const TensorInfo* tensor = file.find(need.name);
        if (!tensor || need.role == Role::rope_factors || need.role == Role::rope_long_factors) continue;
        const bool latent = need.role == Role::kv_b || need.role == Role::k_b || need.role == Role::v_b;
        const bool floats = need.bias || need.role == Role::position_embedding || need.role == Role::q_norm ||
                            need.role == Role::k_norm ||
                            (need.shape.size() == 1 && need.role != Role::shared_router);
        if (need.role == Role::kv_b || need.role == Role::k_b)
            sum += matrices(DType::f32, m.n_heads, m.head_dim, m.mla_key_dim) +
                   matrices(DType::f32, m.n_heads, m.mla_value_dim, m.kv_lora_rank);
        else if (floats)
            sum += buffer(tensor->n_values() * sizeof(float));
        else if (!latent)
            sum +=
                matrices(tensor->dtype, need.shape.size() == 3 ? need.shape[0] : 1,
                         need.shape.size() == 1 ? 1 : need.shape[need.shape.size() - 2], need.shape.back());
    }
    return sum;
}

struct Sum {
    uint64_t total = 0, largest = 0;

    void add(uint64_t bytes) {
        total += buffer(bytes);
        largest = std::max(largest, buffer(bytes));
    }
    void rows(uint64_t n_tokens, uint64_t width) {
        add(n_tokens * padded(static_cast<uint32_t>(width)) * sizeof(float));
    }
};

/// As make_scratch allocates.
Sum scratch_of(const ModelSpec& m, const Tuning& tuning, uint32_t n_ctx) {
    const uint64_t n = std::min(tuning.chunk, n_ctx);
    Sum sum;
    for (const uint64_t width :
         {m.d_model, m.d_model, m.qkv_heads() * m.head_dim, m.n_heads * m.head_dim, m.d_ff})
        sum.rows(n, width);
    sum.rows(n + (m.latent() ? 1 : 0), m.n_heads * m.value_dim());
    sum.rows(1, m.n_vocab);
    if (m.alibi_max_bias > 0) sum.add(m.n_heads * sizeof(float));
    sum.add(n * m.n_heads * 8); // (max, sum) a row of attention
    if (const uint64_t splits = attention_splits(tuning, n_ctx); splits > 1) {
        sum.add(splits * m.n_heads * m.value_dim() * 4);
        sum.add(splits * m.n_heads * 8);
    }
    if (m.branch_norm) sum.rows(n, m.d_model);
    if (m.latent()) {
        if (m.q_lora_rank) sum.rows(n, m.q_lora_rank);
        sum.rows(n + 1, m.n_heads * m.mla_key_dim);
        sum.rows(n, m.n_heads * m.mla_value_dim);
    }
    if (m.n_experts) {
        for (const uint64_t width : {m.n_experts, m.n_experts_used, m.n_experts_used * padded(m.d_expert),
                                     m.n_experts_used * m.d_model, m.d_shared})
            if (width) sum.rows(n, width);
        sum.add(n * m.n_experts_used * 4);
        if (m.shared_gate) sum.rows(n, m.d_model), sum.rows(n, 1);
    }
    const uint64_t angles = uint64_t(n_ctx) * m.rope_dim / 2 * 8;
    if (m.rope != Rope::none) sum.add(angles);
    if (m.rope != Rope::none && m.window_rope_base > 0) sum.add(angles);
    sum.add((uint64_t(n_ctx) + 1) * 4); // ids
    sum.add(uint64_t(m.n_vocab) * 4);   // penalised logits
    sum.add(sizeof(State));
    sum.add(16);
    return sum;
}

} // namespace

uint32_t default_context(const ModelSpec& m) {
    return std::min(m.n_ctx, 4096u);
}

MemoryNeeds memory_needs(const ModelFile& file, const ModelSpec& m, const Tuning& tuning, uint32_t n_ctx,
                         KvType kv) {
    const Sum scratch = scratch_of(m, tuning, n_ctx);
    const KvLayerBytes layer = kv_layer_bytes(m, kv, n_ctx);
    MemoryNeeds needs;
    needs.weights = weights_of(file, m);
    needs.kv = m.n_layers * (buffer(layer.k) + buffer(layer.v) + buffer(layer.scales)) +
               buffer(uint64_t(PageTable::pages_for(n_ctx)) * 4);
    needs.scratch = scratch.total;
    needs.largest = std::max({scratch.largest, layer.k, layer.scales});
    return needs;
}

uint32_t longest_context(const ModelFile& file, const ModelSpec& m, const Tuning& tuning, KvType kv,
                         uint64_t memory, uint64_t max_binding) {
    const uint64_t weights = weights_of(file, m);
    const auto fits = [&](uint32_t n_ctx) {
        const MemoryNeeds needs = memory_needs(file, m, tuning, n_ctx, kv);
        return needs.total() <= memory && needs.largest <= max_binding;
    };
    if (weights > memory) return 0;
    uint32_t least = 0, most = m.n_ctx; // `least` fits
    while (least < most) {
        const uint32_t middle = least + (most - least + 1) / 2;
        if (fits(middle))
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

} // namespace kvasir
