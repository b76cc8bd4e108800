#include "tests/golden.hpp"
#include "tests/reference/forward.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// The whole reference model against logits that other programs computed (llama.cpp, llama2.c). The files lie
// outside the repository; without them these cases say that they were skipped.

namespace kvasir::reference {
namespace {

const std::filesystem::path data = std::filesystem::path(KVASIR_SOURCE_DIR) / ".." / "shared" / "data";

bool have_data() {
    return shared_data("arch", 1).has_value();
}

TEST_CASE("the reference gives the golden logits of Llama models") {
    if (!have_data()) return;
    for (const std::string name : {"llama-gqa", "llama-linear-rope", "llama-hd80"}) {
        CAPTURE(name);
        const Model model(read_gguf((data / "arch" / (name + ".gguf")).string()));
        const Trace trace = forward(model, arch_ids(data / "arch", name));
        check_logits<double, float>(trace.logits, read_floats(data / "arch" / (name + ".logits.f32")),
                                    model.spec().n_vocab, 1e-4);
    }
}

TEST_CASE("the reference gives the golden logits of quantised models") {
    if (!have_data()) return;
    const std::vector<int32_t> ids = read_ids(data / "arch" / "ids.txt");
    for (const std::string type : {"F16", "BF16", "Q8_0", "Q4_0"}) {
        CAPTURE(type);
        const auto path = data / "quant" / ("llama-256." + type + ".gguf");
        if (!std::filesystem::exists(path)) {
            MESSAGE("skipped 1 case: no ", path.string());
            continue;
        }
        const Model model(read_gguf(path.string()));
        const Trace trace = forward(model, ids);
        check_logits<double, float>(trace.logits,
                                    read_floats(data / "quant" / ("llama-256." + type + ".logits.f32")),
                                    model.spec().n_vocab, 1e-4);
    }
}

TEST_CASE("the reference follows a trained model, greedily, for 200 tokens") {
    if (!have_data()) return;
    const Model model(read_gguf((data / "stories260K" / "stories260K.gguf").string()));
    for (const std::string name : {"golden_0", "golden_2"}) {
        CAPTURE(name);
        std::ifstream file(data / "stories260K" / (name + ".json"));
        const auto golden = nlohmann::json::parse(file);
        std::vector<int32_t> ids = golden.at("ids");
        const std::vector<float> logits = read_floats(data / "stories260K" / (name + ".logits.f32"));
        const size_t n_vocab = model.spec().n_vocab, n = logits.size() / n_vocab;
        REQUIRE(n <= ids.size());
        const Trace trace = forward(model, std::span(ids).first(n));
        check_logits<double, float>(trace.logits, logits, n_vocab, 1e-4);
        for (size_t i = golden.at("prompt_ids").size() - 1; i + 1 < ids.size() && i < n; ++i)
            CHECK(argmax(View(trace.logits).subspan(i * n_vocab, n_vocab)) == size_t(ids[i + 1]));
    }
}

TEST_CASE("cache types round keys and values, and nothing else; finer types change the logits less") {
    if (!have_data()) return;
    const Model model(read_gguf((data / "stories260K" / "stories260K.gguf").string()));
    std::ifstream file(data / "stories260K" / "golden_0.json");
    std::vector<int32_t> ids = nlohmann::json::parse(file).at("ids");
    ids.resize(64);
    const Trace exact = forward(model, ids);
    const size_t head_dim = model.spec().head_dim;
    double last = 0;
    for (KvType type : {KvType::f16, KvType::q8_0}) {
        const Trace rounded = forward(model, ids, type);
        CHECK(rounded.embedding == exact.embedding);
        // f32 comes first: rounding twice differs from rounding once only at ties, which these values do not
        // meet.
        CHECK(rounded.layers[0].k == through_cache(exact.layers[0].k, type, head_dim));
        CHECK(rounded.layers[0].v == through_cache(exact.layers[0].v, type, head_dim));
        double difference = 0;
        for (size_t i = 0; i < exact.logits.size(); ++i)
            difference += std::pow(exact.logits[i] - rounded.logits[i], 2);
        CHECK(difference > last);
        last = difference;
    }
}

constexpr RoleName gguf_names[] = {
    {Role::token_embedding, "token_embd"},
    {Role::position_embedding, "position_embd"},
    {Role::embedding_norm, "token_embd_norm"},
    {Role::final_norm, "output_norm"},
    {Role::head, "output"},
    {Role::attn_norm, "blk.%.attn_norm"},
    {Role::qkv, "blk.%.attn_qkv"},
    {Role::q, "blk.%.attn_q"},
    {Role::k, "blk.%.attn_k"},
    {Role::v, "blk.%.attn_v"},
    {Role::q_norm, "blk.%.attn_q_norm"},
    {Role::k_norm, "blk.%.attn_k_norm"},
    {Role::o, "blk.%.attn_output"},
    {Role::ffn_norm, "blk.%.ffn_norm"},
    {Role::gate, "blk.%.ffn_gate"},
    {Role::up, "blk.%.ffn_up"},
    {Role::down, "blk.%.ffn_down"},
};

/// A model of a family whose choices are stated here: the operations are proven before the runtime runs the
/// family.
struct Family {
    std::string name; ///< of the file
    ModelSpec choices;
    bool fused_qkv;
};

std::vector<Family> other_families() {
    ModelSpec gpt2;
    gpt2.family = "gpt2";
    gpt2.norm = Norm::layer;
    gpt2.norm_bias = gpt2.qkv_bias = gpt2.o_bias = gpt2.ffn_bias = true;
    gpt2.activation = Activation::gelu_tanh;
    gpt2.gated = false;
    ModelSpec bloom = gpt2;
    bloom.family = "bloom";
    bloom.embedding_norm = true;
    bloom.alibi_max_bias = 8;
    gpt2.learned_positions = true;
    ModelSpec mpt = bloom;
    mpt.family = "mpt";
    mpt.embedding_norm = mpt.norm_bias = mpt.qkv_bias = mpt.o_bias = mpt.ffn_bias = false;
    mpt.tied = true;
    ModelSpec falcon = mpt;
    falcon.family = "falcon";
    falcon.alibi_max_bias = 0;
    falcon.norm_bias = falcon.parallel = true;
    falcon.rope = Rope::halves;
    falcon.tied = false;
    ModelSpec qwen2;
    qwen2.family = "qwen2";
    qwen2.rope = Rope::halves;
    qwen2.qkv_bias = true;
    ModelSpec qwen3 = qwen2;
    qwen3.family = "qwen3";
    qwen3.qkv_bias = false;
    qwen3.qk_norm = true;
    return {{"gpt2", gpt2, true},    {"bloom", bloom, true},       {"mpt", mpt, true},
            {"mpt-n300", mpt, true}, {"falcon-mqa", falcon, true}, {"qwen2", qwen2, false},
            {"qwen3", qwen3, false}};
}

TEST_CASE("the reference gives the golden logits of other families: every choice of ModelSpec") {
    if (!have_data()) return;
    for (const Family& family : other_families()) {
        CAPTURE(family.name);
        const ModelFile file = read_gguf((data / "arch" / (family.name + ".gguf")).string());
        const auto number = [&](const char* key) {
            return file.metadata.integer(family.choices.family + "." + key);
        };
        ModelSpec m = family.choices;
        m.n_layers = uint32_t(*number("block_count"));
        m.n_heads = uint32_t(*number("attention.head_count"));
        m.n_kv_heads = uint32_t(*number("attention.head_count_kv"));
        m.d_model = uint32_t(*number("embedding_length"));
        m.d_ff = uint32_t(*number("feed_forward_length"));
        m.n_ctx = uint32_t(*number("context_length"));
        m.head_dim = m.rope_dim = uint32_t(number("attention.key_length").value_or(m.d_model / m.n_heads));
        m.n_vocab = uint32_t(file.find("token_embd.weight")->shape[0]);
        m.rope_base = file.metadata.real(m.family + ".rope.freq_base").value_or(10000);
        m.norm_eps = *file.metadata.real(m.family + (m.norm == Norm::rms ? ".attention.layer_norm_rms_epsilon"
                                                                         : ".attention.layer_norm_epsilon"));
        const Architecture row{m, family.fused_qkv, gguf_names};
        REQUIRE(tensors_of(row, m).size() == file.tensors.size());
        const Trace trace = forward(Model(file, m, row), arch_ids(data / "arch", family.name));
        check_logits<double, float>(trace.logits, read_floats(data / "arch" / (family.name + ".logits.f32")),
                                    m.n_vocab, 1e-4);
    }
}

} // namespace
} // namespace kvasir::reference
