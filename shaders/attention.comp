// o_i = sum_j softmax_j(scale * q_i . k_j - slope_h * (i - j)) v_j over the visible j, in one pass with a running
// maximum and sum (online softmax): Milakov & Gimelshein 2018, algorithm 3; Dao et al. 2022, algorithm 1. Nothing of
// size n_tokens x n_keys is stored.   q, o [n_tokens, n_heads * head_dim]; stats [n_tokens, n_heads] (max, sum)
//
// A row is one query of one head; rows of one KV head stand together, so that a group of heads (GQA) reads its keys once.
// Two shapes of the same loop, by specialisation:
//   rows over lanes (prompt): each lane has a row, all lanes read the same key (one address);
//   positions over lanes (decode): the workgroup has one row, each lane its own keys, and the lanes are merged at the end.
// With n_splits > 1 the workgroups along z share the keys of a row and write parts that attention_merge.comp joins.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#endif
#define KERNEL_ATTENTION
#include "push.h"
#include "lib/state.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const bool ONE_SUBGROUP = false;
layout(constant_id = 2) const uint HEAD_DIM = 64;
layout(constant_id = 3) const bool BY_POSITION = false;
layout(constant_id = 4) const bool ALIBI = false;
layout(local_size_x_id = 0) in;
#include "lib/kv.glsl"
#include "lib/reduce.glsl"
#include "lib/score.glsl"

layout(binding = 0, std430) readonly buffer Q { float q[]; };
layout(binding = 1, std430) readonly buffer K { uvec4 k[]; };
layout(binding = 2, std430) readonly buffer V { uvec4 v[]; };
layout(binding = 3, std430) readonly buffer KvScales { uint kv_scales[]; };
layout(binding = 4, std430) readonly buffer PageTable { uint page_table[]; };
layout(binding = 5, std430) readonly buffer StateBuffer { State state; };
layout(binding = 6, std430) readonly buffer Slopes { float slopes[]; };
layout(binding = 7, std430) writeonly buffer O { float o[]; };       // or the parts [n_splits, rows, head_dim]
layout(binding = 8, std430) writeonly buffer Stats { vec2 stats[]; }; // or of the parts [n_splits, rows]

const uint QUADS_OF_HEAD = (HEAD_DIM + 3) / 4;
const uint STEP = 2; // keys a lane takes at a time; 1, 3, 4 and 8 are slower on lavapipe (by 15 to 100 %, prompt, head_dim 64)

vec4 four_of_q(uint from, uint i) {
    vec4 four = vec4(0);
    for (uint c = 0; c < 4; ++c)
        if (i * 4 + c < HEAD_DIM) four[c] = q[from + i * 4 + c];
    return four;
}

void main() {
    uint group = n_heads / n_kv_heads, rows = n_tokens * group; // of this KV head
    uint kv_head = gl_WorkGroupID.y, split = gl_WorkGroupID.z;
    uint row = BY_POSITION ? gl_WorkGroupID.x : min(gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x, rows - 1);
    bool own = BY_POSITION || gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x < rows;
    uint token = row / group, head = kv_head * group + row % group, query = state.pos + token;

    // the keys that any row of this workgroup sees, and this split's share of them in whole steps
    uint first_token = BY_POSITION ? token : gl_WorkGroupID.x * WG_SIZE / group;
    uint last_token = BY_POSITION ? token : min(rows - 1, gl_WorkGroupID.x * WG_SIZE + WG_SIZE - 1) / group;
    uint begin = window == 0 || state.pos + first_token < window ? 0 : state.pos + first_token - window + 1;
    uint end = state.pos + last_token + 1;
    uint stride = BY_POSITION ? WG_SIZE * STEP : STEP;
    uint steps = (end - begin + stride - 1) / stride, share = (steps + n_splits - 1) / n_splits;
    end = min(end, begin + (split + 1) * share * stride);
    begin += split * share * stride;

    vec4 qr[QUADS_OF_HEAD], acc[QUADS_OF_HEAD];
    [[unroll]] for (uint i = 0; i < QUADS_OF_HEAD; ++i) {
        qr[i] = four_of_q(token * q_stride + head * HEAD_DIM, i) * scale;
        acc[i] = vec4(0);
    }
    float slope = ALIBI ? slopes[head] : 0.0;
    float most = -1e30, sum = 0.0; // finite, so that a difference of two of them is never NaN

    for (uint j0 = begin; j0 < end; j0 += stride) {
        float s[STEP];
        uint page_head[STEP], slot[STEP];
        float next = most;
        [[unroll]] for (uint b = 0; b < STEP; ++b) {
            uint j = j0 + (BY_POSITION ? b * WG_SIZE + gl_LocalInvocationID.x : b);
            bool sees = j < end && visible(query, j, window);
            uint at = min(j, end - 1);
            page_head[b] = page_table[at / PAGE] * n_kv_heads + kv_head;
            slot[b] = at % PAGE;
            float dots = 0.0;
            [[unroll]] for (uint u = 0; u < KV_UNITS; ++u) {
                uvec4 unit = k[kv_index(page_head[b], u, slot[b])];
#ifdef KV_SCALED
                float part = 0.0;
                vec2 both = unpackHalf2x16(kv_scales[kv_scale_index(page_head[b], 0, u / 4, slot[b])]);
                [[unroll]] for (uint c = 0; c < KV_QUADS; ++c)
                    if (u * KV_QUADS + c < QUADS_OF_HEAD) part += dot(kv_value(unit, c), qr[u * KV_QUADS + c]);
                dots += part * (u % 4 < 2 ? both.x : both.y);
#else
                [[unroll]] for (uint c = 0; c < KV_QUADS; ++c)
                    if (u * KV_QUADS + c < QUADS_OF_HEAD) dots += dot(kv_value(unit, c), qr[u * KV_QUADS + c]);
#endif
            }
            if (ALIBI) dots -= slope * float(int(query) - int(j));
            s[b] = sees ? dots : -1e30;
            next = max(next, s[b]);
        }
        float decay = exp(most - next);
        most = next;
        sum *= decay;
        [[unroll]] for (uint b = 0; b < STEP; ++b) {
            s[b] = s[b] > -1e30 ? exp(s[b] - most) : 0.0;
            sum += s[b];
        }
        [[unroll]] for (uint u = 0; u < KV_UNITS; ++u) {
            vec4 add[KV_QUADS];
            [[unroll]] for (uint c = 0; c < KV_QUADS; ++c) add[c] = vec4(0);
            [[unroll]] for (uint b = 0; b < STEP; ++b) {
                uvec4 unit = v[kv_index(page_head[b], u, slot[b])];
                float p = s[b];
#ifdef KV_SCALED
                vec2 both = unpackHalf2x16(kv_scales[kv_scale_index(page_head[b], 1, u / 4, slot[b])]);
                p *= u % 4 < 2 ? both.x : both.y;
#endif
                [[unroll]] for (uint c = 0; c < KV_QUADS; ++c) add[c] += p * kv_value(unit, c);
            }
            [[unroll]] for (uint c = 0; c < KV_QUADS; ++c)
                if (u * KV_QUADS + c < QUADS_OF_HEAD)
                    acc[u * KV_QUADS + c] = acc[u * KV_QUADS + c] * decay + add[c];
        }
    }

    if (BY_POSITION) { // merge the lanes
        float all = workgroup_max(most);
        float weight = exp(most - all);
        most = all;
        sum = workgroup_sum(sum * weight);
        [[unroll]] for (uint i = 0; i < QUADS_OF_HEAD; ++i)
            for (uint c = 0; c < 4; ++c) acc[i][c] = workgroup_sum(acc[i][c] * weight);
        if (gl_LocalInvocationIndex != 0) return;
    }
    if (!own) return;
    uint to = token * o_stride + head * HEAD_DIM, at = token * n_heads + head;
    float factor = 1.0 / sum; // sum >= 1 without splits: a row sees at least itself
    if (n_splits > 1) {
        at += split * n_tokens * n_heads;
        to = at * HEAD_DIM;
        factor = 1.0;
    }
    stats[at] = vec2(most, sum);
    [[unroll]] for (uint i = 0; i < QUADS_OF_HEAD; ++i)
        for (uint c = 0; c < 4; ++c)
            if (i * 4 + c < HEAD_DIM) o[to + i * 4 + c] = acc[i][c] * factor;
}
