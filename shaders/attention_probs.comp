// p_ij = exp(score_ij - max_i) / sum_i: exact attention probabilities from what attention.comp kept of each row.
// probs [n_tokens, n_heads, n_keys]; 0 where a key is not seen. One invocation: one (row, key).
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_ATTENTION_PROBS
#include "push.h"
#include "lib/state.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(constant_id = 2) const bool ALIBI = false;
layout(constant_id = 3) const bool SOFTCAP = false;
layout(local_size_x_id = 0) in;
#include "lib/kv.glsl"
#include "lib/score.glsl"

layout(binding = 0, std430) readonly buffer Q { float q[]; };
layout(binding = 1, std430) readonly buffer K { uvec4 k[]; };
layout(binding = 2, std430) readonly buffer KvScales { uint kv_scales[]; };
layout(binding = 3, std430) readonly buffer PageTable { uint page_table[]; };
layout(binding = 4, std430) readonly buffer StateBuffer { State state; };
layout(binding = 5, std430) readonly buffer Slopes { float slopes[]; };
layout(binding = 6, std430) readonly buffer Stats { vec2 stats[]; };
layout(binding = 7, std430) writeonly buffer Probs { float probs[]; };

void main() {
    uint j = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x;
    uint head = gl_WorkGroupID.y, token = gl_WorkGroupID.z, query = state.pos + token;
    if (j >= n_keys) return;
    float p = 0.0;
    if (visible(query, j, window)) {
        uint page_head = page_table[j / PAGE] * n_kv_heads + head / (n_heads / n_kv_heads);
        uint from = token * q_stride + head * HEAD_DIM;
        float dots = 0.0;
        for (uint u = 0; u < KV_UNITS; ++u) {
            uvec4 unit = k[kv_index(page_head, u, j % PAGE)];
            float part = 0.0;
            for (uint c = 0; c < KV_QUADS; ++c) {
                vec4 four = kv_value(unit, c);
                uint d = (u * KV_QUADS + c) * 4;
                for (uint i = 0; i < 4; ++i)
                    if (d + i < HEAD_DIM) part += four[i] * (q[from + d + i] * scale);
            }
#ifdef KV_SCALED
            vec2 both = unpackHalf2x16(kv_scales[kv_scale_index(page_head, 0, u / 4, j % PAGE)]);
            part *= u % 4 < 2 ? both.x : both.y;
#endif
            dots += part;
        }
        if (SOFTCAP) dots = softcapped(dots, softcap);
        if (ALIBI) dots -= slopes[head] * float(query - j);
        vec2 stat = stats[token * n_heads + head];
        p = exp(dots - stat.x) / stat.y;
    }
    probs[(token * n_heads + head) * n_keys + j] = p;
}
