// Which experts a token uses, and with what weights: p = softmax(s) or sigmoid(s) of its scores; the n_used experts of
// largest p (+ bias, of equal ones the first); weights p, divided by their sum where `normed`, times scale.
// Shazeer et al. 2017, section 2.1; Jiang et al. 2024 (Mixtral), section 2.1; bias: DeepSeek-AI 2024 (V3), section 2.1.2.
// scores [n_tokens, n_experts] -> chosen, weights [n_tokens, n_used]. One invocation: one token.
#version 460
#extension GL_GOOGLE_include_directive : require
#define KERNEL_ROUTE
#include "push.h"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly buffer Scores { float scores[]; };
layout(binding = 1, std430) readonly buffer Bias { float bias[]; };
layout(binding = 2, std430) writeonly buffer Chosen { uint chosen[]; };
layout(binding = 3, std430) buffer Weights { float weights[]; };

void main() {
    uint t = gl_WorkGroupID.x * WG_SIZE + gl_LocalInvocationID.x;
    if (t >= n_tokens) return;
    uint from = t * score_stride, to = t * n_used;
    float most = -1e30, all = 1.0;
    if (sigmoid == 0) {
        for (uint e = 0; e < n_experts; ++e) most = max(most, scores[from + e]);
        all = 0.0;
        for (uint e = 0; e < n_experts; ++e) all += exp(scores[from + e] - most);
    }
    float sum = 0.0, last_key = 0.0;
    uint last = 0;
    for (uint u = 0; u < n_used; ++u) { // the best after the one before: no list of those already taken is needed
        uint best = 0;
        float best_key = 0.0, best_p = 0.0;
        bool found = false;
        for (uint e = 0; e < n_experts; ++e) {
            float s = scores[from + e];
            float p = sigmoid == 0 ? exp(s - most) / all : 1.0 / (1.0 + exp(-s));
            float key = biased == 1 ? p + bias[e] : p;
            bool after = u == 0 || key < last_key || (key == last_key && e > last);
            if (after && (!found || key > best_key)) {
                best = e, best_key = key, best_p = p;
                found = true;
            }
        }
        last = best, last_key = best_key;
        chosen[to + u] = best;
        weights[to + u] = best_p * scale;
        sum += best_p;
    }
    if (normed == 1)
        for (uint u = 0; u < n_used; ++u) weights[to + u] /= sum;
}
