// The next token from logits [n_vocab], on the device: ids[pos + n_tokens] = choice, then pos += n_tokens, so that a
// recorded step feeds the next. Greedy: argmax, the lowest id among equals. Else: repetition penalty over the last 64
// tokens (Keskar et al. 2019, section 4.1), top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), min-p (Nguyen et al.
// 2024), and of what is left the argmax of logit / temperature + Gumbel noise, which is a sample of the softmax (Gumbel
// 1954; Maddison et al. 2014). The noise is a hash of (seed, position, id): equal seeds give equal texts.
// One workgroup. Thresholds are found by bisection over the ordered bits of a float, not by sorting.
// Loops over the vocabulary are few and wide: llvmpipe ends every loop of an invocation after 65535 iterations in all.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#endif
#define KERNEL_SAMPLE
#include "push.h"
#include "lib/random.h"
#include "lib/state.glsl"

layout(constant_id = 0) const uint WG_SIZE = 64;
layout(constant_id = 1) const bool ONE_SUBGROUP = false;
layout(local_size_x_id = 0) in;
#include "lib/reduce.glsl"

layout(binding = 0, std430) readonly buffer Logits { float logits[]; };
layout(binding = 1, std430) buffer Penalised { float penalised[]; }; // each invocation reads only what it wrote
layout(binding = 2, std430) buffer Ids { uint ids[]; };
layout(binding = 3, std430) buffer StateBuffer { State state; };

const uint PENALTY_LAST = 64;
const uint WIDE = 4; // ids an iteration

/// for each id i of this invocation: those with i % WG_SIZE == gl_LocalInvocationIndex
#define FOR_OWN_IDS(i)                                                                                                 \
    for (uint first_id = gl_LocalInvocationIndex; first_id < n_vocab; first_id += WIDE * WG_SIZE)                        \
        [[unroll]] for (uint i = first_id; i < first_id + WIDE * WG_SIZE; i += WG_SIZE)                                \
            if (i < n_vocab)

/// Maps floats to uints of the same order, and back.
uint ordered(float value) {
    uint bits = floatBitsToUint(value);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
float unordered(uint key) {
    return uintBitsToFloat((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

float mass_from(float threshold, float most) { // sum of e^(l - max) over l >= threshold
    float sum = 0.0;
    FOR_OWN_IDS(i) {
        if (penalised[i] >= threshold) sum += exp(penalised[i] - most);
    }
    return workgroup_sum(sum);
}
float count_from(float threshold) { // exact in float: n_vocab is below 2^24
    float count = 0.0;
    FOR_OWN_IDS(i) {
        if (penalised[i] >= threshold) count += 1.0;
    }
    return workgroup_sum(count);
}

/// The largest threshold in [low, most] from which on the count (or the mass) reaches `enough`.
float bisect(bool by_mass, float enough, float low_value, float most) {
    uint low = ordered(low_value), high = ordered(most);
    while (low < high) {
        uint middle = low + (high - low + 1) / 2;
        float threshold = unordered(middle);
        float found = by_mass ? mass_from(threshold, most) : count_from(threshold);
        if (found >= enough) low = middle; else high = middle - 1;
    }
    return unordered(low);
}

/// -log(n / 2^24). Near 1 a logarithm is only good to 2^-21 absolutely (Vulkan specification, precision table), which is
/// more than -log of the last 8 of n and could be negative: there by the series of 2 atanh(w) = log((1 + w) / (1 - w)),
/// w = v / (2 - v) for 1 - v = n / 2^24, v exact. For v <= 1/2, w <= 1/3, the first term left out is below 2^-24.
float minus_log(uint n) {
    if (n < 0x800000u) return -log(float(n) / 16777216.0);
    float v = float(0x1000000u - n) / 16777216.0, w = v / (2.0 - v), square = w * w;
    float series = 0.0;
    [[unroll]] for (int odd = 13; odd >= 1; odd -= 2) series = series * square + 1.0 / float(odd);
    return 2.0 * w * series;
}

float gumbel(uint position, uint id) { return -log(minus_log(random_numerator(state.seed, position, id))); }

/// Lowers the newest tokens' logits, each id once, where this invocation owns the id.
void penalise(uint last) {
    uint n = min(PENALTY_LAST, last + 1);
    for (uint j = 0; j < n; ++j) {
        uint id = ids[last - j];
        if (id % WG_SIZE != gl_LocalInvocationIndex || id >= n_vocab) continue;
        bool seen = false;
        for (uint earlier = 0; earlier < j; ++earlier) seen = seen || ids[last - earlier] == id;
        float value = penalised[id];
        if (!seen) penalised[id] = value > 0.0 ? value / state.repeat_penalty : value * state.repeat_penalty;
    }
}

void main() {
    uint last = state.pos + n_tokens - 1; // the newest token's position
    FOR_OWN_IDS(i) { penalised[i] = logits[i]; }
    if (state.repeat_penalty != 1.0) penalise(last);
    float most = -3.4e38, least = 3.4e38;
    FOR_OWN_IDS(i) {
        most = max(most, penalised[i]);
        least = min(least, penalised[i]);
    }
    most = workgroup_max(most);
    bool greedy = state.temperature == 0.0;
    float threshold = most;
    if (!greedy) { // what is left is all from `threshold` on; equals stay together
        threshold = -workgroup_max(-least);
        if (state.top_k > 0 && state.top_k < n_vocab) threshold = bisect(false, float(state.top_k), threshold, most);
        if (state.top_p < 1.0) threshold = bisect(true, state.top_p * mass_from(threshold, most), threshold, most);
        if (state.min_p > 0.0) threshold = max(threshold, min(most, most + log(state.min_p)));
    }

    float best = -3.4e38;
    uint choice = n_vocab;
    FOR_OWN_IDS(i) {
        float value = penalised[i];
        if (value >= threshold) {
            if (!greedy) value = value / state.temperature + gumbel(last + 1, i);
            if (value > best || choice == n_vocab) {
                best = value;
                choice = i;
            }
        }
    }
    float winner = workgroup_max(choice < n_vocab ? best : -3.4e38);
    // of the invocations that hold the winner, the lowest id; ids are exact in float, n_vocab being below 2^24
    uint chosen = uint(-workgroup_max(choice < n_vocab && best == winner ? -float(choice) : -16777215.0));
    if (gl_LocalInvocationIndex == 0) {
        ids[last + 1] = min(chosen, n_vocab - 1); // logits that are all NaN have no winner
        state.pos = last + 1;
    }
}
