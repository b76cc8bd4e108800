#pragma once

#include "runtime/gpu/buffer.hpp"
#include "runtime/model_spec.hpp"
#include "runtime/page_table.hpp"

#include <vector>

namespace kvasir {

/// Bytes of one layer's buffers; a latent cache has no values of its own, only q8_0 has scales.
struct KvLayerBytes {
    uint64_t k, v, scales;
};
KvLayerBytes kv_layer_bytes(const ModelSpec& spec, KvType type, uint32_t n_ctx);

/// Keys and values of all layers on the device, in pages (shaders/lib/kv.glsl has the layout); which page
/// holds what is PageTable's to know. Only the n_kv_heads heads are stored, never repeated ones.
class KvCache {
  public:
    /// Throws Error where the device cannot hold n_ctx positions, naming what they need.
    KvCache(Device& device, const ModelSpec& spec, KvType type, uint32_t n_ctx);

    PageTable table;

    KvType type() const { return type_; }
    const Buffer& k(uint32_t layer) const { return layers_[layer].k; }
    /// The keys' where values are their first entries (ModelSpec::latent).
    const Buffer& v(uint32_t layer) const { return latent_ ? layers_[layer].k : layers_[layer].v; }
    const Buffer& scales(uint32_t layer) const { return layers_[layer].scales; }
    const Buffer& page_table() const { return page_table_; }

    /// Writes the page table where it has changed. No step may be running that reads a changed entry.
    void upload_table();

    uint64_t bytes() const;

  private:
    struct LayerBuffers {
        Buffer k, v, scales;
    };
    KvType type_;
    bool latent_;
    std::vector<LayerBuffers> layers_;
    Buffer page_table_;
    uint64_t uploaded_ = UINT64_MAX;
};

} // namespace kvasir
