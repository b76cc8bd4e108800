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

/// Bytes of a file that are packed before they are released.
constexpr uint64_t slice_bytes = 16 << 20;

/// One part: rows of one type, of each half where gated (of a stack: of each matrix's halves), whose tiles
/// stand one behind the other.
struct PartMaker {
    Device& device;
    DType dtype;
    uint32_t d_in;
    const std::string& name;
    const Release& release;

    LinearPart operator()(uint32_t first_row, const std::vector<Rows>& halves) const {
        const auto n_rows = static_cast<uint32_t>(halves[0].size()), half_tiles = tiles_of(n_rows);
        const uint32_t n_tiles = half_tiles * static_cast<uint32_t>(halves.size());
        const uint64_t tile_bytes = packed_tile_bytes(dtype, d_in),
                       scale_bytes = packed_scale_bytes(dtype, d_in);
        LinearPart part{
            Buffer(device, n_tiles * tile_bytes, Memory::device, name, Contents::undefined),
            Buffer(device, n_tiles * scale_bytes, Memory::device, name + " scales", Contents::undefined),
            dtype, first_row, n_rows};
        const auto rows_of = [&](uint32_t tile) {
            const Rows& rows = halves[tile / half_tiles];
            const uint32_t from = tile % half_tiles * tile_rows;
            return std::span(rows).subspan(from, std::min(tile_rows, n_rows - from));
        };
        const uint64_t row_bytes = uint64_t(d_in) / info(dtype).block * info(dtype).block_bytes;
        const auto step = static_cast<uint32_t>(std::max<uint64_t>(1, slice_bytes / tile_bytes));
        for (uint32_t first = 0; first < n_tiles; first += step) {
            const uint32_t n = std::min(step, n_tiles - first);
            const auto fill = [&](Buffer& buffer, uint64_t bytes, auto pack) {
                if (bytes == 0) return;
                buffer.upload(first * bytes, n * bytes, bytes, [&](std::byte* to, uint64_t from, uint64_t m) {
                    const auto begin = first + static_cast<uint32_t>(from / bytes);
                    parallel(static_cast<uint32_t>(m / bytes),
                             [&](uint32_t i) { pack(rows_of(begin + i), to + i * bytes); });
                });
            };
            fill(part.weights, tile_bytes,
                 [&](auto rows, std::byte* to) { pack_tile(dtype, d_in, rows, to, nullptr); });
            fill(part.scales, scale_bytes,
                 [&](auto rows, std::byte* to) { pack_tile(dtype, d_in, rows, nullptr, to); });
            if (!release) continue;
            std::span<const std::byte> run; // rows that follow one another in the file
            for (uint32_t tile = first; tile < first + n; ++tile)
                for (const std::byte* row : rows_of(tile)) {
                    if (row != run.data() + run.size()) {
                        release(run);
                        run = {row, 0};
                    }
                    run = {run.data(), run.size() + row_bytes};
                }
            release(run);
        }
        return part;
    }
};

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
    uint64_t sum = bias.size() + (gate ? gate->bytes() : 0);
    for (const LinearPart& part : parts) sum += part.weights.size() + part.scales.size();
    return sum;
}

Linear make_linear(Device& device, const std::vector<const TensorInfo*>& tensors, bool gated,
                   const std::string& name, uint64_t max_part_bytes, const Release& release) {
    if (gated && tensors[0]->dtype != tensors[1]->dtype) {
        Linear up = make_linear(device, {tensors[1]}, false, name, max_part_bytes, release);
        up.gate =
            std::make_unique<Linear>(make_linear(device, {tensors[0]}, false, name, max_part_bytes, release));
        return up;
    }
    Linear result;
    result.d_in = static_cast<uint32_t>(tensors[0]->shape[1]);
    result.gated = gated;
    assert(!gated || (tensors.size() == 2 && tensors[0]->shape == tensors[1]->shape));

    struct Run { ///< rows of one type
        DType dtype;
        std::vector<Rows> halves;
    };
    std::vector<Run> runs;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const TensorInfo& tensor = *tensors[i];
        if (gated && i == 1)
            runs.back().halves.emplace_back();
        else if (runs.empty() || runs.back().dtype != tensor.dtype)
            runs.push_back({tensor.dtype, std::vector<Rows>(1)});
        add_rows(runs.back().halves.back(), tensor);
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
            result.parts.push_back(
                PartMaker{device, run.dtype, result.d_in, name, release}(first_row + from, halves));
            from += n;
        }
        first_row += n_rows;
    }
    return result;
}

Linear make_stack(Device& device, const std::vector<const TensorInfo*>& tensors, const std::string& name,
                  uint64_t max_part_bytes, const Release& release) {
    if (tensors.size() == 2 && tensors[0]->dtype != tensors[1]->dtype) {
        Linear up = make_stack(device, {tensors[1]}, name, max_part_bytes, release);
        up.gate = std::make_unique<Linear>(make_stack(device, {tensors[0]}, name, max_part_bytes, release));
        return up;
    }
    const auto& shape = tensors[0]->shape;
    assert(shape.size() == 3 && (tensors.size() == 1 || tensors[1]->shape == shape));
    const auto n_matrices = static_cast<uint32_t>(shape[0]), n_rows = static_cast<uint32_t>(shape[1]);
    Linear result;
    result.d_out = n_rows;
    result.d_in = static_cast<uint32_t>(shape[2]);
    result.n_matrices = n_matrices;
    result.gated = tensors.size() == 2;
    const DType dtype = tensors[0]->dtype;
    std::vector<Rows> rows(tensors.size()); // of all matrices
    for (size_t half = 0; half < tensors.size(); ++half) {
        TensorInfo all = *tensors[half];
        all.shape = {uint64_t(n_matrices) * n_rows, result.d_in};
        add_rows(rows[half], all);
    }

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
                result.parts.emplace_back(PartMaker{device, dtype, result.d_in, name, release}(from, halves));
            part.first_matrix = first;
            part.n_matrices = end - first;
        }
    return result;
}

} // namespace kvasir
