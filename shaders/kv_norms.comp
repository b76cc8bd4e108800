// |k_j| and |v_j|, Euclidean, of every cached position, 0 where a sliding window has released its page.
// norms [2, n_kv_heads, n_keys]. One invocation: one (head, key).
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_KV_NORMS
#include "push.h"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(local_size_x_id = 0) in;
#include "lib/kv.glsl"

layout(binding = 0, std430) readonly buffer K { uvec4 k[]; };
layout(binding = 1, std430) readonly buffer V { uvec4 v[]; };
layout(binding = 2, std430) readonly buffer KvScales { uint kv_scales[]; };
layout(binding = 3, std430) readonly buffer PageTable { uint page_table[]; };
layout(binding = 4, std430) writeonly buffer Norms { float norms[]; };

void main() {
    uint j = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x, head = gl_WorkGroupID.y;
    if (j >= n_keys) return;
    uint page = page_table[j / PAGE], page_head = page * n_kv_heads + head, slot = j % PAGE;
    vec2 squares = vec2(0);
    for (uint u = 0; u < KV_UNITS && page != NO_PAGE; ++u) {
        uint at = kv_index(page_head, u, slot);
        uvec4 k_unit = k[at], v_unit = v[at];
        vec2 part = vec2(0);
        for (uint c = 0; c < KV_QUADS; ++c) {
            vec4 k_four = kv_value(k_unit, c), v_four = kv_value(v_unit, c);
            part += vec2(dot(k_four, k_four), dot(v_four, v_four));
        }
#ifdef KV_SCALED
        vec2 k_both = unpackHalf2x16(kv_scales[kv_scale_index(page_head, 0, u / 4, slot)]);
        vec2 v_both = unpackHalf2x16(kv_scales[kv_scale_index(page_head, 1, u / 4, slot)]);
        vec2 factor = u % 4 < 2 ? vec2(k_both.x, v_both.x) : vec2(k_both.y, v_both.y);
        part *= factor * factor;
#endif
        squares += part;
    }
    norms[head * n_keys + j] = sqrt(squares.x);
    norms[(n_kv_heads + head) * n_keys + j] = sqrt(squares.y);
}
