// Quantising on load: the same as a file that was quantised before.
#include "runtime/session.hpp"
#include "tests/process.hpp"
#include "tests/random_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace kvasir {

namespace {

ModelSpec shape() {
    ModelSpec spec = model_shape("tiny");
    spec.d_model = 256;
    spec.d_ff = 320; // rows of the down projection: whole blocks of 32, not of 256
    spec.n_heads = 4;
    spec.n_kv_heads = 2;
    spec.head_dim = spec.rope_dim = 64;
    return spec;
}

std::string save(const Folder& folder, GgufWriter writer) {
    add_spm_vocabulary(writer, shape().n_vocab);
    const std::string path = folder / "m.gguf";
    writer.save(path);
    return path;
}

std::vector<float> logits(Device& device, const Model& model) {
    Session session(device, model, {.kv = KvType::f32});
    std::vector<float> all;
    session.evaluate(std::vector<int32_t>{1, 5, 3, 7, 9, 250, 33}, [&](uint32_t, std::span<const float> row) {
        all.insert(all.end(), row.begin(), row.end());
    });
    return all;
}

} // namespace

TEST_CASE("a float file quantised on load runs as the file quantised before: equal to the bit") {
    Device device;
    for (const DType dtype : {DType::q8_0, DType::q4_0}) {
        CAPTURE(info(dtype).name);
        const Folder folder, other;
        const Model on_load =
            load_model(device, save(folder, random_model(shape(), DType::f32, 1)), {}, dtype);
        const Model before = load_model(device, save(other, random_model(shape(), dtype, 1)));
        CHECK(on_load.weights.quantised.n_matrices == 2 + 2 * 7); // embedding and head; seven a layer
        CHECK(on_load.weights.quantised.n_kept == 0);
        CHECK(before.weights.quantised.n_matrices == 0);
        CHECK(on_load.weights.head.bytes() == before.weights.head.bytes());
        CHECK(logits(device, on_load) == logits(device, before));
    }
}

TEST_CASE("Q4_K on load leaves rows that are no multiple of 256, and matrices that are quantised already") {
    Device device;
    const Folder folder, other;
    const std::string path = save(folder, random_model(shape(), DType::f16, 1));
    const Model plain = load_model(device, path), on_load = load_model(device, path, {}, DType::q4_k);
    CHECK(on_load.weights.quantised.n_matrices == 2 + 2 * 6);
    CHECK(on_load.weights.quantised.n_kept == 2); // down
    CHECK(on_load.weights.layers[0].qkv.parts[0].dtype == DType::q4_k);
    CHECK(on_load.weights.layers[0].down.parts[0].dtype == DType::f16);
    CHECK(on_load.weights.quantised.bytes_before * 9 ==
          on_load.weights.quantised.bytes_after * 32); // 16 to 4.5 bits
    CHECK(on_load.weights.head.bytes() < plain.weights.head.bytes() / 2);
    const Model twice =
        load_model(device, save(other, random_model(shape(), DType::q8_0, 1)), {}, DType::q4_k);
    CHECK(twice.weights.quantised.n_matrices == 0);
    CHECK(twice.weights.quantised.n_kept == 16);
    CHECK(twice.weights.layers[0].qkv.parts[0].dtype == DType::q8_0);
}

TEST_CASE("--quantize says what it did on standard error") {
    const Folder folder;
    const std::string path = save(folder, random_model(shape(), DType::f16, 1));
    const Finished end =
        run_kvasir({"generate", path, "--raw", "--greedy", "--prompt", "a", "-n", "2", "--quantize", "q4_k"});
    CHECK(end.status == 0);
    CHECK(end.err.find("14 matrices quantised to Q4_K, ") != std::string::npos);
    CHECK(end.err.find("; 2 kept as they are") != std::string::npos);
    CHECK(end.err.find("multiple of 256") != std::string::npos);
}

} // namespace kvasir
