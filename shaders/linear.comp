// y[t, :] = act(W x[t, :] + b) (+ or * y[t, :]);  gated: y[t, :] = act(W_gate x[t, :]) * (W_up x[t, :]).
// W [d_out, d_in] in lib/weight.glsl's layout, x [n_tokens, d_in], y [n_tokens, d_out]. Gated units: Shazeer 2020,
// equations 5 and 6.
//
// Matrix-vector and matrix-matrix alike: LANES lanes stand side by side over the 32 rows of a tile (each takes
// 32 / LANES of them, of TILES tiles), and multiply each weight they have decoded with COLS tokens, whose values all
// lanes read at one address. No shared memory and no barrier where a workgroup is LANES wide; a wider one splits d_in
// among its groups of LANES and adds their sums at the end (a single token on a GPU, which needs more lanes in flight).
// With STACK each slot of a token has a matrix of its own among those bound: the one that `chosen` names (experts,
// Shazeer et al. 2017, equation 2; one token a workgroup), or the slot's own (a head's).
// The tokens vary fastest over workgroups, so that a tile of weights is read from memory once and from cache after that.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define KERNEL_LINEAR
#include "push.h"
#include "lib/activation.glsl"
#include "lib/weight.glsl"

layout(constant_id = 0) const uint WG_SIZE = 8;
layout(constant_id = 1) const uint LANES = 8;
layout(constant_id = 2) const uint TILES = 1; // gated: 2, the gate's tile and the up projection's
layout(constant_id = 3) const uint COLS = 1;
layout(constant_id = 4) const uint ACTIVATION = 0;
layout(constant_id = 5) const bool GATED = false;
layout(constant_id = 6) const bool BIAS = false;
layout(constant_id = 7) const uint COMBINE = 0; // with what y holds: 0 not, 1 added, 2 multiplied
#ifdef STACK
layout(constant_id = 8) const bool CHOSEN = false;
#endif
layout(local_size_x_id = 0) in;

layout(binding = 2, std430) readonly buffer X { vec4 x[]; };
layout(binding = 3, std430) readonly buffer Bias { float bias[]; };
layout(binding = 4, std430) buffer Y { float y[]; };
#ifdef STACK
layout(binding = 5, std430) readonly buffer Chosen { uint chosen[]; }; // [n_tokens, n_slots]
uint slot, matrix;
uint first_tile() { return gl_WorkGroupID.y * (GATED ? 1 : TILES); }
uint tile_base() { return matrix * n_tiles * (GATED ? 2 : 1); }
uint x_at(uint col) { return col * (x_stride / 4) + slot * (x_slot / 4); }
uint y_at(uint col) { return col * y_stride + y_first + slot * y_slot; }
#else
uint first_tile() { return (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * (GATED ? 1 : TILES); }
uint tile_base() { return 0; }
uint x_at(uint col) { return (x_row + col) * (x_stride / 4); }
uint y_at(uint col) { return col * y_stride + y_first; }
#endif

const uint SPLITS = WG_SIZE / LANES;    // of d_in
const uint LANE_ROWS = TILE / LANES;    // of one tile
const uint ROWS = LANE_ROWS * TILES;    // of a lane
shared float partial[SPLITS > 1 ? WG_SIZE : 1];

uint tile_at(uint i) { return GATED ? first_tile() + i * n_tiles : min(first_tile() + i, n_tiles - 1); }
uint column(uint c) { return min(gl_WorkGroupID.x * COLS + c, n_tokens - 1); }

void store(uint row, uint c, float value) {
    uint col = gl_WorkGroupID.x * COLS + c;
    if (row >= n_rows || col >= n_tokens) return;
    uint at = y_at(col) + first_row + row;
    y[at] = COMBINE == 1 ? y[at] + value : COMBINE == 2 ? y[at] * value : value;
}

void main() {
    uint lane = gl_LocalInvocationID.x % LANES, part = gl_LocalInvocationID.x / LANES;
    if (first_tile() >= n_tiles) return; // the whole workgroup
#ifdef STACK
    slot = gl_WorkGroupID.z;
    matrix = (CHOSEN ? chosen[gl_WorkGroupID.x * n_slots + slot] : slot) - first_matrix;
    if (matrix >= n_matrices) return; // another part has it
#endif
    float acc[ROWS][COLS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        [[unroll]] for (uint c = 0; c < COLS; ++c) acc[r][c] = 0.0;

    // A strip at a time: enough to hide the loads' latency, and four times faster to compile than a whole chunk.
    for (uint strip = part; strip < n_chunks * STRIPS; strip += SPLITS) {
        uint from[COLS];
        [[unroll]] for (uint c = 0; c < COLS; ++c) from[c] = x_at(column(c)) + strip * (STRIP / 4);
#ifdef MINIMUM
        // sum (value * scale - minimum) * x = scale * sum value * x - minimum * sum x, whose last sum serves all rows.
        float x_sums[BLOCKS][COLS];
        [[unroll]] for (uint b = 0; b < BLOCKS; ++b)
            [[unroll]] for (uint c = 0; c < COLS; ++c) {
                vec4 sums = vec4(0.0);
                [[unroll]] for (uint q = 0; q < QUADS; ++q) sums += x[from[c] + b * QUADS + q];
                x_sums[b][c] = dot(sums, vec4(1.0));
            }
#endif
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            Bits bits = load_bits(tile_base() + tile_at(r / LANE_ROWS), strip, lane + r % LANE_ROWS * LANES);
            [[unroll]] for (uint b = 0; b < BLOCKS; ++b) {
                float sums[COLS];
                [[unroll]] for (uint c = 0; c < COLS; ++c) sums[c] = 0.0;
                [[unroll]] for (uint q = 0; q < QUADS; ++q) {
                    vec4 w = value(bits, b * QUADS + q);
                    [[unroll]] for (uint c = 0; c < COLS; ++c) sums[c] += dot(w, x[from[c] + b * QUADS + q]);
                }
                [[unroll]] for (uint c = 0; c < COLS; ++c) {
#ifdef SCALED
                    sums[c] *= scale_of(bits, b);
#endif
#ifdef MINIMUM
                    sums[c] -= minimum_of(bits, b) * x_sums[b][c];
#endif
                    acc[r][c] += sums[c];
                }
            }
        }
    }

    if (SPLITS > 1) {
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            [[unroll]] for (uint c = 0; c < COLS; ++c) {
                partial[gl_LocalInvocationID.x] = acc[r][c];
                barrier();
                float sum = 0.0;
                for (uint s = 0; s < SPLITS; ++s) sum += partial[s * LANES + lane];
                acc[r][c] = sum;
                barrier();
            }
        if (part != 0) return;
    }
    [[unroll]] for (uint r = 0; r < (GATED ? LANE_ROWS : ROWS); ++r) {
        uint tile = first_tile() + r / LANE_ROWS;
        if (tile >= n_tiles) break;
        uint row = tile * TILE + lane + r % LANE_ROWS * LANES;
        [[unroll]] for (uint c = 0; c < COLS; ++c) {
            float value = acc[r][c];
            if (BIAS) value += row < n_rows ? bias[first_row + row] : 0.0;
            value = activate(ACTIVATION, value);
            if (GATED) {
                float up = acc[r + LANE_ROWS][c];
                if (BIAS) up += row < n_rows ? bias[d_out + first_row + row] : 0.0;
                value *= up;
            }
            store(row, c, value);
        }
    }
}
