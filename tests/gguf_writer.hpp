#pragma once

#include "runtime/dtype.hpp"
#include "runtime/file/model_file.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// Encodes float32 values, a multiple of the type's block: nearest half or bfloat16, or as quantize() does
/// for its types. There is no encoder of the other types.
std::vector<std::byte> encode(DType dtype, std::span<const float> values);

/// A GGUF file in the making. Everything is open, so that a test can also write what no converter would.
struct GgufWriter {
    struct Pair {
        std::string key;
        uint32_t type; ///< gguf_metadata_value_type
        std::vector<std::byte> payload;
    };
    struct Tensor {
        std::string name;
        std::vector<uint64_t> shape; ///< row-major, as in TensorInfo
        uint32_t type;               ///< ggml_type
        std::vector<std::byte> data;
        std::optional<uint64_t> offset{}; ///< in the data; without it, behind the tensor before
    };

    uint32_t version = 3;
    uint64_t alignment = 32; ///< to write another one, set the key general.alignment too
    std::vector<Pair> pairs{};
    std::vector<Tensor> tensors{};

    void add_u32(const std::string& key, uint32_t value);
    void add_u64(const std::string& key, uint64_t value);
    void add_f32(const std::string& key, float value);
    void add_bool(const std::string& key, bool value);
    void add_text(const std::string& key, const std::string& value);
    void add_i32s(const std::string& key, const std::vector<int32_t>& values);
    void add_f32s(const std::string& key, const std::vector<float>& values);
    void add_texts(const std::string& key, const std::vector<std::string>& values);
    void add_tensor(const std::string& name, std::vector<uint64_t> shape, DType dtype,
                    std::span<const float> values);

    void remove(const std::string& key);

    /// All keys of `source` that begin with prefix: integers as u32, arrays of them as i32, reals as f32.
    void copy_keys(const Metadata& source, const std::string& prefix);

    /// Everything before the tensor data, padded.
    std::vector<std::byte> header() const;
    std::vector<std::byte> bytes() const;
    void save(const std::string& path) const;

    /// Where the bytes of tensor i begin in the data, padding included.
    uint64_t offset_of(size_t i) const;
};

/// A SentencePiece-style vocabulary of n_vocab tokens (at least 259): <unk>, <s>, </s>, the 256 bytes, then
/// made-up pieces of printable ASCII.
void add_spm_vocabulary(GgufWriter& writer, uint32_t n_vocab);

} // namespace kvasir
