#include "runtime/weights.hpp"

#include "runtime/pack.hpp"

#include <algorithm>
#include <cassert>
#include <thread>

namespace kvasir {
namespace {

/// Runs task(i) for i < n on all cores.
void parallel(uint32_t n, const std::function<void(uint32_t)>& task) {
    const uint32_t n_threads = std::min(n, std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::jthread> threads;
    for (uint32_t t = 0; t < n_threads; ++t)
        threads.emplace_back([&, t] {
            for (uint32_t i = t; i < n; i += n_threads) task(i);
        });
}

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

/// One part: rows of one type, of each half where gated.
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

/// Loads by role, counting what has been read.
struct Loader {
    Device& device;
    const ModelFile& file;
    const Architecture& row;
    const Progress& progress;
    uint64_t total = 0, done = 0;

    const TensorInfo* find(Role role, uint32_t layer, bool bias = false) {
        const bool named =
            std::any_of(row.names.begin(), row.names.end(), [&](auto& n) { return n.role == role; });
        return named ? file.find(tensor_name(row, role, layer, bias)) : nullptr;
    }
    std::vector<const TensorInfo*> all(const std::vector<Role>& roles, uint32_t layer, bool bias = false) {
        std::vector<const TensorInfo*> found;
        for (const Role role : roles)
            if (const TensorInfo* tensor = find(role, layer, bias)) {
                found.push_back(tensor);
                done += tensor->data.size();
            }
        return found;
    }
    Linear linear(const std::vector<Role>& roles, uint32_t layer, bool gated = false) {
        const auto tensors = all(roles, layer);
        if (tensors.empty()) return {};
        Linear result = make_linear(device, tensors, gated, tensors[0]->name);
        if (const auto biases = all(roles, layer, true); !biases.empty())
            result.bias = upload_floats(device, biases, biases[0]->name);
        if (progress) progress(done, total);
        return result;
    }
    NormWeights norm(Role role, uint32_t layer = 0) {
        NormWeights result;
        if (const auto gamma = all({role}, layer); !gamma.empty()) {
            result.width = static_cast<uint32_t>(gamma[0]->shape[0]);
            result.gamma = upload_floats(device, gamma, gamma[0]->name);
        }
        if (const auto beta = all({role}, layer, true); !beta.empty())
            result.beta = upload_floats(device, beta, beta[0]->name);
        return result;
    }
};

} // namespace

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

Weights load_weights(Device& device, const ModelFile& file, const ModelSpec& spec, const Progress& progress) {
    Loader load{device, file, architecture(spec.family), progress};
    for (const TensorInfo& tensor : file.tensors) load.total += tensor.data.size();
    Weights w;
    w.token_embedding = load.linear({Role::token_embedding}, 0);
    if (spec.learned_positions)
        w.position_embedding =
            upload_floats(device, load.all({Role::position_embedding}, 0), "position_embd");
    w.embedding_norm = load.norm(Role::embedding_norm);
    for (uint32_t l = 0; l < spec.n_layers; ++l) {
        Layer& layer = w.layers.emplace_back();
        layer.attn_norm = load.norm(Role::attn_norm, l);
        layer.qkv = load.linear(
            load.row.fused_qkv ? std::vector{Role::qkv} : std::vector{Role::q, Role::k, Role::v}, l);
        layer.q_norm = load.norm(Role::q_norm, l);
        layer.k_norm = load.norm(Role::k_norm, l);
        layer.o = load.linear({Role::o}, l);
        layer.ffn_norm = load.norm(Role::ffn_norm, l);
        layer.up = load.linear(spec.gated ? std::vector{Role::gate, Role::up} : std::vector{Role::up}, l,
                               spec.gated);
        layer.down = load.linear({Role::down}, l);
    }
    w.final_norm = load.norm(Role::final_norm);
    if (!spec.tied) w.head = load.linear({Role::head}, 0);
    if (progress) progress(load.total, load.total);
    return w;
}

} // namespace kvasir
