#pragma once

#include "runtime/model_spec.hpp"

#include <string>
#include <vector>

namespace kvasir {

/// The same model with another number of KV heads, to compare what its cache would take.
struct KvSharing {
    std::string key, name; ///< "gqa_4", "as GQA of 4"
    ModelSpec spec;
};

/// The model as it is, then as MHA, as GQA of every other number that divides n_heads (the most heads first),
/// and as MQA. Of a model with latent attention only as it is: its one KV head stands for all of them.
std::vector<KvSharing> kv_sharings(const ModelSpec& spec);

} // namespace kvasir
