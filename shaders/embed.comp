// x[t, :] = scale E[ids[pos + t], :] (+ P[pos + t, :] for learned positions).   x [n_tokens, d_model]
// Vaswani et al. 2017, section 3.4; learned positions: Radford et al. 2019. One invocation: one strip of one token.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define KERNEL_EMBED
#include "push.h"
#include "lib/state.glsl"
#include "lib/weight.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(local_size_x_id = 0) in;

layout(binding = 2, std430) readonly buffer Positions { float positions[]; };
layout(binding = 3, std430) readonly buffer Ids { uint ids[]; };
layout(binding = 4, std430) readonly buffer StateBuffer { State state; };
layout(binding = 5, std430) writeonly buffer X { float x[]; };

void main() {
    uint strip = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x; // of the token's row
    uint t = gl_WorkGroupID.y;
    if (strip >= n_chunks * STRIPS) return;
    uint row = ids[state.pos + t] - first_row;
    if (row >= n_rows) return; // another part of the table has it
    Bits bits = load_bits(row / TILE, strip, row % TILE);
    [[unroll]] for (uint q = 0; q < STRIP / 4; ++q) {
        vec4 four = value(bits, q);
#ifdef SCALED
        four *= scale_of(bits, q / QUADS);
#endif
#ifdef MINIMUM
        four -= minimum_of(bits, q / QUADS);
#endif
        four *= scale;
        for (uint i = 0; i < 4; ++i) {
            uint d = strip * STRIP + q * 4 + i;
            if (d < d_model)
                x[t * stride + d] = four[i] + (learned == 1 ? positions[(state.pos + t) * d_model + d] : 0.0);
        }
    }
}
