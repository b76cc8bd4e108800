// Every storage type, alone and mixed, through a whole model on the device against the reference in double.
#include "runtime/architectures.hpp"
#include "tests/kernels/harness.hpp"
#include "tests/model_check.hpp"
#include "tests/random_model.hpp"

#include <doctest/doctest.h>

namespace kvasir {
namespace {

/// Two layers, heads of 128 and rows of one block of every type; scores small enough for a softmax of
/// many keys, since blocks of random bits make weights of about 1/2.
ModelSpec shape() {
    ModelSpec m = architecture(stated_family).choices;
    m.name = "types";
    m.n_layers = 2, m.n_heads = 6, m.n_kv_heads = 2, m.head_dim = 128, m.d_model = 256, m.d_ff = 512;
    m.n_vocab = 259, m.n_ctx = 24;
    m.rope = Rope::pairs, m.rope_dim = 40, m.attention_scale = 0x1p-12;
    return m;
}

/// A model whose matrices are of these types in turn, in the order of the file.
GgufWriter model(const ModelSpec& m, const std::vector<DType>& types) {
    GgufWriter writer = random_model(m, DType::f32);
    kernels::Random random;
    size_t next = 0;
    for (GgufWriter::Tensor& tensor : writer.tensors) {
        if (tensor.shape.size() < 2) continue;
        const DType dtype = types[next++ % types.size()];
        const auto width = static_cast<uint32_t>(tensor.shape.back());
        uint64_t rows = 1;
        for (const uint64_t axis : tensor.shape) rows *= axis;
        tensor.type = info(dtype).gguf_id;
        tensor.data = kernels::random_matrix(random, dtype, static_cast<uint32_t>(rows / width), width).bytes;
    }
    add_spm_vocabulary(writer, m.n_vocab);
    return writer;
}

/// Each type's kernels for one token and for many are a test of their own; here one prompt is enough.
void check(Device& device, const ModelSpec& m, const std::vector<DType>& types,
           const std::vector<Chunks>& cuts = {{64}}) {
    m.validate();
    const auto bytes = model(m, types).bytes();
    const ModelFile file = parse_gguf(bytes, "types.gguf");
    check_tensors(file, m);
    check_on_device(device, file, m, KvType::f32, 1e-4, cuts);
}

} // namespace

TEST_CASE("a model of each type") {
    Device device;
    for (const DTypeInfo& type : all_dtypes()) {
        CAPTURE(type.name);
        ModelSpec m = shape();
        m.tied = type.gguf_id % 2 == 0;
        check(device, m, {type.dtype});
    }
}

TEST_CASE("types mixed in one model: q, k and v, gate and up, experts, each of another") {
    Device device;
    ModelSpec biased = shape();
    biased.qkv_bias = biased.o_bias = biased.ffn_bias = true;
    ModelSpec experts = shape();
    experts.n_experts = 3, experts.n_experts_used = 2, experts.d_expert = 256, experts.d_shared = 256;
    std::vector<DType> all;
    for (const DTypeInfo& type : all_dtypes()) all.push_back(type.dtype);
    for (const ModelSpec& m : {biased, experts}) {
        check(device, m, {DType::q4_k, DType::q6_k}, all_chunks);
        check(device, m, all);
    }
}

} // namespace kvasir
