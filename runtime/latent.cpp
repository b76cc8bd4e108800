#include "runtime/latent.hpp"

#include <algorithm>
#include <cassert>

namespace kvasir {
namespace {

std::vector<float> decoded(const TensorInfo& tensor) {
    std::vector<float> values(tensor.n_values());
    decode(tensor.dtype, tensor.data.data(), values.data(), values.size());
    return values;
}

} // namespace

LatentMatrices latent_matrices(const ModelSpec& m, const std::vector<const TensorInfo*>& tensors) {
    assert(tensors.size() == 1 || tensors.size() == 2);
    const bool split = tensors.size() == 2;
    const size_t rank = m.kv_lora_rank, plain = m.mla_key_dim - m.rope_dim, d_v = m.mla_value_dim;
    const std::vector<float> first = decoded(*tensors[0]);
    LatentMatrices result;
    result.absorbed.resize(size_t(m.n_heads) * m.head_dim * m.mla_key_dim);
    for (size_t h = 0; h < m.n_heads; ++h) {
        float* to = &result.absorbed[h * m.head_dim * m.mla_key_dim];
        for (size_t c = 0; c < rank; ++c)
            for (size_t i = 0; i < plain; ++i)
                to[c * m.mla_key_dim + i] =
                    split ? first[(h * rank + c) * plain + i] : first[(h * (plain + d_v) + i) * rank + c];
        for (size_t i = 0; i < m.rope_dim; ++i) to[(rank + i) * m.mla_key_dim + plain + i] = 1;
    }
    if (split) {
        result.values = decoded(*tensors[1]);
        return result;
    }
    for (size_t h = 0; h < m.n_heads; ++h) {
        const auto from = first.begin() + ptrdiff_t((h * (plain + d_v) + plain) * rank);
        result.values.insert(result.values.end(), from, from + ptrdiff_t(d_v * rank));
    }
    return result;
}

} // namespace kvasir
