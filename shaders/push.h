// Every push-constant block, typed once for GLSL and C++: 32-bit scalars only, so that both lay it out alike.
// A shader defines KERNEL_X before it includes this and sees the members of X as plain names.
#ifdef __cplusplus
#pragma once
#include <cstdint>
namespace kvasir::push {
using uint = uint32_t;
#define PUSH(X) struct X
#else
#define PUSH(X) layout(push_constant, std430) uniform X
#endif

#if defined(__cplusplus) || defined(KERNEL_EMBED)
PUSH(Embed) {
    uint d_model, n_chunks, stride; // of a table row, in 64-value chunks; of an output row, in values
    uint first_row, n_rows;         // the part of the table that is bound
    uint n_tokens;
    uint learned; // 1: add row pos of the position table
};
#endif

#if defined(__cplusplus) || defined(KERNEL_NORM)
PUSH(Norm) {
    uint width; // values a row
    uint rows_a_token, x_stride, x_first,
        x_width; // row r: token r / rows_a_token, at x_first + (r % rows_a_token) * x_width
    uint y_stride, y_first, y_width;
    uint n_rows;
    float eps;
};
#endif

#if defined(__cplusplus) || defined(KERNEL_LINEAR)
PUSH(Linear) {
    uint n_chunks;          // of a weight row, 64 values each
    uint d_out;             // rows of the whole matrix (a gated layer's up bias stands behind its gate's)
    uint n_rows, first_row; // rows of this part, and where they begin in y
    uint n_tiles;           // tiles of this part; a gated layer has as many again for the up projection
    uint n_tokens;
    uint x_stride, x_row; // values between tokens; the first token read
    uint y_stride;
};
#endif

#if defined(__cplusplus) || defined(KERNEL_ROPE_STORE)
PUSH(RopeStore) {
    uint n_tokens, n_heads, n_kv_heads, head_dim;
    uint x_stride, q_stride;
    uint rope_dim; // 0: no rotation
};
#endif

#if defined(__cplusplus) || defined(KERNEL_ATTENTION)
PUSH(Attention) {
    uint n_tokens, n_heads, n_kv_heads;
    uint q_stride, o_stride;
    uint window; // 0: all
    float scale; // of q . k
    uint n_splits;
};
#endif

#if defined(__cplusplus) || defined(KERNEL_ATTENTION_MERGE)
PUSH(AttentionMerge) {
    uint n_rows, n_heads, head_dim, o_stride, n_splits;
};
#endif

#if defined(__cplusplus) || defined(KERNEL_ATTENTION_PROBS)
PUSH(AttentionProbs) {
    uint n_tokens, n_heads, n_kv_heads;
    uint q_stride;
    uint window;
    float scale;
    uint n_keys;
};
#endif

#if defined(__cplusplus) || defined(KERNEL_KV_NORMS)
PUSH(KvNorms) {
    uint n_kv_heads, n_keys;
};
#endif

#if defined(__cplusplus) || defined(KERNEL_SAMPLE)
PUSH(Sample) {
    uint n_vocab;
    uint n_tokens; // of the step: the choice belongs to position pos + n_tokens
};
#endif

#ifdef __cplusplus
#undef PUSH
static_assert(sizeof(Linear) <= 128 && sizeof(Norm) <= 128, "128 bytes are all that every device has");
} // namespace kvasir::push
#endif
