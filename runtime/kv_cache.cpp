#include "runtime/kv_cache.hpp"

#include <cstring>

namespace kvasir {
namespace {

uint32_t round_up(uint32_t n, uint32_t to) {
    return (n + to - 1) / to * to;
}

/// Bytes of one position's key (or value) of one head, without scales.
uint64_t vector_bytes(KvType type, uint32_t head_dim) {
    switch (type) {
    case KvType::f32: return round_up(head_dim, 4) * 4;
    case KvType::f16: return round_up(head_dim, 8) * 2;
    case KvType::q8_0: return round_up(head_dim, 32);
    }
    return 0;
}

} // namespace

KvLayerBytes kv_layer_bytes(const ModelSpec& spec, KvType type, uint32_t n_ctx) {
    const uint64_t vectors = uint64_t(PageTable::pages_for(n_ctx)) * PageTable::page_size * spec.n_kv_heads;
    const uint64_t bytes = vectors * vector_bytes(type, spec.head_dim);
    return {bytes, spec.latent() ? 0 : bytes,
            type == KvType::q8_0 ? vectors * 2 * round_up(spec.head_dim, 64) / 64 * 4 : 0};
}

KvCache::KvCache(Device& device, const ModelSpec& spec, KvType type, uint32_t n_ctx)
    : table(n_ctx, PageTable::pages_for(n_ctx), spec.longest_window()), type_(type), latent_(spec.latent()) {
    const KvLayerBytes bytes = kv_layer_bytes(spec, type, n_ctx);
    for (uint32_t l = 0; l < spec.n_layers; ++l) {
        const std::string name =
            "the KV cache of " + std::to_string(n_ctx) + " positions, layer " + std::to_string(l);
        layers_.push_back({Buffer(device, bytes.k, Memory::device, name),
                           Buffer(device, bytes.v, Memory::device, name),
                           Buffer(device, bytes.scales, Memory::device, name + " scales")});
    }
    page_table_ = Buffer(device, uint64_t(PageTable::pages_for(n_ctx)) * 4, Memory::host, "page table");
    upload_table();
}

void KvCache::upload_table() {
    if (uploaded_ == table.version()) return;
    const auto entries = std::as_bytes(table.table());
    std::memcpy(page_table_.mapped().data(), entries.data(), entries.size());
    uploaded_ = table.version();
}

uint64_t KvCache::bytes() const {
    uint64_t sum = 0;
    for (const auto& layer : layers_) sum += layer.k.size() + layer.v.size() + layer.scales.size();
    return sum;
}

} // namespace kvasir
