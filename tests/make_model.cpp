// make_model: writes a GGUF model with seeded random weights, for benchmarks and tests that need a size
// rather than a meaning. The file is one that llama.cpp loads too.

#include "runtime/file/model_file.hpp"
#include "tests/random_model.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

namespace kvasir {

namespace {

struct Options {
    std::string kind, out, vocab, type = "f16";
    uint64_t seed = 1;
    ModelSpec shape{}; ///< numbers given on the command line; 0: as the kind has it
    bool untied = false;
};

void replace(uint32_t& number, uint32_t given) {
    if (given > 0) number = given;
}

ModelSpec shape_of(const Options& options) {
    ModelSpec spec = model_shape(options.kind);
    replace(spec.n_layers, options.shape.n_layers);
    replace(spec.n_heads, options.shape.n_heads);
    replace(spec.n_kv_heads, options.shape.n_kv_heads);
    replace(spec.d_model, options.shape.d_model);
    replace(spec.d_ff, options.shape.d_ff);
    replace(spec.n_vocab, options.shape.n_vocab);
    replace(spec.n_ctx, options.shape.n_ctx);
    spec.head_dim = spec.d_model / std::max(spec.n_heads, 1u);
    replace(spec.head_dim, options.shape.head_dim);
    spec.rope_dim = spec.head_dim;
    if (options.untied) spec.tied = false;
    return spec;
}

DType dtype_of(const std::string& name) {
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0, DType::q4_k})
        if (CLI::detail::to_lower(info(dtype).name) == name) return dtype;
    throw CLI::ValidationError("TYPE", name + " is not f32, f16, bf16, q8_0, q4_0 or q4_k");
}

void make(const Options& options) {
    const DType dtype = dtype_of(options.type);
    ModelSpec spec = shape_of(options);
    std::optional<ModelFile> vocabulary;
    if (!options.vocab.empty()) {
        vocabulary = read_gguf(options.vocab);
        if (const auto* tokens = vocabulary->metadata.texts("tokenizer.ggml.tokens"))
            spec.n_vocab = static_cast<uint32_t>(tokens->size());
    }
    spec.validate();
    if (!vocabulary && spec.n_vocab < 259)
        throw CLI::ValidationError("--n-vocab", "a made-up vocabulary has at least 259 tokens");
    GgufWriter writer = random_model(spec, dtype, options.seed);
    if (vocabulary)
        writer.copy_keys(vocabulary->metadata, "tokenizer.");
    else
        add_spm_vocabulary(writer, spec.n_vocab);
    writer.save(options.out);
    std::printf("%s: %llu parameters, %s\n", options.out.c_str(),
                static_cast<unsigned long long>(spec.parameters()), info(dtype).name);
}

int run(int argc, char** argv) {
    CLI::App app{"Writes a GGUF model with seeded random weights"};
    Options options;
    app.add_option("KIND", options.kind, "minimind26m, experts78m, llama110m or tiny")->required();
    app.add_option("OUT", options.out, "the file to write")->required();
    app.add_option("TYPE", options.type, "type of the matrices: f32, f16, bf16, q8_0, q4_0, q4_k")
        ->required();
    app.add_option("--vocab", options.vocab, "take the vocabulary, and its size, from this GGUF file");
    app.add_option("--seed", options.seed, "another seed gives other weights");
    app.add_option("--n-layers", options.shape.n_layers);
    app.add_option("--n-heads", options.shape.n_heads);
    app.add_option("--n-kv-heads", options.shape.n_kv_heads);
    app.add_option("--head-dim", options.shape.head_dim);
    app.add_option("--d-model", options.shape.d_model);
    app.add_option("--d-ff", options.shape.d_ff);
    app.add_option("--n-vocab", options.shape.n_vocab);
    app.add_option("--n-ctx", options.shape.n_ctx);
    app.add_flag("--untied", options.untied, "a head of its own, not the token embedding");
    try {
        app.parse(argc, argv);
        make(options);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "make_model: %s\n", error.what());
        return 1;
    }
    return 0;
}

} // namespace

} // namespace kvasir

int main(int argc, char** argv) {
    return kvasir::run(argc, argv);
}
