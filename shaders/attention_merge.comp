// Joins the parts of attention.comp's splits:  o = sum_s e^(m_s - m) a_s / sum_s e^(m_s - m) l_s,  m = max_s m_s.
// parts [n_splits, n_rows, head_dim], part_stats [n_splits, n_rows] -> o [n_tokens, n_heads * head_dim], stats [n_rows].
// Dao et al. 2022, section 3.1. One invocation: one entry of one row.
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_ATTENTION_MERGE
#include "push.h"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly buffer Parts { float parts[]; };
layout(binding = 1, std430) readonly buffer PartStats { vec2 part_stats[]; };
layout(binding = 2, std430) writeonly buffer O { float o[]; };
layout(binding = 3, std430) writeonly buffer Stats { vec2 stats[]; };

void main() {
    uint item = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x;
    if (item >= n_rows * head_dim) return;
    uint row = item / head_dim, d = item % head_dim;
    float most = -1e30;
    for (uint s = 0; s < n_splits; ++s) most = max(most, part_stats[s * n_rows + row].x);
    float value = 0.0, sum = 0.0;
    for (uint s = 0; s < n_splits; ++s) {
        vec2 part = part_stats[s * n_rows + row];
        float weight = exp(part.x - most); // a part that saw nothing has maximum -1e30 and sum 0
        sum += part.y * weight;
        value += parts[(s * n_rows + row) * head_dim + d] * weight;
    }
    o[row / n_heads * o_stride + row % n_heads * head_dim + d] = value / sum;
    if (d == 0) stats[row] = vec2(most, sum);
}
