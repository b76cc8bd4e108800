// LayerNorm: y = (x - mean) / sqrt(var + eps) * gamma + beta.   Ba et al. 2016, section 3
// RMSNorm:   y = x / sqrt(mean(x^2) + eps) * gamma (+ beta).    Zhang & Sennrich 2019, equation 4
// Added to what y holds where ADD says so.
// One workgroup a row of `width` values; a row is a token, or one head of a token.
#version 460
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#endif
#define KERNEL_NORM
#include "push.h"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const bool ONE_SUBGROUP = false;
layout(constant_id = 2) const bool RMS = true;
layout(constant_id = 3) const bool BETA = false;
layout(constant_id = 4) const bool ADD = false;
layout(local_size_x_id = 0) in;
#include "lib/reduce.glsl"

layout(binding = 0, std430) readonly buffer X { float x[]; };
layout(binding = 1, std430) readonly buffer Gamma { float gamma[]; };
layout(binding = 2, std430) readonly buffer Beta { float beta[]; };
layout(binding = 3, std430) buffer Y { float y[]; };

void main() {
    uint row = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (row >= n_rows) return; // the whole workgroup
    uint token = row / rows_a_token, part = row % rows_a_token;
    uint from = token * x_stride + x_first + part * x_width;
    uint to = token * y_stride + y_first + part * y_width;
    uint weight = part * gamma_width;

    float mean = 0.0;
    if (!RMS) {
        float sum = 0.0;
        for (uint i = gl_LocalInvocationIndex; i < width; i += WG_SIZE) sum += x[from + i];
        mean = workgroup_sum(sum) / float(width);
    }
    float squares = 0.0; // about the mean, in a second pass: the difference of two sums would cancel
    for (uint i = gl_LocalInvocationIndex; i < width; i += WG_SIZE) {
        float d = x[from + i] - mean;
        squares += d * d;
    }
    float factor = 1.0 / sqrt(workgroup_sum(squares) / float(width) + eps);
    for (uint i = gl_LocalInvocationIndex; i < width; i += WG_SIZE) {
        float normed = (x[from + i] - mean) * factor * gamma[weight + i];
        if (BETA) normed += beta[weight + i];
        y[to + i] = ADD ? y[to + i] + normed : normed;
    }
}
