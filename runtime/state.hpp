#pragma once

#include <cstdint>

namespace kvasir {

/// What changes from step to step, in a buffer that host and device share, so that a recorded step can be
/// replayed. Must match shaders/lib/state.glsl.
struct State {
    uint32_t pos = 0; ///< position of the step's first token; sample advances it
    uint32_t seed = 0;
    float temperature = 0;
    uint32_t top_k = 0;
    float top_p = 1, min_p = 0, repeat_penalty = 1;
    uint32_t unused = 0;
};

} // namespace kvasir
