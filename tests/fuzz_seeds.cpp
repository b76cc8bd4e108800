// fuzz_seeds DIR: writes small valid files, DIR/gguf/*, DIR/safetensors/*, DIR/json/* and DIR/jinja/*, for
// the fuzz targets to start from.

#include "tests/random_model.hpp"
#include "tests/safetensors_writer.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace kvasir {

namespace {

/// The smallest model whose rows are whole blocks.
ModelSpec small_shape(uint32_t width) {
    ModelSpec spec = model_shape("tiny");
    spec.n_layers = 1;
    spec.n_heads = 2;
    spec.n_kv_heads = 1;
    spec.d_model = spec.d_ff = width;
    spec.head_dim = spec.rope_dim = width / 2;
    spec.n_vocab = 3;
    spec.tied = true;
    return spec;
}

void write_models(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    random_model(small_shape(4), DType::f32).save(folder / "f32");
    random_model(small_shape(32), DType::q8_0).save(folder / "q8_0");
    random_model(small_shape(32), DType::q4_0).save(folder / "q4_0");

    ModelSpec biased = small_shape(4);
    biased.qkv_bias = biased.o_bias = biased.ffn_bias = true;
    biased.tied = false;
    biased.window = 8;
    biased.rope_scaling = RopeScaling::linear;
    biased.rope_factor = 2;
    GgufWriter old = random_model(biased, DType::f16);
    old.version = 2;
    old.save(folder / "v2_biased_f16");

    GgufWriter rich = random_model(small_shape(4), DType::bf16);
    rich.alignment = 8;
    rich.add_u32("general.alignment", 8);
    rich.add_u64("long", 1ull << 63);
    rich.add_bool("flag", false);
    rich.remove("llama.attention.head_count");
    rich.add_i32s("llama.attention.head_count", {2, 2});
    rich.add_f32s("tokenizer.ggml.scores", {0, 1, 2});
    rich.add_texts("tokenizer.ggml.tokens", {"<unk>", "a", "b"});
    rich.save(folder / "rich_bf16");
}

void write_texts(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const char* texts[] = {
        R"({"hidden_size": 64, "rope_theta": 1e6, "tie_word_embeddings": true, "x": null})",
        R"([1, -2.5e-3, "a\u00e9\ud83d\ude00\n", [], {}, [[[false]]]])",
        R"({"model": {"vocab": {"<s>": 1, "\u0120a": 2}, "merges": [["a", "b"], "c d"]}})"};
    for (int i = 0; const char* text : texts) std::ofstream(folder / std::to_string(i++)) << text;
}

void write_templates(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const char* templates[] = {
        "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('no') }}{% endif %}{{ '[' ~ m.role + '] ' + m['content'] | trim + eos_token }}{% "
        "endfor %}",
        "{%- set ns = namespace(n=0, last=messages|length - 1) -%}\n{%- for m in messages[::-1] if m is "
        "mapping %}\n"
        "  {%- if loop.first or not tools %}{% set ns.n = ns.n + loop.revindex0 %}{% else %}{% break %}{% "
        "endif %}\n"
        "{%- endfor %}{# #}{{ {'a': [1.5, none, (true,)], 'b': ns.n // 2}|tojson(indent=2) }}",
        "{% macro show(x, y='~') %}<{{ x }}{{ caller(y) if caller }}>{% endmacro %}{{ show('a', y=1) }}"
        "{% call(z) show(2) %}{{ z }}{% endcall %}{% set t %}b{{ 3 }}{% endset %}{% filter upper %}{{ t }}{% "
        "endfilter %}",
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}"
        "{{ 'a b'.split()[0:1] }}{{ messages[0].content.replace('A', '--').strip(' ')[1:-1]|title|indent(2, "
        "true) }}"
        "{{ [3, 1]|sort|first }}{{ range(4)|sum }}{{ strftime_now('%d') }}{% generation %}{{ x is defined "
        "}}{% endgeneration %}"};
    for (int i = 0; const char* text : templates) std::ofstream(folder / std::to_string(i++)) << text;
}

void write_safetensors(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    SafetensorsWriter small;
    small.save((folder / "none").string());
    small.add("a.weight", DType::f32, {2, 3}, std::vector<float>(6));
    small.save((folder / "one").string());
    small.header["__metadata__"] = {{"format", "pt"}};
    small.add("b", DType::f16, {3}, std::vector<float>(3));
    small.add("c", DType::bf16, {1, 1, 2}, std::vector<float>(2));
    small.add("mask", "BOOL", {}, std::vector<std::byte>(1));
    small.save((folder / "many").string());
}

} // namespace

} // namespace kvasir

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: fuzz_seeds DIR\n");
        return 2;
    }
    kvasir::write_models(std::filesystem::path(argv[1]) / "gguf");
    kvasir::write_safetensors(std::filesystem::path(argv[1]) / "safetensors");
    kvasir::write_texts(std::filesystem::path(argv[1]) / "json");
    kvasir::write_templates(std::filesystem::path(argv[1]) / "jinja");
    return 0;
}
