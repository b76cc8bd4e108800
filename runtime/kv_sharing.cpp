#include "runtime/kv_sharing.hpp"

namespace kvasir {

std::vector<KvSharing> kv_sharings(const ModelSpec& spec) {
    std::vector<KvSharing> all{{"as_is", "as it is", spec}};
    if (spec.latent()) return all;
    auto add = [&](const std::string& key, const std::string& name, uint32_t n_kv_heads) {
        all.push_back({key, name, spec});
        all.back().spec.n_kv_heads = n_kv_heads;
    };
    add("mha", "as MHA", spec.n_heads);
    for (uint32_t n = spec.n_heads - 1; n > 1; --n)
        if (spec.n_heads % n == 0 && n != spec.n_kv_heads)
            add("gqa_" + std::to_string(n), "as GQA of " + std::to_string(n), n);
    add("mqa", "as MQA", 1);
    return all;
}

} // namespace kvasir
