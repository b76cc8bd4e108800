#include "runtime/model_spec.hpp"

#include "runtime/architectures.hpp"
#include "tests/expect_error.hpp"
#include "tests/golden.hpp"
#include "tests/random_model.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace kvasir {

namespace {

/// One attention block with biases, as the teaching notes count it.
ModelSpec notes_block(uint32_t n_kv_heads) {
    ModelSpec spec = model_shape("minimind26m");
    spec.d_model = 512;
    spec.n_heads = 8;
    spec.head_dim = 64;
    spec.n_kv_heads = n_kv_heads;
    spec.qkv_bias = spec.o_bias = true;
    return spec;
}

/// The shape read back from a file made of `spec`, with `damage` done to the writer before.
ModelSpec through_file(const ModelSpec& spec, const std::function<void(GgufWriter&)>& damage = {}) {
    GgufWriter writer = random_model(spec, DType::f32);
    if (damage) damage(writer);
    const auto bytes = writer.bytes();
    const ModelFile file = parse_gguf(bytes, "m.gguf");
    const ModelSpec found = read_spec(file);
    check_tensors(file, found);
    return found;
}

void set_u32(GgufWriter& writer, const std::string& key, uint32_t value) {
    writer.remove(key);
    writer.add_u32(key, value);
}

GgufWriter::Tensor& tensor(GgufWriter& writer, const std::string& name) {
    const auto it =
        std::find_if(writer.tensors.begin(), writer.tensors.end(), [&](auto& t) { return t.name == name; });
    REQUIRE(it != writer.tensors.end());
    return *it;
}

void remove_tensor(GgufWriter& writer, const std::string& name) {
    std::erase_if(writer.tensors, [&](const auto& t) { return t.name == name; });
}

void refused(const std::function<void(GgufWriter&)>& damage, std::initializer_list<std::string> parts) {
    expect_error([&] { through_file(model_shape("tiny"), damage); }, parts);
}

using W = GgufWriter&;

/// A text as GGUF stores it: its length, then its bytes.
std::vector<std::byte> text_payload(const std::string& text) {
    GgufWriter writer;
    writer.add_text("", text);
    return writer.pairs[0].payload;
}

} // namespace

TEST_CASE("parameters of one attention block with biases, as published in the notes") {
    CHECK(notes_block(1).attention_parameters() == 590'976);
    CHECK(notes_block(2).attention_parameters() == 656'640);
    CHECK(notes_block(4).attention_parameters() == 787'968);
    CHECK(notes_block(8).attention_parameters() == 1'050'624);
}

TEST_CASE("parameters of MiniMind2-Small, by hand") {
    const uint64_t attention = 512 * 512 + 2 * 512 * 128 + 512 * 512; // q, k and v, o
    const uint64_t layer = 512 + attention + 512 + 3 * 512 * 1408;    // two norms; gate, up, down
    const ModelSpec spec = model_shape("minimind26m");
    CHECK(spec.attention_parameters() == attention);
    CHECK(spec.parameters() == 6400 * 512 + 8 * layer + 512);
    CHECK(spec.parameters() == 25'829'888);
    ModelSpec untied = spec;
    untied.tied = false;
    CHECK(untied.parameters() - spec.parameters() == 6400 * 512);
}

TEST_CASE("parameters of GPT-2 124M, as published: 124,439,808") {
    ModelSpec spec;
    spec.n_layers = 12, spec.n_heads = spec.n_kv_heads = 12, spec.head_dim = 64, spec.d_model = 768,
    spec.d_ff = 3072;
    spec.n_vocab = 50257, spec.n_ctx = 1024;
    spec.learned_positions = spec.norm_bias = spec.qkv_bias = spec.o_bias = spec.ffn_bias = spec.tied = true;
    spec.norm = Norm::layer, spec.activation = Activation::gelu_tanh, spec.gated = false;
    spec.validate();
    CHECK(spec.parameters() == 124'439'808);
}

TEST_CASE("bytes a token in the cache: every type, heads padded to what the cache stores") {
    ModelSpec spec = model_shape("minimind26m"); // 8 layers, 2 KV heads of 64
    CHECK(spec.kv_bytes_per_token(KvType::f16) == 2 * 8 * 2 * 64 * 2);
    CHECK(spec.kv_bytes_per_token(KvType::f32) == 2 * 8 * 2 * 64 * 4);
    CHECK(spec.kv_bytes_per_token(KvType::q8_0) == 2 * 8 * 2 * 2 * 34);
    const uint64_t gqa = spec.kv_bytes_per_token(KvType::f16);
    spec.n_kv_heads = 8;
    CHECK(spec.kv_bytes_per_token(KvType::f16) == 4 * gqa); // "a quarter of MHA's"
    spec.n_layers = spec.n_kv_heads = 1;
    spec.head_dim = 33;
    CHECK(spec.kv_bytes_per_token(KvType::f16) == 2 * 40 * 2);
    CHECK(spec.kv_bytes_per_token(KvType::f32) == 2 * 36 * 4);
    CHECK(spec.kv_bytes_per_token(KvType::q8_0) == 2 * 2 * 34);
}

TEST_CASE("ALiBi slopes: powers of two, and the two-series rule") {
    const auto close = [](float found, double expected) { return std::fabs(found / expected - 1) < 1e-6; };
    for (const uint32_t n : {1u, 2u, 4u, 8u, 16u, 32u}) {
        const auto slopes = alibi_slopes(n, 8);
        REQUIRE(slopes.size() == n);
        for (uint32_t h = 0; h < n; ++h) CHECK(close(slopes[h], std::pow(2.0, -8.0 * (h + 1) / n)));
    }
    CHECK(alibi_slopes(8, 8)[0] == 0.5f);
    CHECK(alibi_slopes(8, 8)[7] == 1 / 256.0f);
    const double twelve[] = {1 / 2.,   1 / 4.,   1 / 8.,     1 / 16.,    1 / 32.,    1 / 64.,
                             1 / 128., 1 / 256., 0.70710678, 0.35355339, 0.17677670, 0.08838835};
    const auto slopes = alibi_slopes(12, 8);
    REQUIRE(slopes.size() == 12);
    for (size_t h = 0; h < 12; ++h) CHECK(close(slopes[h], twelve[h]));
    CHECK(close(alibi_slopes(32, 16)[0], 0.70710678));
    CHECK(close(alibi_slopes(32, 16)[31], 1.0 / 65536));
    for (uint32_t n = 1; n <= 128; ++n) { // MPT's form: odd then even steps of the next power of two
        const uint32_t up = static_cast<uint32_t>(std::exp2(std::ceil(std::log2(n))));
        std::vector<double> expected;
        const auto step = [&](uint32_t i) { expected.push_back(std::pow(2.0, -8.0 * (i + 1) / up)); };
        if (up == n)
            for (uint32_t i = 0; i < up; ++i) step(i);
        else {
            for (uint32_t i = 1; i < up; i += 2) step(i);
            for (uint32_t i = 0; i < up; i += 2) step(i);
        }
        const auto found = alibi_slopes(n, 8);
        for (uint32_t h = 0; h < n; ++h) CHECK(close(found[h], expected[h]));
    }
}

TEST_CASE("a shape goes into a file and comes back") {
    for (const char* kind : {"tiny", "minimind26m"}) {
        ModelSpec spec = model_shape(kind);
        if (spec.n_layers > 2) spec.n_layers = 1; // its width is what matters
        const ModelSpec found = through_file(spec);
        CHECK(found.family == "llama");
        CHECK(found.name == kind);
        CHECK(found.n_layers == spec.n_layers);
        CHECK(found.n_heads == spec.n_heads);
        CHECK(found.n_kv_heads == spec.n_kv_heads);
        CHECK(found.head_dim == spec.head_dim);
        CHECK(found.d_model == spec.d_model);
        CHECK(found.d_ff == spec.d_ff);
        CHECK(found.n_vocab == spec.n_vocab);
        CHECK(found.n_ctx == spec.n_ctx);
        CHECK(found.rope == Rope::pairs);
        CHECK(found.rope_dim == spec.rope_dim);
        CHECK(found.rope_base == spec.rope_base);
        CHECK(found.norm == Norm::rms);
        CHECK(found.norm_eps == doctest::Approx(spec.norm_eps));
        CHECK(found.activation == Activation::silu);
        CHECK(found.gated);
        CHECK(found.tied == spec.tied);
        CHECK(found.window == 0);
        CHECK(found.qk_norm == QkNorm::none);
        CHECK(!(found.qkv_bias || found.o_bias || found.ffn_bias || found.norm_bias));
    }
}

TEST_CASE("biases, windows and scaled RoPE are read where they are") {
    ModelSpec spec = model_shape("tiny");
    spec.qkv_bias = spec.o_bias = spec.ffn_bias = true;
    spec.window = 48;
    spec.rope_scaling = RopeScaling::linear;
    spec.rope_factor = 4;
    const ModelSpec found = through_file(spec);
    CHECK((found.qkv_bias && found.o_bias && found.ffn_bias));
    CHECK(found.window == 48);
    CHECK(found.rope_scaling == RopeScaling::linear);
    CHECK(found.rope_factor == 4);
    const ModelSpec older =
        through_file(model_shape("tiny"), [](W w) { w.add_f32("llama.rope.scale_linear", 2); });
    CHECK(older.rope_scaling == RopeScaling::linear);
    CHECK(older.rope_factor == 2);
    const ModelSpec unscaled = through_file(model_shape("tiny"), [](W w) {
        w.add_text("llama.rope.scaling.type", "none");
        w.add_f32("llama.rope.scaling.factor", 8);
    });
    CHECK(unscaled.rope_scaling == RopeScaling::none);
    CHECK(unscaled.rope_factor == 1);
}

TEST_CASE("absent keys have llama.cpp's defaults, arrays that agree are one number") {
    const ModelSpec found = through_file(model_shape("llama110m"), [](W w) {
        for (const char* key : {"attention.head_count_kv", "attention.key_length", "attention.value_length",
                                "rope.dimension_count", "rope.freq_base"})
            w.remove(std::string("llama.") + key);
    });
    CHECK(found.n_kv_heads == 12);
    CHECK(found.head_dim == 64);
    CHECK(found.rope_dim == 64);
    CHECK(found.rope_base == 10000);
    const auto per_layer = [](std::vector<int32_t> values) {
        return [values](W w) {
            w.remove("llama.attention.head_count_kv");
            w.add_i32s("llama.attention.head_count_kv", values);
        };
    };
    CHECK(through_file(model_shape("tiny"), per_layer({2, 2})).n_kv_heads == 2);
    refused(per_layer({2, 4}), {"head_count_kv", "differs between layers", "2 and 4"});
    refused(per_layer({}), {"head_count_kv", "empty"});
}

TEST_CASE("shapes that are absurd or do not fit are refused with their numbers") {
    refused([](W w) { set_u32(w, "llama.attention.head_count_kv", 3); }, {"n_heads 4", "n_kv_heads 3"});
    refused([](W w) { set_u32(w, "llama.attention.head_count", 0); }, {"n_heads is 0"});
    refused([](W w) { set_u32(w, "llama.attention.head_count_kv", 0); }, {"n_kv_heads is 0"});
    refused([](W w) { set_u32(w, "llama.attention.head_count_kv", 8); }, {"n_heads 4", "n_kv_heads 8"});
    refused([](W w) { set_u32(w, "llama.block_count", 4000000000u); }, {"n_layers is 4000000000"});
    refused([](W w) { set_u32(w, "llama.vocab_size", 0); }, {"n_vocab is 0"});
    refused([](W w) { set_u32(w, "llama.vocab_size", (1u << 24) + 1); }, {"n_vocab is 16777217"});
    refused([](W w) { set_u32(w, "llama.rope.dimension_count", 7); }, {"rope_dim is 7"});
    refused([](W w) { set_u32(w, "llama.rope.dimension_count", 18); },
            {"rope_dim is 18", "between 2 and 16"});
    refused([](W w) { set_u32(w, "llama.attention.value_length", 8); }, {"length 16", "length 8"});
    refused(
        [](W w) {
            w.pairs.back() = {"llama.rope.freq_base", 6, {4, std::byte{0xff}}};
        },
        {"rope_base is", "nan"});
    refused([](W w) { set_u32(w, "llama.context_length", 0); }, {"n_ctx is 0"});
    refused(
        [](W w) {
            w.remove("llama.attention.key_length");
            set_u32(w, "llama.attention.head_count", 6);
        },
        {"embedding_length 64", "head_count 6"});
    refused(
        [](W w) {
            set_u32(w, "llama.attention.key_length", 514);
            set_u32(w, "llama.attention.value_length", 514);
        },
        {"head_dim is 514", "512"});
    refused([](W w) { w.add_texts("tokenizer.ggml.tokens", {"a", "b"}); }, {"vocab_size is 288", "2 tokens"});
    refused(
        [](W w) {
            w.pairs.push_back({"llama.leading", 11, std::vector<std::byte>(8, std::byte{0xff})});
        },
        {"\"llama.leading\"", "unknown"});
    for (const char* key : {"block_count", "context_length", "embedding_length", "feed_forward_length",
                            "attention.head_count", "attention.layer_norm_rms_epsilon", "vocab_size"})
        refused([&](W w) { w.remove(std::string("llama.") + key); }, {key, "is missing"});
}

TEST_CASE("what is not run is refused by name") {
    refused([](W w) { w.pairs[0].payload.back() = std::byte{'b'}; }, {"\"llamb\"", "not supported", "llama"});
    refused([](W w) { w.pairs[0].payload = text_payload("bert"); }, {"\"bert\"", "an encoder"});
    refused([](W w) { w.pairs[0].payload = text_payload("mamba"); }, {"\"mamba\"", "state-space"});
    refused([](W w) { w.add_text("llama.rope.scaling.type", "longrope"); }, {"\"longrope\"", "no tensor"});
    refused([](W w) { w.add_f32("llama.logit_scale", 2); }, {"llama.logit_scale", "is 2"});
    refused([](W w) { w.add_u32("llama.expert_count", 8); }, {"llama.expert_used_count", "is missing"});
    refused([](W w) { w.add_bool("llama.attention.causal", false); }, {"attention.causal"});
    refused([](W w) { w.add_u32("split.count", 3); }, {"part 1 of 3"});
    refused([](W w) { w.add_text("general.type", "adapter"); }, {"\"adapter\""});
    refused([](W w) { w.tensors.clear(); }, {"no tensors"});
    const std::vector<float> values(16, 1.0f);
    refused([&](W w) { w.add_tensor("rope_freqs.weight", {7}, DType::f32, std::span(values).first(7)); },
            {"7 RoPE factors", "8 frequencies"});
    for (const char* name :
         {"blk.0.attn_q_norm.weight", "blk.1.attn_q.bias", "output_norm.bias", "blk.2.attn_norm.weight"})
        refused([&](W w) { w.add_tensor(name, {16}, DType::f32, values); },
                {name, "not part of a llama model"});
    const ModelSpec neutral = through_file(model_shape("tiny"), [](W w) {
        w.add_u32("llama.expert_count", 0);
        w.add_bool("llama.attention.causal", true);
        w.add_text("general.type", "model");
    });
    CHECK(neutral.family == "llama");
}

TEST_CASE("tensors that are missing or of another shape are named with both shapes") {
    refused([](W w) { remove_tensor(w, "blk.1.ffn_up.weight"); },
            {"blk.1.ffn_up.weight [96, 64] is missing"});
    refused([](W w) { remove_tensor(w, "token_embd.weight"); }, {"token_embd.weight [288, 64] is missing"});
    refused(
        [](W w) {
            tensor(w, "blk.0.ffn_down.weight").shape = {96, 64};
        },
        {"blk.0.ffn_down.weight", "expected as [64, 96]", "found as [96, 64]"});
    refused([](W w) { tensor(w, "blk.0.attn_k.weight").shape = {2, 16, 64}; }, {"[32, 64]", "[2, 16, 64]"});
    refused([](W w) { set_u32(w, "llama.vocab_size", 289); },
            {"token_embd.weight", "[289, 64]", "[288, 64]"});
    ModelSpec biased = model_shape("tiny");
    biased.qkv_bias = true;
    expect_error([&] { through_file(biased, [](W w) { remove_tensor(w, "blk.1.attn_v.bias"); }); },
                 {"blk.1.attn_v.bias [32] is missing"});
    CHECK(through_file(model_shape("tiny"), [](W w) { remove_tensor(w, "output.weight"); }).tied);
}

TEST_CASE("real files: the shape counts exactly the values of the tensors") {
    const auto folder = shared_data("", 22);
    if (!folder) return;
    const auto spec_of = [&](const char* path) {
        const ModelFile file = read_gguf((*folder / path).string());
        const ModelSpec spec = read_spec(file);
        check_tensors(file, spec);
        uint64_t n = 0;
        for (const TensorInfo& each : file.tensors) n += each.n_values();
        CHECK(spec.parameters() == n);
        return spec;
    };
    const ModelSpec stories = spec_of("stories260K/stories260K.gguf");
    CHECK(stories.n_layers == 5);
    CHECK(stories.n_heads == 8);
    CHECK(stories.n_kv_heads == 4);
    CHECK(stories.head_dim == 8);
    CHECK(stories.d_ff == 172);
    CHECK(stories.n_vocab == 512);
    CHECK(spec_of("arch/llama-gqa.gguf").rope_scaling == RopeScaling::none);
    CHECK(spec_of("arch/llama-linear-rope.gguf").rope_factor == 4);
    CHECK(spec_of("arch/llama-hd80.gguf").head_dim == 80);
    for (const auto& [name, family] : arch_models)
        if (name != "llama3-ropefreqs") spec_of(("arch/" + name + ".gguf").c_str());
    for (const char* type : {"F16", "BF16", "Q8_0", "Q4_0"})
        CHECK(spec_of((std::string("quant/llama-256.") + type + ".gguf").c_str()).d_model == 256);
}

} // namespace kvasir
