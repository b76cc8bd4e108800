// One damaged thing in a whole model's file: the error has the tensor's name.
#include "runtime/architectures.hpp"
#include "tests/expect_error.hpp"
#include "tests/random_model.hpp"

#include <doctest/doctest.h>

#include <functional>

namespace kvasir {
namespace {

using Damage = std::function<void(GgufWriter::Tensor&)>;

ModelSpec small(const std::string& family) {
    ModelSpec m = architecture(family).choices;
    m.name = family;
    m.n_layers = 2, m.n_heads = 4, m.n_kv_heads = 2, m.head_dim = m.rope_dim = 20, m.d_model = 44,
    m.d_ff = 52;
    m.n_vocab = 259, m.n_ctx = 24;
    m.qkv_bias = m.o_bias = m.ffn_bias = m.norm_bias = m.norm == Norm::layer;
    if (m.rope == Rope::none) m.rope_dim = 0;
    return m;
}

std::vector<ModelSpec> models() {
    ModelSpec experts = small("qwen2moe");
    experts.n_experts = 5, experts.n_experts_used = 2, experts.d_expert = 36, experts.d_shared = 68;
    ModelSpec latent = small("deepseek2");
    latent.n_kv_heads = 1, latent.kv_lora_rank = 28, latent.rope_dim = 10, latent.head_dim = 38;
    latent.mla_key_dim = 24, latent.mla_value_dim = 15, latent.attention_scale = 0.25;
    ModelSpec factors = small("llama");
    factors.rope_scaling = RopeScaling::factors, factors.rope_factors.assign(10, 2);
    ModelSpec bloom = small("bloom");
    bloom.n_kv_heads = 4;
    return {small("llama"), factors, small("gemma2"), small("gpt2"), bloom, experts, latent};
}

void check_whole(const std::vector<std::byte>& bytes) {
    const ModelFile file = parse_gguf(bytes, "m.gguf");
    check_tensors(file, read_spec(file));
}

/// Every tensor of every model, one after another, damaged alone.
void each(const Damage& damage) {
    for (const ModelSpec& m : models()) {
        CAPTURE(m.family);
        const GgufWriter whole = random_model(m, DType::f32);
        CHECK_NOTHROW(check_whole(whole.bytes()));
        for (size_t i = 0; i < whole.tensors.size(); ++i) {
            GgufWriter damaged = whole;
            damage(damaged.tensors[i]);
            CAPTURE(whole.tensors[i].name);
            expect_error([&] { check_whole(damaged.bytes()); }, {"m.gguf", damaged.tensors[i].name});
        }
    }
}

} // namespace

TEST_CASE("a damaged name is told as it stands in the file") {
    each([](auto& tensor) { tensor.name[1] ^= 1; });
    each([](auto& tensor) { tensor.name.back() ^= 2; });
}

TEST_CASE("a damaged type is told with the tensor's name") {
    for (const uint32_t type : {1u /* F16 */, 8u /* Q8_0 */, 16u /* not run */, 28u /* F64 */, 255u})
        each([type](auto& tensor) { tensor.type = type; });
}

TEST_CASE("a damaged axis is told with the tensor's name") {
    for (const uint64_t bit : {0, 1, 5, 40, 63})
        each([bit](auto& tensor) { tensor.shape.back() ^= uint64_t{1} << bit; });
    each([](auto& tensor) { tensor.shape.insert(tensor.shape.begin(), 1); });
    each([](auto& tensor) { tensor.shape.push_back(1); });
}

TEST_CASE("a damaged offset is told with the tensor's name") {
    for (const ModelSpec& m : models()) {
        const GgufWriter whole = random_model(m, DType::f32);
        for (size_t i = 0; i < whole.tensors.size(); ++i)
            for (const int bit : {0, 4, 5, 6, 12, 40, 63}) {
                GgufWriter damaged = whole;
                for (size_t t = 0; t < whole.tensors.size(); ++t)
                    damaged.tensors[t].offset = whole.offset_of(t) ^ (t == i ? uint64_t{1} << bit : 0);
                CAPTURE(bit);
                expect_error([&] { check_whole(damaged.bytes()); }, {"m.gguf", whole.tensors[i].name});
            }
    }
}

} // namespace kvasir
