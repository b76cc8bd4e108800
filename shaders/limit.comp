// x = clamp(x, -limit, limit) (MPT's clip of q, k and v), or x = limit tanh(x / limit) (Gemma 2's logits).
// x [n_rows, width], in place. One invocation: one entry.
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_LIMIT
#include "push.h"
#include "lib/score.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const bool SOFT = false;
layout(local_size_x_id = 0) in;

layout(binding = 0, std430) buffer X { float x[]; };

void main() {
    uint i = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x;
    if (i >= width) return;
    uint at = gl_WorkGroupID.y * stride + i;
    x[at] = SOFT ? softcapped(x[at], limit) : clamp(x[at], -limit, limit);
}
