// x[t, :] = scale E[ids[pos + t], :] (+ P[pos + t, :] for learned positions).   x [n_tokens, d_model]
// Vaswani et al. 2017, section 3.4; learned positions: Radford et al. 2019. One invocation: one unit of one token.
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_EMBED
#include "push.h"
#include "lib/state.glsl"
#include "lib/weight.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly buffer Weights { uvec4 weights[]; };
layout(binding = 1, std430) readonly buffer Scales { uint scales[]; };
layout(binding = 2, std430) readonly buffer Positions { float positions[]; };
layout(binding = 3, std430) readonly buffer Ids { uint ids[]; };
layout(binding = 4, std430) readonly buffer StateBuffer { State state; };
layout(binding = 5, std430) writeonly buffer X { float x[]; };

void main() {
    uint item = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x; // of the token's units
    uint t = gl_WorkGroupID.y;
    if (item >= n_chunks * UNITS) return;
    uint row = ids[state.pos + t] - first_row;
    if (row >= n_rows) return; // another part of the table has it
    uint tile = row / TILE, lane = row % TILE, chunk = item / UNITS, unit = item % UNITS;
    uvec4 bits = weights[(tile * n_chunks * UNITS + item) * TILE + lane];
#ifdef SCALED
    float factor = scale * scale_of(scales[(tile * n_chunks + chunk) * TILE + lane], unit);
#else
    float factor = scale;
#endif
    for (uint q = 0; q < QUADS; ++q) {
        vec4 four = value(bits, q) * factor;
        for (uint i = 0; i < 4; ++i) {
            uint d = chunk * CHUNK + (unit * QUADS + q) * 4 + i;
            if (d < d_model)
                x[t * stride + d] = four[i] + (learned == 1 ? positions[(state.pos + t) * d_model + d] : 0.0);
        }
    }
}
