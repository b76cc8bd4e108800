#include "runtime/file/model_file.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace kvasir {

namespace {

const char* kind_name(const MetaValue& value) {
    constexpr const char* names[] = {
        "an integer",       "an integer beyond 2^63 - 1", "a real number",       "a truth value",
        "a text",           "an array of integers",       "an array of numbers", "an array of truth values",
        "an array of texts"};
    static_assert(std::size(names) == std::variant_size_v<MetaValue>);
    return names[value.index()];
}

[[noreturn]] void wrong_kind(const std::string& key, const MetaValue& value, const char* wanted) {
    throw Error("reading metadata key " + quoted(key),
                std::string("expected ") + wanted + ", found " + kind_name(value),
                "another copy of the model, or converting it again");
}

[[noreturn]] void absent(const std::string& key) {
    throw Error("reading metadata key " + quoted(key), "the model file does not have it",
                "another copy of the model, or converting it again");
}

/// The value under key as T; null where absent, Error where it is something else.
template <typename T>
const T* get(const Metadata& metadata, const std::string& key, const char* wanted) {
    const auto it = metadata.values.find(key);
    if (it == metadata.values.end()) return nullptr;
    const T* value = std::get_if<T>(&it->second);
    if (!value) wrong_kind(key, it->second, wanted);
    return value;
}

/// Copies the rows of a run, n values of `width` bytes each, one behind the other. Where a row's values lie
/// apart, neighbouring rows share cache lines: they are copied in tiles.
void gather(const RowRun& run, uint64_t n, uint64_t width, std::byte* target) {
    if (run.value_step == width) {
        for (uint64_t row = 0; row < run.n_rows; ++row)
            std::memcpy(target + row * n * width, run.first + row * run.row_step, n * width);
        return;
    }
    constexpr uint64_t tile = 32;
    for (uint64_t row = 0; row < run.n_rows; row += tile)
        for (uint64_t i = 0; i < n; ++i)
            for (uint64_t r = row; r < std::min(row + tile, run.n_rows); ++r)
                std::memcpy(target + (r * n + i) * width, run.first + r * run.row_step + i * run.value_step,
                            width);
}

template <typename T>
std::optional<T> copy(const T* value) {
    return value ? std::optional<T>(*value) : std::nullopt;
}

} // namespace

std::optional<int64_t> Metadata::integer(const std::string& key) const {
    return copy(get<int64_t>(*this, key, "an integer"));
}

std::optional<double> Metadata::real(const std::string& key) const {
    const auto it = values.find(key);
    if (it == values.end()) return std::nullopt;
    if (const auto* value = std::get_if<double>(&it->second)) return *value;
    if (const auto* value = std::get_if<int64_t>(&it->second)) return static_cast<double>(*value);
    if (const auto* value = std::get_if<uint64_t>(&it->second)) return static_cast<double>(*value);
    wrong_kind(key, it->second, "a number");
}

std::optional<bool> Metadata::flag(const std::string& key) const {
    return copy(get<bool>(*this, key, "a truth value"));
}

std::optional<std::string> Metadata::text(const std::string& key) const {
    return copy(get<std::string>(*this, key, "a text"));
}

const std::vector<int64_t>* Metadata::integers(const std::string& key) const {
    return get<std::vector<int64_t>>(*this, key, "an array of integers");
}

const std::vector<double>* Metadata::reals(const std::string& key) const {
    return get<std::vector<double>>(*this, key, "an array of numbers");
}

const std::vector<std::string>* Metadata::texts(const std::string& key) const {
    return get<std::vector<std::string>>(*this, key, "an array of texts");
}

int64_t Metadata::need_integer(const std::string& key) const {
    const auto value = integer(key);
    if (!value) absent(key);
    return *value;
}

double Metadata::need_real(const std::string& key) const {
    const auto value = real(key);
    if (!value) absent(key);
    return *value;
}

std::string Metadata::need_text(const std::string& key) const {
    const auto* value = get<std::string>(*this, key, "a text");
    if (!value) absent(key);
    return *value;
}

uint64_t TensorInfo::n_values() const {
    uint64_t n = 1;
    for (const uint64_t axis : shape) n *= axis;
    return n;
}

uint64_t TensorInfo::bytes() const {
    const DTypeInfo& type = info(dtype);
    return n_values() / type.block * type.block_bytes;
}

std::span<const std::byte> in_order(const TensorInfo& tensor, std::vector<std::byte>& storage) {
    if (tensor.runs.empty()) return tensor.data;
    assert(info(tensor.dtype).block == 1);
    storage.resize(tensor.bytes());
    const uint64_t width = info(tensor.dtype).block_bytes;
    const uint64_t n = tensor.shape.size() > 1 ? tensor.shape.back() : 1; // values a row
    std::byte* target = storage.data();
    for (const RowRun& run : tensor.runs) {
        gather(run, n, width, target);
        target += run.n_rows * n * width;
    }
    assert(target == storage.data() + storage.size());
    return storage;
}

const TensorInfo* ModelFile::find(const std::string& name) const {
    for (const TensorInfo& tensor : tensors)
        if (tensor.name == name) return &tensor;
    return nullptr;
}

} // namespace kvasir
