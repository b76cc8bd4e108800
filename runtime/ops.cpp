#include "runtime/ops.hpp"

#include "runtime/ops_dispatch.hpp"
#include "runtime/pack.hpp"
#include "shaders/push.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <string>

namespace kvasir {
namespace {

using ops::groups_of;
using ops::or_none;

/// n workgroups as (x, y), because an axis may hold only 65535.
std::array<uint32_t, 3> folded(uint32_t n, uint32_t most) {
    const uint32_t y = groups_of(n, most);
    return {groups_of(n, y), y, 1};
}

/// The end of a kernel's name for this type: "_q4_0".
std::string suffix(DType dtype) {
    std::string text = "_";
    for (const char* letter = info(dtype).name; *letter; ++letter)
        text += static_cast<char>(*letter >= 'A' && *letter <= 'Z' ? *letter - 'A' + 'a' : *letter);
    return text;
}

const char* suffix(KvType type) {
    switch (type) {
    case KvType::f32: return "_f32";
    case KvType::f16: return "_f16";
    case KvType::q8_0: return "_q8_0";
    }
    return "";
}

std::string reducing(const Step& step, const std::string& stem) {
    return stem + (step.tuning.subgroup ? "_subgroup" : "");
}

/// Whether a workgroup of this size is known to be one subgroup, so that it needs no barrier.
uint32_t one_subgroup(const Step& step, uint32_t workgroup) {
    return step.tuning.subgroup && workgroup == step.tuning.subgroup_size;
}

std::string shape(uint32_t rows, uint32_t columns) {
    return " [" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

} // namespace

Rows make_rows(Device& device, uint32_t n_tokens, uint32_t width, const std::string& name) {
    const uint32_t stride = padded(width);
    return {Buffer(device, uint64_t(n_tokens) * stride * sizeof(float), Memory::device, name), width, stride};
}

namespace ops {

void embed(const Step& step, const Rows& x, const Linear& table, const Buffer& position_embedding,
           const Buffer& ids, double scale) {
    assert(x.width == table.d_in);
    const uint32_t workgroup = step.tuning.plain_workgroup;
    for (const LinearPart& part : table.parts) {
        const uint32_t n_chunks = padded(table.d_in) / chunk_values;
        const uint32_t n_strips = strips_of(part.dtype, table.d_in);
        const uint64_t row_bytes =
            (packed_tile_bytes(part.dtype, table.d_in) + packed_scale_bytes(part.dtype, table.d_in)) /
            tile_rows;
        const push::Embed push{table.d_in,
                               n_chunks,
                               x.stride,
                               part.first_row,
                               part.n_rows,
                               step.n_tokens,
                               position_embedding ? 1u : 0u,
                               static_cast<float>(scale)};
        const std::array<const Buffer*, 6> buffers{
            &part.weights, &or_none(step, part.scales), &or_none(step, position_embedding), &ids, &step.state,
            &x.buffer};
        step.gpu.dispatch(step.gpu.device().pipeline(std::string("embed") + suffix(part.dtype), {workgroup}),
                          buffers, push, {groups_of(n_strips, workgroup), step.n_tokens, 1}, "embed",
                          {0, step.n_tokens * (row_bytes + x.width * 4)});
    }
}

namespace {

void dispatch_norm(const Step& step, const Rows& y, const Rows& x, const NormWeights& w, Norm kind,
                   const push::Norm& push, const char* label, bool add = false) {
    const uint32_t workgroup = step.tuning.row_workgroup;
    const std::array<const Buffer*, 4> buffers{&x.buffer, &w.gamma, &or_none(step, w.beta), &y.buffer};
    const auto& pipeline = step.gpu.device().pipeline(
        reducing(step, "norm"),
        {workgroup, one_subgroup(step, workgroup), kind == Norm::rms, static_cast<bool>(w.beta), add});
    step.gpu.dispatch(pipeline, buffers, push, folded(push.n_rows, step.gpu.device().traits().max_groups),
                      label, {3.0 * push.n_rows * push.width, uint64_t(push.n_rows) * push.width * 8});
}

} // namespace

void norm(const Step& step, const Rows& y, const Rows& x, const NormWeights& w, Norm kind, double eps,
          bool add) {
    assert(x.width == w.width && y.width == w.width);
    dispatch_norm(step, y, x, w, kind,
                  {w.width, 1, x.stride, 0, 0, y.stride, 0, 0, step.n_tokens, static_cast<float>(eps), 0},
                  "norm", add);
}

void norm_part(const Step& step, const Rows& x, const NormWeights& w, Norm kind, double eps, uint32_t first) {
    assert(first + w.width <= x.width);
    dispatch_norm(
        step, x, x, w, kind,
        {w.width, 1, x.stride, first, 0, x.stride, first, 0, step.n_tokens, static_cast<float>(eps), 0},
        "norm");
}

void norm_heads(const Step& step, const Rows& x, const NormWeights& w, Norm kind, double eps, uint32_t first,
                uint32_t n_heads, uint32_t head_dim) {
    assert((w.width == head_dim || w.width == n_heads * head_dim) && (first + n_heads) * head_dim <= x.width);
    dispatch_norm(step, x, x, w, kind,
                  {head_dim, n_heads, x.stride, first * head_dim, head_dim, x.stride, first * head_dim,
                   head_dim, step.n_tokens * n_heads, static_cast<float>(eps),
                   w.width == head_dim ? 0 : head_dim},
                  "norm heads");
}

/// As linear, of the parts alone.
static void linear_parts(const Step& step, const Rows& y, const Linear& w, const Rows& x,
                         const LinearOptions& options) {
    assert(x.width == w.d_in && options.first + w.d_out <= y.width && x.stride == padded(w.d_in));
    assert(w.n_matrices == 1);
    const Tuning& t = step.tuning;
    const uint32_t n_tokens = options.last_token ? 1 : step.n_tokens;
    const uint32_t columns = n_tokens == 1 ? 1 : t.columns; // two variants to compile, whatever lengths come
    const uint32_t workgroup = columns == 1 ? t.token_workgroup : t.lanes;
    const uint32_t halves = w.gated ? 2 : 1;
    bool first_part = true;
    for (const LinearPart& part : w.parts) {
        const uint32_t n_tiles = tiles_of(part.n_rows), tiles = w.gated ? 2 : columns == 1 ? 1 : t.tiles;
        const uint32_t tile_groups = groups_of(n_tiles, w.gated ? 1 : tiles);
        const auto tile_grid = folded(tile_groups, step.gpu.device().traits().max_groups);
        const push::Linear push{padded(w.d_in) / chunk_values,
                                w.d_out,
                                part.n_rows,
                                part.first_row,
                                n_tiles,
                                n_tokens,
                                x.stride,
                                options.last_token ? step.n_tokens - 1 : 0,
                                y.stride,
                                options.first};
        const std::vector<uint32_t> constants{workgroup,
                                              t.lanes,
                                              tiles,
                                              columns,
                                              static_cast<uint32_t>(options.activation),
                                              w.gated,
                                              static_cast<bool>(w.bias),
                                              options.multiply ? 2u : options.add};
        const std::array<const Buffer*, 5> buffers{&part.weights, &or_none(step, part.scales), &x.buffer,
                                                   &or_none(step, w.bias), &y.buffer};
        const double macs = double(part.n_rows) * halves * w.d_in * n_tokens;
        const uint64_t bytes = part.weights.size() + part.scales.size() +
                               uint64_t(n_tokens) * (x.width + uint64_t(part.n_rows)) * 4;
        if (!first_part) step.gpu.overlap(); // parts write different rows
        first_part = false;
        step.gpu.dispatch(step.gpu.device().pipeline(std::string("linear") + suffix(part.dtype), constants),
                          buffers, push, {groups_of(n_tokens, columns), tile_grid[0], tile_grid[1]},
                          std::string("linear ") + info(part.dtype).name +
                              shape(part.n_rows * halves, w.d_in),
                          {macs, bytes});
    }
}

void linear(const Step& step, const Rows& y, const Linear& w, const Rows& x, const LinearOptions& options) {
    if (w.gate) { // of a type of its own
        assert(!options.add);
        linear_parts(step, y, *w.gate, x, options);
        return linear_parts(step, y, w, x,
                            {.multiply = true, .last_token = options.last_token, .first = options.first});
    }
    linear_parts(step, y, w, x, options);
}

/// As linear_stack, of the parts alone.
static void linear_stack_parts(const Step& step, const Rows& y, const Linear& w, const Rows& x,
                               const StackOptions& options) {
    const uint32_t n_slots = options.n_slots;
    assert(x.stride % 4 == 0 && options.x_slot % 4 == 0 &&
           options.x_slot * (n_slots - 1) + w.d_in <= x.width);
    assert(options.y_slot * (n_slots - 1) + w.d_out <= y.width &&
           (options.chosen || n_slots == w.n_matrices));
    const Tuning& t = step.tuning;
    const uint32_t columns = options.chosen || step.n_tokens == 1 ? 1 : t.columns;
    const uint32_t workgroup = columns == 1 ? t.token_workgroup : t.lanes;
    const uint32_t tiles = w.gated ? 2 : columns == 1 ? 1 : t.tiles;
    bool first_part = true;
    for (const LinearPart& part : w.parts) {
        const uint32_t n_tiles = tiles_of(part.n_rows);
        push::Linear push{padded(w.d_in) / chunk_values,
                          w.d_out,
                          part.n_rows,
                          part.first_row,
                          n_tiles,
                          step.n_tokens,
                          x.stride,
                          0,
                          y.stride};
        push.n_slots = n_slots, push.x_slot = options.x_slot, push.y_slot = options.y_slot;
        push.first_matrix = part.first_matrix, push.n_matrices = part.n_matrices;
        const std::vector<uint32_t> constants{workgroup,
                                              t.lanes,
                                              tiles,
                                              columns,
                                              static_cast<uint32_t>(options.activation),
                                              w.gated,
                                              false,
                                              options.multiply ? 2u : 0u,
                                              options.chosen != nullptr};
        const std::array<const Buffer*, 6> buffers{
            &part.weights, &or_none(step, part.scales),
            &x.buffer,     &step.none,
            &y.buffer,     options.chosen ? options.chosen : &step.none};
        const double share = options.chosen ? double(part.n_matrices) / w.n_matrices : 1;
        const double macs =
            double(part.n_rows) * (w.gated ? 2 : 1) * w.d_in * step.n_tokens * n_slots * share;
        const auto read = static_cast<uint64_t>(macs * info(part.dtype).block_bytes / info(part.dtype).block);
        if (!first_part) step.gpu.overlap(); // parts write different rows or slots
        first_part = false;
        step.gpu.dispatch(
            step.gpu.device().pipeline(std::string("linear_stack") + suffix(part.dtype), constants), buffers,
            push, {groups_of(step.n_tokens, columns), groups_of(n_tiles, w.gated ? 1 : tiles), n_slots},
            std::string("linear ") + info(part.dtype).name + " x" + std::to_string(n_slots) +
                shape(part.n_rows * (w.gated ? 2 : 1), w.d_in),
            {macs, std::min(read, part.weights.size() + part.scales.size()) +
                       step.n_tokens * n_slots * (w.d_in + part.n_rows) * uint64_t{4}});
    }
}

void linear_stack(const Step& step, const Rows& y, const Linear& w, const Rows& x,
                  const StackOptions& options) {
    if (!w.gate) return linear_stack_parts(step, y, w, x, options);
    linear_stack_parts(step, y, *w.gate, x, options);
    StackOptions up = options;
    up.activation = Activation::none, up.multiply = true;
    linear_stack_parts(step, y, w, x, up);
}

void rope_store(const Step& step, const Rows& q, const Rows& qkv, const Buffer& angles, const KvCache& cache,
                uint32_t layer, const ModelSpec& m) {
    assert(qkv.width == m.qkv_heads() * m.head_dim && q.width == m.n_heads * m.head_dim);
    const uint32_t workgroup = step.tuning.plain_workgroup;
    const uint32_t group = cache.type() == KvType::f32 ? 4 : cache.type() == KvType::f16 ? 8 : 64;
    const push::RopeStore push{step.n_tokens,
                               m.n_heads,
                               m.n_kv_heads,
                               m.head_dim,
                               qkv.stride,
                               q.stride,
                               m.rope == Rope::none ? 0 : m.rope_dim,
                               m.kv_lora_rank,
                               m.qkv_heads()};
    const std::array<const Buffer*, 8> buffers{
        &qkv.buffer, &or_none(step, angles), &cache.page_table(), &step.state,
        &q.buffer,   &cache.k(layer),        &cache.v(layer),     &cache.scales(layer)};
    const auto& pipeline = step.gpu.device().pipeline(std::string("rope_store") + suffix(cache.type()),
                                                      {workgroup, m.head_dim, m.rope == Rope::halves});
    const uint32_t items = m.qkv_heads() * groups_of(m.head_dim, group);
    step.gpu.dispatch(pipeline, buffers, push, {groups_of(items, workgroup), step.n_tokens, 1}, "rope, store",
                      {2.0 * step.n_tokens * qkv.width, uint64_t(step.n_tokens) * qkv.width * 8});
}

void attention(const Step& step, const Rows& o, const AttentionScratch& scratch, const Rows& q,
               const KvCache& cache, uint32_t layer, const ModelSpec& m, uint32_t n_splits) {
    assert(q.width == m.n_heads * m.head_dim && o.width == m.n_heads * m.value_dim());
    assert((n_splits == 1 || step.n_tokens == 1));
    const bool by_position = step.n_tokens == 1;
    const uint32_t workgroup = by_position ? step.tuning.keys_workgroup : step.tuning.rows_workgroup;
    const uint32_t rows = step.n_tokens * (m.n_heads / m.n_kv_heads); // of one KV head
    const push::Attention push{step.n_tokens,
                               m.n_heads,
                               m.n_kv_heads,
                               q.stride,
                               o.stride,
                               m.window_of(layer),
                               static_cast<float>(m.score_scale()),
                               n_splits,
                               static_cast<float>(m.attention_softcap)};
    const bool split = n_splits > 1;
    const std::array<const Buffer*, 9> buffers{&q.buffer,
                                               &cache.k(layer),
                                               &cache.v(layer),
                                               &cache.scales(layer),
                                               &cache.page_table(),
                                               &step.state,
                                               &or_none(step, scratch.slopes),
                                               split ? &scratch.parts : &o.buffer,
                                               split ? &scratch.part_stats : &scratch.stats};
    const auto& pipeline = step.gpu.device().pipeline(
        reducing(step, std::string("attention") + suffix(cache.type())),
        {workgroup, one_subgroup(step, workgroup), m.head_dim, by_position, static_cast<bool>(scratch.slopes),
         m.attention_softcap > 0, m.value_dim(), m.latent()});
    const uint64_t v_bytes = m.latent() ? 0 : cache.v(layer).size();
    const uint64_t key_bytes = (cache.k(layer).size() + v_bytes + cache.scales(layer).size()) /
                               (cache.table.table().size() * PageTable::page_size);
    // A recorded step does not know its position: half the cache, for the bound on its time.
    const double macs =
        2.0 * step.n_tokens * m.n_heads * m.head_dim * cache.table.table().size() * PageTable::page_size / 2;
    step.gpu.dispatch(pipeline, buffers, push,
                      {by_position ? rows : groups_of(rows, workgroup), m.n_kv_heads, n_splits}, "attention",
                      {macs, uint64_t(step.n_tokens) * q.width * 8, key_bytes});
    if (!split) return;
    const uint32_t merge_workgroup = step.tuning.plain_workgroup;
    const push::AttentionMerge merge{m.n_heads, m.n_heads, m.value_dim(), o.stride, n_splits};
    const std::array<const Buffer*, 4> merged{&scratch.parts, &scratch.part_stats, &o.buffer, &scratch.stats};
    step.gpu.dispatch(step.gpu.device().pipeline("attention_merge", {merge_workgroup}), merged, merge,
                      {groups_of(o.width, merge_workgroup), 1, 1}, "attention merge",
                      {double(o.width) * n_splits, uint64_t(o.width) * n_splits * 4});
}

void attention_probs(const Step& step, const Buffer& probs, const AttentionScratch& scratch, const Rows& q,
                     const KvCache& cache, uint32_t layer, const ModelSpec& m, uint32_t n_keys) {
    const uint32_t workgroup = step.tuning.keys_workgroup, keys = step.tuning.probe_keys;
    const uint32_t group = m.n_heads / m.n_kv_heads;
    uint32_t heads = std::clamp(step.tuning.probe_values / m.head_dim, 1u, group);
    while (group % heads) --heads;
    const push::AttentionProbs push{step.n_tokens,
                                    m.n_heads,
                                    m.n_kv_heads,
                                    q.stride,
                                    m.window_of(layer),
                                    static_cast<float>(m.score_scale()),
                                    n_keys,
                                    static_cast<float>(m.attention_softcap)};
    const std::array<const Buffer*, 8> buffers{
        &q.buffer,           &cache.k(layer), &cache.scales(layer),
        &cache.page_table(), &step.state,     &or_none(step, scratch.slopes),
        &scratch.stats,      &probs};
    const auto& pipeline = step.gpu.device().pipeline(
        std::string("attention_probs") + suffix(cache.type()),
        {workgroup, m.head_dim, static_cast<bool>(scratch.slopes), m.attention_softcap > 0, heads, keys});
    const double macs = double(step.n_tokens) * m.n_heads * n_keys * m.head_dim;
    step.gpu.dispatch(pipeline, buffers, push,
                      {groups_of(n_keys, workgroup * keys), m.n_heads / heads, step.n_tokens}, "probe",
                      {macs, uint64_t(step.n_tokens) * m.n_heads * n_keys * 4});
}

void kv_norms(const Step& step, const Buffer& norms, const KvCache& cache, uint32_t layer, const ModelSpec& m,
              uint32_t n_keys) {
    const uint32_t workgroup = step.tuning.plain_workgroup;
    const push::KvNorms push{m.n_kv_heads, n_keys};
    const std::array<const Buffer*, 5> buffers{&cache.k(layer), &cache.v(layer), &cache.scales(layer),
                                               &cache.page_table(), &norms};
    step.gpu.dispatch(
        step.gpu.device().pipeline(std::string("kv_norms") + suffix(cache.type()),
                                   {workgroup, m.head_dim, m.value_dim(), m.latent()}),
        buffers, push, {groups_of(n_keys, workgroup), m.n_kv_heads, 1}, "kv norms",
        {2.0 * n_keys * m.n_kv_heads * m.head_dim, cache.k(layer).size() + cache.v(layer).size()});
}

void sample(const Step& step, const Rows& logits, const Buffer& penalised, const Buffer& ids) {
    // At most 512 ids an invocation: a driver may bound the iterations of a shader (shaders/sample.comp).
    const uint32_t most = std::bit_floor(std::min(256u, step.gpu.device().info().max_workgroup));
    const uint32_t workgroup = std::clamp(std::bit_ceil(groups_of(logits.width, 512)),
                                          std::min(step.tuning.vocab_workgroup, most), most);
    const push::Sample push{logits.width, step.n_tokens};
    const std::array<const Buffer*, 4> buffers{&logits.buffer, &penalised, &ids, &step.state};
    step.gpu.dispatch(
        step.gpu.device().pipeline(reducing(step, "sample"), {workgroup, one_subgroup(step, workgroup)}),
        buffers, push, {1, 1, 1}, "sample", {double(logits.width), uint64_t(logits.width) * 8});
}

} // namespace ops
} // namespace kvasir
