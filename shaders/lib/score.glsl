// Which keys a query sees: causal, and within a sliding window where there is one (Beltagy et al. 2020, section 3.1).
bool visible(uint query, uint key, uint window_size) {
    return key <= query && (window_size == 0 || query - key < window_size);
}

// cap tanh(x / cap) (Gemma Team 2024, section 2). GLSL's tanh may overflow for large x; this form does not.
float softcapped(float x, float cap) {
    float e = exp(-2.0 * abs(x) / cap);
    return sign(x) * cap * (1.0 - e) / (1.0 + e);
}
