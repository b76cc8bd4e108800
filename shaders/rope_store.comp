// RoPE on q and k, then k and v into the cache.
//   pair (a, b) at frequency i:  (a cos - b sin, a sin + b cos), cos and sin of pos * theta_i.   Su et al. 2021, section 3.4.2
//   halves: a = x[i], b = x[i + rope_dim / 2];  pairs: a = x[2i], b = x[2i + 1].
// qkv [n_tokens, (n_heads + 2 n_kv_heads) * head_dim] -> q [n_tokens, n_heads * head_dim], cache.
// One invocation: KV_GROUP entries of one head of one token. Angles come from a table made in double on the host:
// GLSL's sin and cos are only good to 2^-11, and only within [-pi, pi].
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_ROPE_STORE
#include "push.h"
#include "lib/state.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(constant_id = 2) const bool HALVES = true;
layout(local_size_x_id = 0) in;
#include "lib/kv.glsl"

layout(binding = 0, std430) readonly buffer Qkv { float qkv[]; };
layout(binding = 1, std430) readonly buffer Angles { vec2 angles[]; }; // [n_ctx, rope_dim / 2] (cos, sin)
layout(binding = 2, std430) readonly buffer PageTable { uint page_table[]; };
layout(binding = 3, std430) readonly buffer StateBuffer { State state; };
layout(binding = 4, std430) writeonly buffer Q { float q[]; };
layout(binding = 5, std430) writeonly buffer K { uvec4 k[]; };
layout(binding = 6, std430) writeonly buffer V { uvec4 v[]; };
layout(binding = 7, std430) writeonly buffer KvScales { uint kv_scales[]; };

float rotated(uint from, uint pos, uint d) {
    if (d >= head_dim) return 0.0;
    float own = qkv[from + d];
    if (d >= rope_dim) return own;
    uint half_dim = rope_dim / 2;
    bool first = HALVES ? d < half_dim : (d & 1) == 0;
    uint i = HALVES ? (first ? d : d - half_dim) : d / 2;
    uint partner = HALVES ? (first ? d + half_dim : d - half_dim) : d ^ 1;
    vec2 angle = angles[pos * half_dim + i];
    float other = qkv[from + partner];
    return first ? own * angle.x - other * angle.y : own * angle.x + other * angle.y;
}

void main() {
    uint groups = (head_dim + KV_GROUP - 1) / KV_GROUP, heads = n_heads + 2 * n_kv_heads;
    uint item = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x;
    uint t = gl_WorkGroupID.y;
    if (item >= heads * groups) return;
    uint head = item / groups, d0 = item % groups * KV_GROUP;
    uint from = t * x_stride + head * head_dim, pos = state.pos + t;
    bool is_v = head >= n_heads + n_kv_heads;
    float x[KV_GROUP];
    for (uint i = 0; i < KV_GROUP; ++i)
        x[i] = !is_v ? rotated(from, pos, d0 + i) : d0 + i < head_dim ? qkv[from + d0 + i] : 0.0;

    if (head < n_heads) {
        for (uint i = 0; i < KV_GROUP; ++i)
            if (d0 + i < head_dim) q[t * q_stride + head * head_dim + d0 + i] = x[i];
        return;
    }
    uint kv_head = is_v ? head - n_heads - n_kv_heads : head - n_heads;
    uint page_head = page_table[pos / PAGE] * n_kv_heads + kv_head, slot = pos % PAGE;
#if defined(KV_F32)
    uvec4 unit = floatBitsToUint(vec4(x[0], x[1], x[2], x[3]));
    uint at = kv_index(page_head, d0 / 4, slot);
    if (is_v) v[at] = unit; else k[at] = unit;
#elif defined(KV_F16)
    // the largest float16 instead of an infinity, which would turn every later softmax into NaN
    for (uint i = 0; i < 8; ++i) x[i] = clamp(x[i], -65504.0, 65504.0);
    uvec4 unit = uvec4(packHalf2x16(vec2(x[0], x[1])), packHalf2x16(vec2(x[2], x[3])),
                       packHalf2x16(vec2(x[4], x[5])), packHalf2x16(vec2(x[6], x[7])));
    uint at = kv_index(page_head, d0 / 8, slot);
    if (is_v) v[at] = unit; else k[at] = unit;
#else
    // Quotients are of the scale as it is kept: rounded to a float16, and the largest one where the values go beyond.
    vec2 most = vec2(0);
    for (uint i = 0; i < KV_GROUP; ++i) most[i / 32] = max(most[i / 32], abs(x[i]));
    uint scales = packHalf2x16(min(most / 127.0, vec2(65504.0)));
    vec2 scale = unpackHalf2x16(scales);
    for (uint block = 0; block < 2 && d0 + block * 32 < HEAD_DIM; ++block) {
        float inverse = scale[block] > 0.0 ? 1.0 / scale[block] : 0.0;
        for (uint half_block = 0; half_block < 2; ++half_block) {
            uvec4 unit = uvec4(0);
            for (uint i = 0; i < 16; ++i) {
                float quotient = roundEven(x[block * 32 + half_block * 16 + i] * inverse);
                unit[i / 4] |= uint(int(clamp(quotient, -127.0, 127.0)) & 0xff) << (8 * (i % 4));
            }
            uint at = kv_index(page_head, d0 / 16 + block * 2 + half_block, slot);
            if (is_v) v[at] = unit; else k[at] = unit;
        }
    }
    kv_scales[kv_scale_index(page_head, is_v ? 1 : 0, d0 / 64, slot)] = scales;
#endif
}
