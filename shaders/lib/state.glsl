// What changes from step to step, so that a recorded step can be replayed: written by the host, advanced by sample.comp.
// Must match runtime/state.hpp.
struct State {
    uint pos; // position of the step's first token
    uint seed;
    float temperature;
    uint top_k;
    float top_p, min_p, repeat_penalty;
    uint unused;
};
