#pragma once

#include "tests/kernels/cases.hpp"
#include "tests/kernels/kv_image.hpp"

namespace kvasir::kernels {

std::string name_of(KvType type);

/// What the cases of attention, attention_probs and kv_norms read: a cache with shuffled pages whose keys and
/// values are there where a query sees them and poison everywhere else, queries, and the reference's answer.
struct AttentionData {
    ModelSpec m;
    uint32_t n_keys, first_visible;
    uint32_t value_dim; ///< of v, and of a row of o
    Values q, k, v;     ///< k and v as the cache gives them back; 0 where no query sees them
    ShuffledCache shuffled;
    Rows queries;
    AttentionScratch scratch; ///< slopes, and what splits need
    reference::Attention expected;

    AttentionData(Device& device, Random random, const AttentionCase& one);

    /// How far each probability of a row may be off, relative to itself, where the largest and the sum that
    /// it was made with are the kernel's own; and how far its score may be off. [n_keys], 0 where a key is
    /// not seen.
    struct RowBounds {
        Values score, relative;
        double of_scores = 0;  ///< the largest of `score`
        double of_average = 0; ///< sum of p * relative
    };
    RowBounds bounds(const AttentionCase& one, uint32_t token, uint32_t head) const;
};

} // namespace kvasir::kernels
