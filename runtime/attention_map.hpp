#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Attention probabilities of some heads of one layer over a whole prompt: p[(h * n + q) * n + j], where j <=
/// q.
struct AttentionMap {
    uint32_t layer = 0;
    std::vector<uint32_t> heads;
    std::vector<int32_t> ids;        ///< of the n tokens
    std::vector<std::string> tokens; ///< their labels
    std::vector<float> p;

    size_t n() const { return tokens.size(); }
    const float* row(size_t head, size_t query) const { return p.data() + (head * n() + query) * n(); }
};

/// Takes a file's next bytes.
using Sink = std::function<void(std::string_view)>;

/// The picture has one square of one colour a cell: rows are queries, columns keys, several heads in a grid,
/// row by row. Colours go from 0 to the largest probability; cells above the diagonal are neutral. Throws
/// Error where the picture would be larger than 16384 pixels a side.
void write_png(const Sink& write, const AttentionMap& map);

/// float32 [n_heads, n, n], or [n, n] for one head. Source: NumPy's documentation of the npy format,
/// version 1.0.
void write_npy(const Sink& write, const AttentionMap& map);

/// {layer, heads, ids, tokens, rows: [n_heads][n][n]}; what is no number is null.
void write_json(const Sink& write, const AttentionMap& map);

} // namespace kvasir
