#include "runtime/latent.hpp"
#include "runtime/quantize.hpp"
#include "runtime/weights.hpp"

#include <algorithm>
#include <deque>

namespace kvasir {
namespace {

/// Loads by role, counting what has been read.
struct Loader {
    Device& device;
    const ModelFile& file;
    const ModelSpec& spec;
    const Architecture row;
    const Progress& progress;
    const std::optional<DType> quantize;
    const Release release = [this](std::span<const std::byte> bytes) {
        for (const MappedFile& map : file.maps) map.release(bytes);
    };
    Quantised quantised{};
    uint64_t total = 0, done = 0;
    std::deque<TensorInfo> cut{}; ///< pieces of fused tensors
    std::deque<std::vector<std::byte>>
        gathered{}; ///< tensors that lie in another order or are quantised, until they are uploaded

    const TensorInfo* find(Role role, uint32_t layer, bool bias = false) {
        const bool named =
            std::any_of(row.names.begin(), row.names.end(), [&](auto& n) { return n.role == role; });
        return named ? file.find(tensor_name(row, role, layer, bias)) : nullptr;
    }
    const TensorInfo* ordered(const TensorInfo& tensor) {
        if (tensor.runs.empty()) return &tensor;
        TensorInfo& plain = cut.emplace_back(tensor);
        plain.data = in_order(tensor, gathered.emplace_back());
        plain.runs.clear();
        const uint64_t width = info(tensor.dtype).block_bytes,
                       n = tensor.shape.size() > 1 ? tensor.shape.back() : 1;
        for (const RowRun& run : tensor.runs)
            release({run.first, (run.n_rows - 1) * run.row_step + (n - 1) * run.value_step + width});
        return &plain;
    }
    std::vector<const TensorInfo*> all(const std::vector<Role>& roles, uint32_t layer, bool bias = false) {
        std::vector<const TensorInfo*> found;
        for (const Role role : roles)
            if (const TensorInfo* tensor = find(role, layer, bias)) {
                found.push_back(ordered(*tensor));
                done += tensor->bytes();
            }
        return found;
    }
    /// In place of matrices of floats, those of the type that was asked for.
    void quantise(std::vector<const TensorInfo*>& tensors) {
        for (const TensorInfo*& tensor : tensors) {
            if (!quantize) return;
            if (info(tensor->dtype).block > 1 || tensor->n_values() < least_quantised_values ||
                tensor->shape.back() % info(*quantize).block != 0) {
                ++quantised.n_kept;
                continue;
            }
            TensorInfo& copy = cut.emplace_back(*tensor);
            copy.data = gathered.emplace_back(
                kvasir::quantised(tensor->dtype, tensor->data, tensor->shape.back(), *quantize));
            copy.dtype = *quantize;
            release(tensor->data);
            ++quantised.n_matrices;
            quantised.bytes_before += tensor->data.size();
            quantised.bytes_after += copy.data.size();
            tensor = &copy;
        }
    }
    void report() {
        gathered.clear();
        if (progress) progress(done, total);
    }
    Linear linear(const std::vector<Role>& roles, uint32_t layer, bool gated = false) {
        auto tensors = all(roles, layer);
        if (tensors.empty()) return {};
        const std::string name = tensors[0]->name;
        if (gated && tensors.size() == 1) tensors = halves_of(*tensors[0]);
        if (tensors[0]->shape.size() == 1)
            tensors = {&cut.emplace_back(*tensors[0])}, cut.back().shape.insert(cut.back().shape.begin(), 1);
        if (roles[0] != Role::router && roles[0] != Role::shared_router) quantise(tensors);
        Linear result = make_linear(device, tensors, gated, name, 0, release);
        if (const auto biases = all(roles, layer, true); !biases.empty()) {
            if (result.gate) result.gate->bias = upload_floats(device, {biases[0]}, biases[0]->name);
            result.bias = result.gate ? upload_floats(device, {biases[1]}, biases[1]->name)
                                      : upload_floats(device, biases, biases[0]->name);
        }
        report();
        return result;
    }
    /// The first and the second half of a tensor's rows.
    std::vector<const TensorInfo*> halves_of(const TensorInfo& tensor) {
        std::vector<const TensorInfo*> halves;
        for (size_t i = 0; i < 2; ++i) {
            TensorInfo& half = cut.emplace_back(tensor);
            half.shape[0] /= 2;
            half.data = tensor.data.subspan(i * (tensor.data.size() / 2), tensor.data.size() / 2);
            halves.push_back(&half);
        }
        return halves;
    }
    Linear stack(const std::vector<Role>& roles, uint32_t layer) {
        auto tensors = all(roles, layer);
        quantise(tensors);
        Linear result = make_stack(device, tensors, tensors[0]->name, 0, release);
        report();
        return result;
    }
    NormWeights norm(Role role, uint32_t layer = 0) {
        NormWeights result;
        if (const auto gamma = all({role}, layer); !gamma.empty()) {
            result.width = static_cast<uint32_t>(gamma[0]->n_values());
            result.gamma = upload_floats(device, gamma, gamma[0]->name);
        }
        if (const auto beta = all({role}, layer, true); !beta.empty())
            result.beta = upload_floats(device, beta, beta[0]->name);
        return result;
    }
    void attention(Layer& to, uint32_t l) {
        to.qkv = linear(row.fused_qkv ? std::vector{Role::qkv} : std::vector{Role::q, Role::k, Role::v}, l);
        to.q_norm = norm(Role::q_norm, l);
        to.k_norm = norm(Role::k_norm, l);
    }
    void latent_attention(Layer& to, uint32_t l) {
        to.q_a = linear({Role::q_a}, l);
        to.q_a_norm = norm(Role::q_a_norm, l);
        to.q_b = linear({spec.q_lora_rank ? Role::q_b : Role::q}, l);
        to.kv_a = linear({Role::kv_a}, l);
        to.kv_a_norm = norm(Role::kv_a_norm, l);
        const auto tensors =
            all(row.split_kv_b ? std::vector{Role::k_b, Role::v_b} : std::vector{Role::kv_b}, l);
        const LatentMatrices matrices = latent_matrices(spec, tensors);
        const auto made = [&](const std::vector<float>& values, uint64_t d_out, uint64_t d_in,
                              const char* what) {
            const TensorInfo tensor{
                what, DType::f32, {spec.n_heads, d_out, d_in}, std::as_bytes(std::span(values))};
            return make_stack(device, {&tensor}, tensors[0]->name + ", " + what);
        };
        to.absorbed = made(matrices.absorbed, spec.head_dim, spec.mla_key_dim, "keys");
        to.values = made(matrices.values, spec.mla_value_dim, spec.kv_lora_rank, "values");
        report();
    }
    void feed_forward(Layer& to, uint32_t l) {
        to.up =
            linear(spec.gated && !row.fused_gate ? std::vector{Role::gate, Role::up} : std::vector{Role::up},
                   l, spec.gated);
        to.down = linear({Role::down}, l);
    }
    void experts(Layer& to, uint32_t l) {
        to.router = linear({Role::router}, l);
        if (spec.router_bias)
            to.router_bias = upload_floats(device, all({Role::router_bias}, l, true), "router bias");
        to.expert_up = stack(spec.gated ? std::vector{Role::expert_gates, Role::expert_ups}
                                        : std::vector{Role::expert_ups},
                             l);
        to.expert_down = stack({Role::expert_downs}, l);
        if (spec.d_shared == 0) return;
        if (spec.shared_gate) to.shared_router = linear({Role::shared_router}, l);
        to.shared_up = linear(spec.gated ? std::vector{Role::shared_gate, Role::shared_up}
                                         : std::vector{Role::shared_up},
                              l, spec.gated);
        to.shared_down = linear({Role::shared_down}, l);
    }
};

} // namespace

Weights load_weights(Device& device, const ModelFile& file, const ModelSpec& spec, const Progress& progress,
                     std::optional<DType> quantize) {
    Loader load{device, file, spec, architecture_of(file, spec.family), progress, quantize};
    for (const TensorInfo& tensor : file.tensors) load.total += tensor.bytes();
    Weights w;
    w.token_embedding = load.linear({Role::token_embedding}, 0);
    if (spec.learned_positions)
        w.position_embedding =
            upload_floats(device, load.all({Role::position_embedding}, 0), "position_embd");
    w.embedding_norm = load.norm(Role::embedding_norm);
    for (uint32_t l = 0; l < spec.n_layers; ++l) {
        Layer& layer = w.layers.emplace_back();
        layer.attn_norm = load.norm(Role::attn_norm, l);
        spec.latent() ? load.latent_attention(layer, l) : load.attention(layer, l);
        layer.o = load.linear({Role::o}, l);
        layer.attn_post_norm = load.norm(Role::attn_post_norm, l);
        layer.ffn_norm = load.norm(Role::ffn_norm, l);
        spec.has_experts(l) ? load.experts(layer, l) : load.feed_forward(layer, l);
        layer.ffn_post_norm = load.norm(Role::ffn_post_norm, l);
    }
    w.final_norm = load.norm(Role::final_norm);
    if (!spec.tied) w.head = load.linear({Role::head}, 0);
    if (progress) progress(load.total, load.total);
    w.quantised = load.quantised;
    return w;
}

} // namespace kvasir
