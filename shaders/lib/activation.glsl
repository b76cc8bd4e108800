// Activations by number, as runtime/model_spec.hpp's Activation.
// GELU: Hendrycks & Gimpel 2016, section 2; SiLU: ibid. and Ramachandran et al. 2017.

float erf_exact(float x) {
    // Abramowitz & Stegun 1964, formula 7.1.26, has |error| < 1.5e-7: below float32's resolution of 1 + erf(x).
    float t = 1.0 / (1.0 + 0.3275911 * abs(x));
    float y = 1.0 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t *
                        exp(-x * x);
    return x < 0.0 ? -y : y;
}

float activate(uint kind, float x) {
    switch (kind) {
    case 1: return max(x, 0.0);                                                              // relu
    case 2: return x / (1.0 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));        // gelu_tanh: 2 sqrt(2/pi)
    case 3: return 0.5 * x * (1.0 + erf_exact(x * 0.7071067811865476));                      // gelu_erf
    case 4: return x / (1.0 + exp(-x));                                                      // silu
    case 5: return 1.0 / (1.0 + exp(-x));                                                    // sigmoid
    default: return x;
    }
}
