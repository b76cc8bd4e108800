// Which keys a query sees: causal, and within a sliding window where there is one (Beltagy et al. 2020, section 3.1).
bool visible(uint query, uint key, uint window_size) {
    return key <= query && (window_size == 0 || query - key < window_size);
}
