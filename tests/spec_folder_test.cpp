// A folder with spec.json and safetensors, for shapes that no family has: on the device as in the reference,
// and through the program.
#include "runtime/architectures.hpp"
#include "runtime/hf/folder.hpp"
#include "runtime/spec_json.hpp"
#include "tests/model_check.hpp"
#include "tests/process.hpp"
#include "tests/random_model.hpp"
#include "tests/safetensors_writer.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

using nlohmann::json;

/// Gated ReLU, norms of the sums, RoPE and ALiBi together, two queries a KV head.
json stated() {
    return json::parse(R"({"n_layers": 2, "n_heads": 6, "n_kv_heads": 3, "d_model": 44, "head_dim": 10,
        "d_ff": 30, "n_vocab": 259, "n_ctx": 24, "rope": "halves", "rope_dim": 6, "alibi_max_bias": 8,
        "activation": "relu", "pre_norm": false, "post_norm": true, "final_norm": false})");
}

SafetensorsWriter random_weights(const json& shape, DType dtype) {
    const GgufWriter gguf = random_model(spec_from_json(shape), dtype, 3);
    SafetensorsWriter weights;
    for (const GgufWriter::Tensor& tensor : gguf.tensors)
        weights.add(tensor.name, info(*dtype_from_gguf(tensor.type)).name, tensor.shape, tensor.data);
    return weights;
}

void write_folder(const Folder& folder, const json& shape, DType dtype = DType::f32) {
    write_file(folder / "spec.json", shape.dump());
    random_weights(shape, dtype).save(folder / "model.safetensors");
}

} // namespace

TEST_CASE("a stated model runs on the device as in the reference, with weights of each type") {
    Device device;
    std::vector<json> shapes = {stated(), stated(), stated()};
    shapes[1].update({{"gated", false},
                      {"activation", "gelu_erf"},
                      {"norm", "layer"},
                      {"norm_bias", true},
                      {"tied", true},
                      {"qk_norm", "heads"}});
    shapes[2].update({{"rope_scaling", "dynamic"},
                      {"rope_factor", 4},
                      {"window", 9},
                      {"window_period", 2},
                      {"rope", "pairs"},
                      {"qkv_bias", true}});
    for (const json& shape : shapes)
        for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
            CAPTURE(shape.dump());
            CAPTURE(info(dtype).name);
            const Folder folder;
            write_folder(folder, shape, dtype);
            const ModelFile file = read_hf_folder(folder / "");
            const ModelSpec m = read_spec(file);
            check_tensors(file, m);
            check_on_device(device, file, m, KvType::f32, 1e-4);
        }
}

TEST_CASE("the program runs a stated model") {
    const Folder folder;
    write_folder(folder, stated());
    write_file(folder / "ids.txt", "5 17 200 0 258");
    const Finished shown = run_kvasir({"inspect", folder / ".", "--json"});
    REQUIRE(shown.status == 0);
    const json inspected = json::parse(shown.out);
    CHECK(inspected["family"] == "spec");
    CHECK(inspected["runs"] == true);
    CHECK(inspected["head_dim"] == 10);
    const Finished score = run_kvasir({"score", folder / ".", "--ids", folder / "ids.txt", "--json"});
    REQUIRE(score.status == 0);
    CHECK(json::parse(score.out)["tokens"] == 4);
    json wrong = stated();
    wrong["n_kv_heads"] = 4;
    write_file(folder / "spec.json", wrong.dump());
    const Finished refused = run_kvasir({"score", folder / ".", "--ids", folder / "ids.txt"});
    CHECK(refused.status == 1);
    CHECK(refused.err.find("n_kv_heads 4") != std::string::npos);
}

} // namespace kvasir
