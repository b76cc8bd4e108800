// x[t, :] (+)= sum_s weights[t, s] y[t, s, :]: what the experts of a token say.   Shazeer et al. 2017, equation 1
// x [n_tokens, width], y [n_tokens, n_slots, width], weights [n_tokens, n_slots]. One invocation: one entry.
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_ADD_WEIGHTED
#include "push.h"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const bool ADD = true; // to what x holds
layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly buffer Y { float y[]; };
layout(binding = 1, std430) readonly buffer Weights { float weights[]; };
layout(binding = 2, std430) buffer X { float x[]; };

void main() {
    uint i = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x, t = gl_WorkGroupID.y;
    if (i >= width) return;
    float sum = 0.0;
    for (uint s = 0; s < n_slots; ++s) sum += weights[t * weight_stride + s] * y[t * y_stride + s * y_slot + i];
    uint at = t * x_stride + i;
    x[at] = ADD ? x[at] + sum : sum;
}
