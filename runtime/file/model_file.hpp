#pragma once

#include "runtime/dtype.hpp"
#include "runtime/file/mapped_file.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace kvasir {

using MetaValue = std::variant<int64_t, uint64_t, double, bool, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<bool>, std::vector<std::string>>;

/// Key-value pairs of a model file. A getter gives nothing where the key is absent, and throws Error, naming
/// the key, where the value has another kind (an integer is accepted as a real; a value out of int64 range is
/// refused).
class Metadata {
  public:
    std::optional<int64_t> integer(const std::string& key) const;
    std::optional<double> real(const std::string& key) const;
    std::optional<bool> flag(const std::string& key) const;
    std::optional<std::string> text(const std::string& key) const;
    const std::vector<int64_t>* integers(const std::string& key) const; ///< null where absent
    const std::vector<double>* reals(const std::string& key) const;
    const std::vector<std::string>* texts(const std::string& key) const;

    /// As above, but absence is an Error that names the key.
    int64_t need_integer(const std::string& key) const;
    double need_real(const std::string& key) const;
    std::string need_text(const std::string& key) const;

    std::map<std::string, MetaValue> values;
};

/// Rows of a matrix that a file holds in another order than TensorInfo::shape says: row i begins i * row_step
/// bytes after `first`, its values are value_step bytes apart.
struct RowRun {
    const std::byte* first;
    uint64_t n_rows, row_step, value_step;
};

/// A tensor inside a mapped file. shape is row-major, outermost axis first: `[d_out, d_in]` for a matrix that
/// is used as y = W x. data is exactly n_values() in dtype, except where `runs` say that they lie elsewhere.
struct TensorInfo {
    std::string name;
    DType dtype;
    std::vector<uint64_t> shape;
    std::span<const std::byte> data;
    std::string stored_as{}; ///< its name in the file, for messages, where that is another
    std::vector<RowRun>
        runs{}; ///< its rows one run after another, for types of one value a block; data is then empty

    uint64_t n_values() const;
    uint64_t bytes() const; ///< of n_values() in dtype
};

/// A tensor's values as its shape says: `data` itself, or, where it has runs, what they gather in `storage`.
std::span<const std::byte> in_order(const TensorInfo& tensor, std::vector<std::byte>& storage);

/// A model as it lies on disk: its metadata (GGUF keys) and its tensors, mapped read-only for as long as it
/// lives.
struct ModelFile {
    std::string path;
    std::string format; ///< "GGUF v3"
    Metadata metadata;
    std::vector<TensorInfo> tensors;
    std::vector<MappedFile> maps; ///< the files that tensors lie in
    std::vector<std::vector<std::byte>>
        owned{}; ///< values that differ from the file's, where tensors point here

    const TensorInfo* find(const std::string& name) const; ///< null where absent
};

/// Reads a GGUF v2 or v3 file; throws Error for whatever is not exactly that. Of a model that is split into
/// NAME-00001-of-0000N.gguf and so on, path is the first part's, and the result is the whole: a part that is
/// missing or belongs to another model is named.
/// Source: GGUF specification (ggml docs/gguf.md); keys split.* as llama.cpp's gguf-split writes them.
ModelFile read_gguf(const std::string& path);

/// As read_gguf, of a file that already lies in memory: the result's tensors point into `bytes`, its map is
/// empty. path is for messages.
ModelFile parse_gguf(std::span<const std::byte> bytes, const std::string& path);

} // namespace kvasir
