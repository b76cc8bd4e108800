#include "runtime/weights.hpp"

#include "runtime/pack.hpp"
#include "runtime/parallel.hpp"

#include <algorithm>
#include <cassert>

namespace kvasir {
namespace {

using Rows = std::vector<const std::byte*>;

void add_rows(Rows& rows, const TensorInfo& tensor) {
    const uint64_t bytes = tensor.data.size() / tensor.shape[0];
    for (uint64_t r = 0; r < tensor.shape[0]; ++r) rows.push_back(tensor.data.data() + r * bytes);
}

/// Fills a buffer of n_tiles tiles, each `tile_bytes` long; halves of a gated part stand one behind the
/// other.
void fill_tiles(Buffer& buffer, uint32_t n_tiles, uint64_t tile_bytes,
                const std::function<void(uint32_t, std::byte*)>& pack) {
    buffer.upload(n_tiles * tile_bytes, tile_bytes, [&](std::byte* target, uint64_t from, uint64_t n) {
        parallel(static_cast<uint32_t>(n / tile_bytes), [&](uint32_t i) {
            pack(static_cast<uint32_t>(from / tile_bytes) + i, target + i * tile_bytes);
        });
    });
}

/// One part: rows of one type, of each half where gated (of a stack: of each matrix's halves).
LinearPart make_part(Device& device, DType dtype, uint32_t d_in, uint32_t first_row,
                     const std::vector<Rows>& halves, const std::string& name) {
    const auto n_rows = static_cast<uint32_t>(halves[0].size());
    const uint32_t half_tiles = tiles_of(n_rows), n_tiles = half_tiles * static_cast<uint32_t>(halves.size());
    const uint64_t tile_bytes = packed_tile_bytes(dtype, d_in), scale_bytes = packed_scale_bytes(dtype, d_in);
    LinearPart part{Buffer(device, n_tiles * tile_bytes, Memory::device, name), Buffer(), dtype, first_row,
                    n_rows};
    const auto rows_of = [&](uint32_t tile) {
        const Rows& rows = halves[tile / half_tiles];
        const uint32_t from = tile % half_tiles * tile_rows;
        return std::span(rows).subspan(from, std::min(tile_rows, n_rows - from));
    };
    fill_tiles(part.weights, n_tiles, tile_bytes,
               [&](uint32_t tile, std::byte* to) { pack_tile(dtype, d_in, rows_of(tile), to, nullptr); });
    part.scales = Buffer(device, n_tiles * scale_bytes, Memory::device, name + " scales");
    if (scale_bytes)
        fill_tiles(part.scales, n_tiles, scale_bytes,
                   [&](uint32_t tile, std::byte* to) { pack_tile(dtype, d_in, rows_of(tile), nullptr, to); });
    return part;
}

/// The rows of a tensor as float32, for the rare file whose gate and up projection differ in type.
std::vector<float> decoded(const TensorInfo& tensor) {
    std::vector<float> values(tensor.n_values());
    decode(tensor.dtype, tensor.data.data(), values.data(), values.size());
    return values;
}

} // namespace

Buffer upload_floats(Device& device, const std::vector<const TensorInfo*>& tensors, const std::string& name) {
    std::vector<float> values;
    for (const TensorInfo* tensor : tensors) {
        const auto part = decoded(*tensor);
        values.insert(values.end(), part.begin(), part.end());
    }
    Buffer buffer(device, values.size() * sizeof(float), Memory::device, name);
    buffer.upload(std::as_bytes(std::span(values)));
    return buffer;
}

uint64_t Linear::bytes() const {
    uint64_t sum = bias.size();
    for (const LinearPart& part : parts) sum += part.weights.size() + part.scales.size();
    return sum;
}

Linear make_linear(Device& device, const std::vector<const TensorInfo*>& tensors, bool gated,
                   const std::string& name, uint64_t max_part_bytes) {
    Linear result;
    result.d_in = static_cast<uint32_t>(tensors[0]->shape[1]);
    result.gated = gated;
    assert(!gated || (tensors.size() == 2 && tensors[0]->shape == tensors[1]->shape));

    struct Run { ///< rows of one type
        DType dtype;
        std::vector<Rows> halves;
    };
    std::vector<Run> runs;
    std::vector<std::vector<float>> transcoded;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const TensorInfo& tensor = *tensors[i];
        TensorInfo exact = tensor;
        if (gated && tensors[0]->dtype != tensors[1]->dtype) {
            transcoded.push_back(decoded(tensor));
            exact.dtype = DType::f32;
            exact.data = std::as_bytes(std::span(transcoded.back()));
        }
        if (gated && i == 1)
            runs.back().halves.emplace_back();
        else if (runs.empty() || runs.back().dtype != exact.dtype)
            runs.push_back({exact.dtype, std::vector<Rows>(1)});
        add_rows(runs.back().halves.back(), exact);
        if (!gated || i == 0) result.d_out += static_cast<uint32_t>(tensor.shape[0]);
    }

    uint64_t limit = std::min(device.info().max_binding, device.info().max_allocation);
    if (max_part_bytes > 0) limit = std::min(limit, max_part_bytes);
    uint32_t first_row = 0;
    for (const Run& run : runs) {
        const uint64_t tile_bytes = packed_tile_bytes(run.dtype, result.d_in) * run.halves.size();
        const uint64_t most_rows = std::max<uint64_t>(1, limit / tile_bytes) * tile_rows;
        const auto n_rows = static_cast<uint32_t>(run.halves[0].size());
        for (uint32_t from = 0; from < n_rows;) {
            const auto n = static_cast<uint32_t>(std::min<uint64_t>(most_rows, n_rows - from));
            std::vector<Rows> halves;
            for (const Rows& rows : run.halves)
                halves.emplace_back(rows.begin() + from, rows.begin() + from + n);
            result.parts.push_back(make_part(device, run.dtype, result.d_in, first_row + from, halves, name));
            from += n;
        }
        first_row += n_rows;
    }
    return result;
}

Linear make_stack(Device& device, const std::vector<const TensorInfo*>& tensors, const std::string& name,
                  uint64_t max_part_bytes) {
    const auto& shape = tensors[0]->shape;
    assert(shape.size() == 3 && (tensors.size() == 1 || tensors[1]->shape == shape));
    const auto n_matrices = static_cast<uint32_t>(shape[0]), n_rows = static_cast<uint32_t>(shape[1]);
    Linear result;
    result.d_out = n_rows;
    result.d_in = static_cast<uint32_t>(shape[2]);
    result.n_matrices = n_matrices;
    result.gated = tensors.size() == 2;
    DType dtype = tensors[0]->dtype;
    std::vector<std::vector<float>> transcoded;
    std::vector<TensorInfo> exact;
    for (const TensorInfo* tensor : tensors) {
        TensorInfo& all_rows = exact.emplace_back(*tensor);
        all_rows.shape = {uint64_t(n_matrices) * n_rows, result.d_in};
        if (tensors.back()->dtype == tensors[0]->dtype) continue;
        dtype = all_rows.dtype = DType::f32;
        transcoded.push_back(decoded(*tensor));
        all_rows.data = std::as_bytes(std::span(transcoded.back()));
    }
    std::vector<Rows> rows(tensors.size()); // of all matrices
    for (size_t half = 0; half < exact.size(); ++half) add_rows(rows[half], exact[half]);

    uint64_t limit = std::min(device.info().max_binding, device.info().max_allocation);
    if (max_part_bytes > 0) limit = std::min(limit, max_part_bytes);
    const uint64_t tile_bytes = packed_tile_bytes(dtype, result.d_in) * rows.size();
    const uint64_t tiles = std::max<uint64_t>(1, limit / tile_bytes);
    const auto rows_a_part = static_cast<uint32_t>(std::min<uint64_t>(n_rows, tiles * tile_rows));
    const auto matrices_a_part = static_cast<uint32_t>(std::max<uint64_t>(1, tiles / tiles_of(n_rows)));
    for (uint32_t first = 0; first < n_matrices; first += matrices_a_part)
        for (uint32_t from = 0; from < n_rows; from += rows_a_part) {
            const uint32_t n = std::min(rows_a_part, n_rows - from);
            const uint32_t end = std::min(n_matrices, first + matrices_a_part);
            std::vector<Rows> halves;
            for (uint32_t i = first; i < end; ++i)
                for (const Rows& half : rows) {
                    const auto begin = half.begin() + ptrdiff_t(uint64_t(i) * n_rows + from);
                    halves.emplace_back(begin, begin + n);
                }
            LinearPart& part =
                result.parts.emplace_back(make_part(device, dtype, result.d_in, from, halves, name));
            part.first_matrix = first;
            part.n_matrices = end - first;
        }
    return result;
}

} // namespace kvasir
