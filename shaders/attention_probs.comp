// p_ij = exp(score_ij - max_i) / sum_i: exact attention probabilities from what attention.comp kept of each row.
// probs [n_tokens, n_heads, n_keys]; 0 where a key is not seen. A workgroup: the rows of HEADS heads that share their keys
// (GQA), KEYS keys a lane.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define KERNEL_ATTENTION_PROBS
#include "push.h"
#include "lib/state.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(constant_id = 2) const bool ALIBI = false;
layout(constant_id = 3) const bool SOFTCAP = false;
layout(constant_id = 4) const uint HEADS = 1; // for which a key is read once
layout(constant_id = 5) const uint KEYS = 1;  // for which the queries are read once
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

const uint QUADS_OF_HEAD = (HEAD_DIM + 3) / 4;

void main() {
    uint head = gl_WorkGroupID.y * HEADS, token = gl_WorkGroupID.z, query = state.pos + token;
    uint row = token * n_heads + head;
    vec4 qr[HEADS * QUADS_OF_HEAD];
    vec2 stat[HEADS];
    [[unroll]] for (uint h = 0; h < HEADS; ++h) {
        stat[h] = stats[row + h];
        [[unroll]] for (uint i = 0; i < QUADS_OF_HEAD; ++i) {
            vec4 four = vec4(0);
            for (uint c = 0; c < 4; ++c)
                if (i * 4 + c < HEAD_DIM) four[c] = q[token * q_stride + (head + h) * HEAD_DIM + i * 4 + c] * scale;
            qr[h * QUADS_OF_HEAD + i] = four;
        }
    }
    for (uint i = 0; i < KEYS; ++i) {
        uint j = (gl_WorkGroupID.x * KEYS + i) * WG_SIZE + gl_LocalInvocationID.x;
        if (j >= n_keys) return;
        float p[HEADS];
        [[unroll]] for (uint h = 0; h < HEADS; ++h) p[h] = 0.0;
        if (visible(query, j, window)) {
            uint page_head = page_table[j / PAGE] * n_kv_heads + head / (n_heads / n_kv_heads);
            [[unroll]] for (uint u = 0; u < KV_UNITS; ++u) {
                uvec4 unit = k[kv_index(page_head, u, j % PAGE)];
                float unit_scale = 1.0;
#ifdef KV_SCALED
                vec2 both = unpackHalf2x16(kv_scales[kv_scale_index(page_head, 0, u / 4, j % PAGE)]);
                unit_scale = u % 4 < 2 ? both.x : both.y;
#endif
                [[unroll]] for (uint c = 0; c < KV_QUADS; ++c) {
                    vec4 four = kv_value(unit, c) * unit_scale;
                    uint quad = u * KV_QUADS + c;
                    if (quad < QUADS_OF_HEAD)
                        [[unroll]] for (uint h = 0; h < HEADS; ++h) p[h] += dot(four, qr[h * QUADS_OF_HEAD + quad]);
                }
            }
            [[unroll]] for (uint h = 0; h < HEADS; ++h) {
                float score = SOFTCAP ? softcapped(p[h], softcap) : p[h];
                if (ALIBI) score -= slopes[head + h] * float(query - j);
                p[h] = exp(score - stat[h].x) / stat[h].y;
            }
        }
        [[unroll]] for (uint h = 0; h < HEADS; ++h) probs[(row + h) * n_keys + j] = p[h];
    }
}
