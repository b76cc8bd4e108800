#include "runtime/session.hpp"
#include "runtime/spec_json.hpp"
#include "tests/golden.hpp"
#include "tests/random_model.hpp"
#include "tests/reference/forward.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <functional>

// Small models with seeded weights of every family, and of choices that no family makes together, on the
// device against the reference. Shapes are odd on purpose: no size is a multiple of what kernels work in.

namespace kvasir {
namespace {

constexpr uint32_t n_tokens = 45; // beyond windows, and beyond the trained length of 24

/// 3 layers, d_model 44, 3 heads of 20 on as many KV heads.
ModelSpec small(const std::string& family, const std::function<void(ModelSpec&)>& change = {}) {
    ModelSpec m = architecture(family).choices;
    m.name = family;
    m.n_layers = 3;
    m.n_heads = m.n_kv_heads = 3;
    m.head_dim = m.rope_dim = 20;
    m.d_model = 44;
    m.d_ff = 52;
    m.n_vocab = 259;
    m.n_ctx = m.rope == Rope::none && m.alibi_max_bias == 0 ? 64 : 24;
    m.norm_eps = 0x1p-17;
    m.qkv_bias = m.o_bias = m.ffn_bias = m.norm_bias = m.norm == Norm::layer;
    if (change) change(m);
    if (m.rope == Rope::none) m.rope_dim = 0;
    return m;
}

struct Family {
    std::string name;
    ModelSpec m;
    Architecture row;
    bool from_file = true; ///< the file's keys can say all of it

    Family(std::string name_, ModelSpec m_, const std::function<void(Architecture&)>& change = {})
        : name(std::move(name_)), m(std::move(m_)), row(architecture(m.family)) {
        from_file = m.family != stated_family;
        if (change) change(row);
    }
};

using M = ModelSpec&;
using A = Architecture&;

void fused(A row) {
    row.fused_qkv = true;
}

std::vector<Family> gpt_families() {
    const auto two_norms = [](A row) { row.fused_qkv = true, row.names = row.two_norms_names; };
    return {
        {"GPT-2", small("gpt2", [](M m) { m.learned_positions = m.tied = true; }), fused},
        {"BLOOM, 5 heads", small("bloom", [](M m) { m.n_heads = m.n_kv_heads = 5; }), fused},
        {"MPT with clamp and ALiBi",
         small("mpt",
               [](M m) {
                   m.alibi_max_bias = 4, m.qkv_clamp = 0.5, m.n_ctx = 24, m.tied = true;
                   m.qkv_bias = m.o_bias = m.ffn_bias = m.norm_bias = false;
               }),
         fused},
        {"MPT with positions and norms of q and k",
         small("mpt", [](M m) { m.learned_positions = m.qk_norm_bias = true, m.qk_norm = QkNorm::row; }),
         fused},
        {"Falcon 7B",
         small("falcon", [](M m) { m.n_kv_heads = 1, m.qkv_bias = m.o_bias = m.ffn_bias = false; }), fused},
        {"Falcon 40B", small("falcon", [](M m) { m.n_heads = 6, m.n_kv_heads = 2, m.parallel_norms = true; }),
         two_norms},
        {"GPT-NeoX, serial", small("gptneox", [](M m) { m.rope_dim = 6; }), fused},
        {"GPT-NeoX, parallel",
         small("gptneox", [](M m) { m.rope_dim = 6, m.parallel = m.parallel_norms = true; }), fused},
        {"GPT-J",
         small("gptj", [](M m) { m.qkv_bias = m.o_bias = false, m.head_bias = true, m.rope_dim = 8; })},
        {"StarCoder", small("starcoder", [](M m) { m.learned_positions = true, m.n_kv_heads = 1; }), fused},
        {"StarCoder 2", small("starcoder2", [](M m) { m.n_heads = 4, m.n_kv_heads = 2, m.window = 11; })},
        {"Phi-2, fused", small("phi2", [](M m) { m.rope_dim = 8, m.head_bias = true; }), fused},
        {"Phi-2", small("phi2", [](M m) { m.rope_dim = 8; })},
        {"StableLM", small("stablelm", [](M m) { m.rope_dim = 4, m.o_bias = m.ffn_bias = false; })},
        {"StableLM 2 12B", small("stablelm",
                                 [](M m) {
                                     m.rope_dim = 4, m.n_heads = 4, m.n_kv_heads = 2, m.parallel = true;
                                     m.qk_norm = QkNorm::heads, m.norm_bias = m.qkv_bias = false;
                                 })},
    };
}

std::vector<Family> llama_families() {
    const auto scaled = [](RopeScaling kind, double factor) {
        return small("llama", [=](M m) { m.rope_scaling = kind, m.rope_factor = factor; });
    };
    const auto factors = [](M m) {
        m.rope_scaling = RopeScaling::factors;
        for (uint32_t i = 0; i < m.rope_dim / 2; ++i) m.rope_factors.push_back(1 + 0.25 * i);
    };
    return {
        {"LLaMA, a window longer than the prompt",
         small("llama", [](M m) { m.n_kv_heads = 1, m.window = 4096; })},
        {"Mistral", small("llama", [](M m) { m.n_heads = 6, m.n_kv_heads = 2, m.window = 7; })},
        {"LLaMA, biases", small("llama", [](M m) { m.qkv_bias = m.o_bias = m.ffn_bias = m.tied = true; })},
        {"linear RoPE", scaled(RopeScaling::linear, 4)},
        {"YaRN", scaled(RopeScaling::yarn, 8)},
        {"LLaMA 3", small("llama", factors)},
        {"Refact, 7 heads", small("refact", [](M m) { m.n_heads = 7, m.n_kv_heads = 1; })},
        {"LLaMA with learned positions, GQA, tied",
         small("llama-learned",
               [](M m) { m.n_heads = 6, m.n_kv_heads = 2, m.learned_positions = m.tied = true; })},
        {"Phi-3, factors beyond the original length",
         small("phi3",
               [=](M m) {
                   factors(m);
                   m.rope_original_ctx = 16, m.rope_magnitude = 1.25, m.window = 13;
                   for (const double factor : m.rope_factors) m.rope_long_factors.push_back(3 * factor);
               }),
         [](A row) { row.fused_qkv = true; }},
        {"Qwen 2", small("qwen2", [](M m) { m.qkv_bias = true, m.rope_base = 1e6; })},
        {"Qwen 3",
         small("qwen3", [](M m) { m.n_heads = 4, m.n_kv_heads = 2, m.head_dim = m.rope_dim = 36; })},
        {"Gemma",
         small("gemma", [](M m) { m.tied = true, m.n_kv_heads = 1, m.embedding_scale = std::sqrt(44.0); })},
        {"Gemma 2", small("gemma2",
                          [](M m) {
                              m.tied = true, m.embedding_scale = std::sqrt(44.0), m.window = 9;
                              m.attention_softcap = 1.5, m.logit_softcap = 2;
                          })},
        {"Gemma 2 27B", small("gemma2",
                              [](M m) {
                                  m.tied = true, m.n_layers = 46, m.window = 9;
                                  m.embedding_scale = std::sqrt(44.0),
                                  m.attention_scale = std::sqrt(3 / 44.0);
                              })},
    };
}

std::vector<Family> expert_families() {
    const auto experts = [](M m) { m.n_experts = 5, m.n_experts_used = 2, m.d_expert = 36; };
    const auto latent = [](M m) {
        m.n_kv_heads = 1, m.kv_lora_rank = 28, m.rope_dim = 10, m.head_dim = 38;
        m.mla_key_dim = 24, m.mla_value_dim = 15, m.attention_scale = 1 / std::sqrt(24.0);
    };
    return {
        {"Mixtral", small("llama", experts)},
        {"Qwen 2 with experts", small("qwen2moe",
                                      [=](M m) {
                                          experts(m);
                                          m.d_shared = 68, m.qkv_bias = true;
                                      })},
        {"Qwen 3 with experts, one of them used", small("qwen3moe",
                                                        [=](M m) {
                                                            experts(m);
                                                            m.n_experts_used = 1;
                                                        })},
        {"Qwen 3 with experts, all used", small("qwen3moe",
                                                [=](M m) {
                                                    experts(m);
                                                    m.n_experts_used = 5, m.router_norm = false;
                                                })},
        {"DeepSeek V2 Lite", small("deepseek2",
                                   [=](M m) {
                                       experts(m), latent(m);
                                       m.n_dense_layers = 1, m.d_shared = 72, m.router_scale = 2;
                                   })},
        {"DeepSeek V3",
         small("deepseek2",
               [=](M m) {
                   experts(m), latent(m);
                   m.q_lora_rank = 26, m.router = Router::sigmoid, m.d_shared = 36;
                   m.router_bias = m.router_norm = true, m.router_scale = 2.5;
               }),
         [](A row) { row.split_kv_b = true; }},
    };
}

/// What no released model combines.
std::vector<Family> stated_models() {
    const auto stated = [](const std::function<void(ModelSpec&)>& change) {
        return small(stated_family, change);
    };
    const auto rope = [](M m, Rope kind) { m.rope = kind, m.rope_dim = 20, m.n_ctx = 24; };
    return {
        {"the first GPT: norms of the sums", stated([](M m) {
             m.learned_positions = m.post_norm = m.norm_bias = m.qkv_bias = m.o_bias = m.ffn_bias = true;
             m.pre_norm = m.final_norm = m.gated = false;
             m.norm = Norm::layer, m.activation = Activation::gelu_tanh;
         })},
        {"ReGLU, norms of the sums, RoPE and ALiBi, GQA", stated([=](M m) {
             rope(m, Rope::halves);
             m.alibi_max_bias = 8, m.n_heads = 6, m.n_kv_heads = 2, m.post_norm = true, m.pre_norm = false;
             m.activation = Activation::relu;
         })},
        {"norms of branches alone, GLU, NTK", stated([=](M m) {
             rope(m, Rope::pairs);
             m.branch_norm = true, m.pre_norm = false, m.activation = Activation::sigmoid;
             m.rope_scaling = RopeScaling::ntk, m.rope_factor = 3, m.qk_norm = QkNorm::row;
         })},
        {"parallel, two norms, norms of branches, GEGLU (erf), every third layer sees all", stated([=](M m) {
             rope(m, Rope::halves);
             m.parallel = m.parallel_norms = m.branch_norm = true, m.activation = Activation::gelu_erf;
             m.window = 6, m.window_period = 3, m.window_rope_base = 500;
         })},
        {"experts behind norms of branches", stated([=](M m) {
             rope(m, Rope::halves);
             m.branch_norm = true, m.pre_norm = false, m.gated = false, m.activation = Activation::relu;
             m.n_experts = 3, m.n_experts_used = 2, m.d_expert = 20, m.d_shared = 12, m.shared_gate = true;
         })},
        {"no positions at all, LayerNorm, embedding norm", stated([](M m) {
             m.norm = Norm::layer, m.norm_bias = m.embedding_norm = true, m.embedding_scale = 3;
         })},
        {"latent attention with ALiBi, a window and a soft-cap", stated([](M m) {
             m.rope = Rope::halves, m.n_ctx = 24, m.rope_dim = 6, m.head_dim = 22, m.kv_lora_rank = 16;
             m.n_kv_heads = 1, m.mla_key_dim = 16, m.mla_value_dim = 9, m.attention_scale = 0.3;
             m.alibi_max_bias = 8, m.window = 12, m.attention_softcap = 2;
         })},
    };
}

std::vector<int32_t> random_ids() {
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < n_tokens; ++i) ids.push_back(int32_t((i * 2654435761u >> 8) % 259));
    return ids;
}

/// The largest |difference|, relative to the root mean square of what is expected.
double relative_error(std::span<const float> found, const std::vector<double>& expected) {
    REQUIRE(found.size() == expected.size());
    double worst = 0, squares = 0;
    for (size_t i = 0; i < found.size(); ++i) {
        REQUIRE(std::isfinite(found[i]));
        worst = std::max(worst, std::abs(found[i] - expected[i]));
        squares += expected[i] * expected[i] / double(expected.size());
    }
    return worst / std::sqrt(squares);
}

std::vector<float> evaluate(Session& session, std::span<const int32_t> ids, std::vector<uint32_t> chunks) {
    session.rewind(0);
    std::vector<float> logits;
    for (uint32_t done = 0, i = 0; done < ids.size(); ++i) {
        const uint32_t n =
            std::min<uint32_t>(chunks[std::min<size_t>(i, chunks.size() - 1)], uint32_t(ids.size()) - done);
        session.evaluate(ids.subspan(done, n), [&](uint32_t, std::span<const float> row) {
            logits.insert(logits.end(), row.begin(), row.end());
        });
        done += n;
    }
    return logits;
}

/// The device's attention rows of all layers, against the reference's.
void check_probes(Session& session, const ModelSpec& m, std::span<const int32_t> ids,
                  const reference::Trace& trace) {
    std::vector<uint32_t> layers;
    for (uint32_t l = 0; l < m.n_layers; ++l) layers.push_back(l);
    session.watch(layers);
    double worst = 0;
    session.on_attention = [&](const AttentionRows& rows) {
        const auto& expected =
            trace.layers[rows.layer].attention.probabilities; // [n_tokens, n_heads, n_tokens]
        for (size_t q = 0; q < rows.n_queries; ++q)
            for (size_t h = 0; h < rows.n_heads; ++h)
                for (size_t j = 0; j < rows.n_keys; ++j)
                    worst = std::max(worst,
                                     std::abs(rows.p[(q * rows.n_heads + h) * rows.n_keys + j] -
                                              expected[((rows.first + q) * m.n_heads + h) * ids.size() + j]));
    };
    evaluate(session, ids, {30, 1});
    session.watch({});
    session.on_attention = {};
    CHECK(worst < 1e-4);
}

void check_family(Device& device, const Family& family, KvType kv, double limit) {
    CAPTURE(family.name);
    GgufWriter writer = random_model(family.m, DType::f32, 7, family.row);
    add_spm_vocabulary(writer, family.m.n_vocab);
    const auto bytes = writer.bytes();
    const ModelFile file = parse_gguf(bytes, family.name);
    family.m.validate();
    if (family.from_file) {
        ModelSpec found = read_spec(file);
        if (family.m.attention_scale > 0) // a float32 in the file
            CHECK(std::exchange(found.attention_scale, family.m.attention_scale) ==
                  doctest::Approx(family.m.attention_scale).epsilon(1e-6));
        CHECK(found == family.m);
    }
    CHECK(spec_from_json(spec_to_json(family.m)) == family.m);
    check_tensors(file, family.m);
    const Model model{family.name, file.format, family.m, Tokenizer(file.metadata),
                      load_weights(device, file, family.m, {})};
    const auto ids = random_ids();
    const reference::Model exact(file, family.m, architecture_of(file, family.m.family));
    const reference::Trace trace = reference::forward(exact, ids, kv, 64);
    Session session(device, model, {.n_ctx = 64, .kv = kv});
    for (const std::vector<uint32_t>& chunks : {std::vector<uint32_t>{64}, {1}, {5, 1, 23, 1, 1, 9}}) {
        CAPTURE(chunks.size());
        CHECK(relative_error(evaluate(session, ids, chunks), trace.logits) < limit);
    }
    if (kv == KvType::f32) check_probes(session, family.m, ids, trace);
}

void check_all(const std::vector<Family>& families) {
    Device device;
    for (const Family& family : families) check_family(device, family, KvType::f32, 1e-4);
}

} // namespace

TEST_CASE("GPT-2 and its descendants, on the device as in the reference") {
    check_all(gpt_families());
}

TEST_CASE("LLaMA and its descendants, on the device as in the reference") {
    check_all(llama_families());
}

TEST_CASE("experts and latent attention, on the device as in the reference") {
    check_all(expert_families());
}

TEST_CASE("choices that no released model combines, on the device as in the reference") {
    check_all(stated_models());
}

TEST_CASE("a latent cache rounds as other caches do") {
    Device device;
    const auto families = expert_families();
    const auto lite = std::find_if(families.begin(), families.end(), [](auto& f) { return f.m.latent(); });
    // One entry rounded the other way changes a key or value by 2^-11, or by 1/127, of its size.
    check_family(device, *lite, KvType::f16, 1e-3);
    check_family(device, *lite, KvType::q8_0, 1e-2);
}

TEST_CASE("every family has a case here") {
    std::vector<Family> all;
    for (const auto& list : {gpt_families(), llama_families(), expert_families()})
        all.insert(all.end(), list.begin(), list.end());
    for (const std::string& family : families())
        CHECK_MESSAGE(std::any_of(all.begin(), all.end(), [&](auto& f) { return f.m.family == family; }),
                      family);
}

} // namespace kvasir
