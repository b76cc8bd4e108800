// GGUF: magic, version, counts, metadata pairs, tensor infos, padding, tensor data.
// Source: GGUF specification (ggml docs/gguf.md); type numbers of metadata values are its
// gguf_metadata_value_type.

#include "runtime/error.hpp"
#include "runtime/file/cursor.hpp"
#include "runtime/file/model_file.hpp"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <limits>
#include <unordered_set>
#include <utility>

namespace kvasir {

namespace {

enum class ValueType : uint32_t {
    uint8,
    int8,
    uint16,
    int16,
    uint32,
    int32,
    float32,
    boolean,
    string,
    array,
    uint64,
    int64,
    float64,
    end
};

/// The least bytes that a metadata pair (key length, one byte of key, type, one byte of value) and a tensor
/// info (name length, one byte of name, rank, one axis, type, offset) can take.
constexpr uint64_t min_pair_bytes = 8 + 1 + 4 + 1, min_tensor_bytes = 8 + 1 + 4 + 8 + 4 + 8;

constexpr uint64_t max_alignment = 1u << 20;

[[noreturn]] void refuse(const Cursor& in, const std::string& found, const std::string& attempt) {
    throw Error("reading " + in.file(), found, attempt);
}

[[noreturn]] void damaged(const Cursor& in, const std::string& found) {
    refuse(in, found, "getting or converting the model again, this file breaks the GGUF rules");
}

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

/// What people give a GGUF reader by mistake; null where the first bytes say nothing.
const char* other_format(std::span<const std::byte> bytes) {
    constexpr std::pair<std::string_view, const char*> magics[] = {
        {"<!", "a web page (HTML), not a model: the download gave a page instead of the file"},
        {"<html", "a web page (HTML), not a model: the download gave a page instead of the file"},
        {"version https://git-lfs", "a Git LFS pointer, which stands for the model and does not hold it"},
        {"PK\x03\x04", "a zip archive, probably a PyTorch checkpoint"},
        {"\x80\x02", "a Python pickle, probably an old PyTorch checkpoint"},
        {"\x1f\x8b", "gzip-compressed"},
        {"\x89HDF", "an HDF5 file"},
        {"lmgg", "the oldest ggml format, which came before GGUF"},
        {"fmgg", "the ggmf format, which came before GGUF"},
        {"tjgg", "the ggjt format, which came before GGUF"},
        {"FUGG", "a byte-swapped GGUF file"},
    };
    for (const auto& [magic, name] : magics)
        if (starts_with(bytes, magic)) return name;
    // safetensors: the length of a JSON header, then the header.
    if (bytes.size() > 8 && bytes[8] == std::byte{'{'} && bytes[7] == std::byte{0})
        return "a safetensors file";
    return nullptr;
}

/// Magic and version; gives the version, 2 or 3.
uint32_t read_version(Cursor& in, std::span<const std::byte> bytes) {
    if (!starts_with(bytes, "GGUF")) {
        const char* other = other_format(bytes);
        const auto first = bytes.subspan(0, std::min<size_t>(bytes.size(), 4));
        refuse(in,
               other ? "it is " + std::string(other)
                     : "it does not begin with \"GGUF\" but with " +
                           quoted({reinterpret_cast<const char*>(first.data()), first.size()}),
               "a model in GGUF format (.gguf)");
    }
    in.number<uint32_t>("the magic");
    const auto version = in.number<uint32_t>("the version");
    if (version == 2 || version == 3) return version;
    if (version != 0 && (version & 0xffffu) == 0)
        refuse(in, "it is a big-endian GGUF file", "the little-endian file of the same model");
    refuse(in, "it is GGUF version " + std::to_string(version) + ", and versions 2 and 3 are read",
           version == 1 ? "converting the model again with a current converter" : "a file of version 3");
}

template <typename T>
std::vector<T> fill(Cursor& in, uint64_t n, std::string_view what, auto read) {
    std::vector<T> values;
    values.reserve(n);
    for (uint64_t i = 0; i < n; ++i) values.push_back(static_cast<T>(read(in, what)));
    return values;
}

bool read_bool(Cursor& in, std::string_view what) {
    const auto value = in.number<uint8_t>(what);
    if (value > 1)
        damaged(in, std::string(what) + " is a truth value of " + std::to_string(value) + ", not 0 or 1");
    return value == 1;
}

/// An integer of any stored width, as the widest signed one.
int64_t read_integer(Cursor& in, ValueType type, std::string_view what) {
    switch (type) {
    case ValueType::uint8: return in.number<uint8_t>(what);
    case ValueType::int8: return in.number<int8_t>(what);
    case ValueType::uint16: return in.number<uint16_t>(what);
    case ValueType::int16: return in.number<int16_t>(what);
    case ValueType::uint32: return in.number<uint32_t>(what);
    case ValueType::int32: return in.number<int32_t>(what);
    case ValueType::int64: return in.number<int64_t>(what);
    default: break;
    }
    const auto value = in.number<uint64_t>(what);
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        damaged(in, std::string(what) + " holds " + std::to_string(value) + ", which is beyond 2^63 - 1");
    return static_cast<int64_t>(value);
}

/// Bytes of one value of the type; for a string its least.
uint64_t value_bytes(ValueType type) {
    constexpr uint64_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
    return bytes[static_cast<size_t>(type)];
}

ValueType read_type(Cursor& in, std::string_view what) {
    const auto type = in.number<uint32_t>(what);
    if (type >= static_cast<uint32_t>(ValueType::end))
        damaged(in, std::string(what) + " is of metadata type " + std::to_string(type) +
                        ", and GGUF has 0 to 12");
    return static_cast<ValueType>(type);
}

MetaValue read_array(Cursor& in, const std::string& what) {
    const ValueType type = read_type(in, what);
    if (type == ValueType::array)
        refuse(in, what + " is an array of arrays, which no model key is known to be",
               "converting the model again");
    const uint64_t n = in.count<uint64_t>(value_bytes(type), what);
    switch (type) {
    case ValueType::string:
        return fill<std::string>(in, n, what, [](Cursor& c, std::string_view w) { return c.text(w); });
    case ValueType::boolean: return fill<bool>(in, n, what, read_bool);
    case ValueType::float32:
        return fill<double>(in, n, what, [](Cursor& c, std::string_view w) { return c.number<float>(w); });
    case ValueType::float64:
        return fill<double>(in, n, what, [](Cursor& c, std::string_view w) { return c.number<double>(w); });
    default:
        return fill<int64_t>(in, n, what,
                             [&](Cursor& c, std::string_view w) { return read_integer(c, type, w); });
    }
}

MetaValue read_value(Cursor& in, const std::string& what) {
    const ValueType type = read_type(in, what);
    switch (type) {
    case ValueType::string: return in.text(what);
    case ValueType::boolean: return read_bool(in, what);
    case ValueType::float32: return static_cast<double>(in.number<float>(what));
    case ValueType::float64: return in.number<double>(what);
    case ValueType::array: return read_array(in, what);
    case ValueType::uint64: {
        const auto value = in.number<uint64_t>(what);
        if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return value;
        return static_cast<int64_t>(value);
    }
    default: return read_integer(in, type, what);
    }
}

void read_metadata(Cursor& in, uint64_t n, Metadata& metadata) {
    for (uint64_t i = 0; i < n; ++i) {
        std::string key = in.text("the name of metadata key " + std::to_string(i));
        if (key.empty()) damaged(in, "metadata key " + std::to_string(i) + " has no name");
        const std::string what = "the value of metadata key " + quoted(key);
        MetaValue value = read_value(in, what);
        const auto [it, fresh] = metadata.values.try_emplace(std::move(key), std::move(value));
        if (!fresh) damaged(in, "metadata key " + quoted(it->first) + " stands there twice");
    }
}

/// Values of the tensor; each axis at least 1, the product and its bytes within int64.
uint64_t count_values(const Cursor& in, const TensorInfo& tensor) {
    uint64_t n = 1;
    for (const uint64_t axis : tensor.shape) {
        if (axis == 0) damaged(in, "tensor " + quoted(tensor.name) + " has an axis of length 0");
        if (axis > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / 8 / n)
            damaged(in, "tensor " + quoted(tensor.name) + " has an axis of length " + std::to_string(axis) +
                            ", and with it more values than 64 bits can count");
        n *= axis;
    }
    return n;
}

/// A tensor info as it stands in the file, and where its bytes lie after the start of the data.
struct Placed {
    TensorInfo info;
    uint64_t offset, bytes;
};

Placed read_tensor(Cursor& in, uint64_t index) {
    Placed tensor;
    std::string& name = tensor.info.name;
    name = in.text("the name of tensor " + std::to_string(index));
    if (name.empty()) damaged(in, "tensor " + std::to_string(index) + " has no name");
    const std::string of_tensor = " of tensor " + quoted(name);
    const auto rank = in.number<uint32_t>("the number of axes" + of_tensor);
    if (rank < 1 || rank > 4)
        damaged(in,
                "tensor " + quoted(name) + " has " + std::to_string(rank) + " axes, and GGUF allows 1 to 4");
    // GGUF writes the contiguous axis first.
    for (uint32_t axis = 0; axis < rank; ++axis)
        tensor.info.shape.insert(tensor.info.shape.begin(), in.number<uint64_t>("the shape" + of_tensor));
    const auto type = in.number<uint32_t>("the type" + of_tensor);
    const auto dtype = dtype_from_gguf(type);
    if (!dtype)
        refuse(in,
               "tensor " + quoted(name) + " is stored as " + gguf_type_name(type) +
                   ", which is not supported yet",
               "the same model in " + dtype_names());
    tensor.info.dtype = *dtype;
    const DTypeInfo& row = info(*dtype);
    const uint64_t n = count_values(in, tensor.info);
    if (tensor.info.shape.back() % row.block != 0)
        damaged(in, "tensor " + quoted(name) + " has rows of " + std::to_string(tensor.info.shape.back()) +
                        " values, and " + row.name + " stores blocks of " + std::to_string(row.block));
    tensor.bytes = n / row.block * row.block_bytes;
    tensor.offset = in.number<uint64_t>("the offset" + of_tensor);
    return tensor;
}

/// Each tensor begins where the one before it ends, padded, and nothing follows the last: so that a damaged
/// type, shape or offset is told by its tensor's name, as llama.cpp's reader wants it too.
void check_order(const Cursor& in, uint64_t n_bytes, uint64_t alignment, const std::vector<Placed>& tensors) {
    uint64_t end = 0;
    std::string before = "the data";
    for (const Placed& tensor : tensors) {
        const std::string name = "tensor " + quoted(tensor.info.name);
        if (tensor.offset != end)
            damaged(in, name + " is at byte " + std::to_string(tensor.offset) + " of the data, and " +
                            (end ? before + " ends at byte " + std::to_string(end)
                                 : "the first tensor is at byte 0"));
        end += (tensor.bytes + alignment - 1) / alignment * alignment;
        before = name;
    }
    if (!tensors.empty() && n_bytes > end)
        damaged(in, before + ", the last, ends at byte " + std::to_string(end) + " of the data, and " +
                        std::to_string(n_bytes - end) + " bytes follow it");
}

/// Points each tensor at its bytes, after checking that they lie in the file.
void place(const Cursor& in, std::span<const std::byte> data, uint64_t alignment,
           std::vector<Placed>& tensors) {
    for (Placed& tensor : tensors) {
        const std::string name = "tensor " + quoted(tensor.info.name);
        if (tensor.offset % alignment != 0)
            damaged(in, name + " is at byte " + std::to_string(tensor.offset) +
                            " of the data, not a multiple of " + std::to_string(alignment));
        if (tensor.offset > data.size() || tensor.bytes > data.size() - tensor.offset)
            refuse(in,
                   name + " takes " + std::to_string(tensor.bytes) + " bytes from byte " +
                       std::to_string(tensor.offset) + " of the data, and the file has " +
                       std::to_string(data.size()) + " bytes of data",
                   "getting the file again, it is cut short");
        tensor.info.data = data.subspan(tensor.offset, tensor.bytes);
    }
}

uint64_t read_alignment(const Cursor& in, const Metadata& metadata) {
    const int64_t alignment = metadata.integer("general.alignment").value_or(32);
    if (alignment < 1 || alignment > static_cast<int64_t>(max_alignment) ||
        !std::has_single_bit(static_cast<uint64_t>(alignment)))
        damaged(in, "general.alignment is " + std::to_string(alignment) + ", not a power of two up to " +
                        std::to_string(max_alignment));
    return static_cast<uint64_t>(alignment);
}

ModelFile map_gguf(const std::string& path) {
    MappedFile map(path);
    ModelFile file = parse_gguf(map.bytes(), path);
    file.maps.push_back(std::move(map));
    return file;
}

/// "-00001-of-00003.gguf", the end of a part's name.
std::string part_ending(int64_t part, int64_t n_parts) {
    char text[64];
    std::snprintf(text, sizeof text, "-%05" PRId64 "-of-%05" PRId64 ".gguf", part, n_parts);
    return text;
}

/// The model whose first part this is.
ModelFile join_parts(ModelFile whole) {
    const auto refuse_part = [](const std::string& path, const std::string& found,
                                const std::string& attempt) {
        throw Error("reading " + path, found, attempt);
    };
    const int64_t n_parts = whole.metadata.need_integer("split.count");
    const int64_t part = whole.metadata.need_integer("split.no"); // from 0
    const std::string ending = part_ending(1, n_parts);
    const std::string of_parts = " of " + std::to_string(n_parts) + " of a model";
    if (n_parts > 99999 || part < 0 || part >= n_parts)
        refuse_part(whole.path, "it says it is part " + std::to_string(part + 1) + of_parts,
                    "getting the file again");
    if (part != 0)
        refuse_part(whole.path, "it is part " + std::to_string(part + 1) + of_parts,
                    "the first part, its name ends in " + ending);
    if (!whole.path.ends_with(ending))
        refuse_part(whole.path,
                    "it is the first part" + of_parts + ", and its name does not end in " + ending +
                        ", so the others cannot be found",
                    "giving the parts the names they were published with");
    const std::string stem = whole.path.substr(0, whole.path.size() - ending.size());
    const auto n_tensors = whole.metadata.integer("split.tensors.count");
    std::unordered_set<std::string> names;
    for (const TensorInfo& tensor : whole.tensors) names.insert(tensor.name);
    for (int64_t i = 1; i < n_parts; ++i) {
        const std::string path = stem + part_ending(i + 1, n_parts);
        ModelFile next = map_gguf(path);
        const Metadata& keys = next.metadata;
        if (keys.integer("split.count") != n_parts || keys.integer("split.no") != i ||
            keys.integer("split.tensors.count") != n_tensors)
            refuse_part(path, "it is not part " + std::to_string(i + 1) + " of the model of " + whole.path,
                        "that model's own part");
        for (TensorInfo& tensor : next.tensors) {
            if (!names.insert(tensor.name).second)
                refuse_part(path, "tensor " + quoted(tensor.name) + " is in an earlier part too",
                            "that model's own part");
            whole.tensors.push_back(std::move(tensor));
        }
        whole.maps.push_back(std::move(next.maps[0]));
    }
    if (n_tensors && static_cast<uint64_t>(*n_tensors) != whole.tensors.size())
        refuse_part(whole.path,
                    "its " + std::to_string(n_parts) + " parts have " + std::to_string(whole.tensors.size()) +
                        " tensors, and split.tensors.count is " + std::to_string(*n_tensors),
                    "getting the parts again");
    for (const char* key : {"split.count", "split.no", "split.tensors.count"})
        whole.metadata.values.erase(key);
    whole.format += " in " + std::to_string(n_parts) + " parts";
    return whole;
}

} // namespace

ModelFile parse_gguf(std::span<const std::byte> bytes, const std::string& path) {
    Cursor in(bytes, path);
    ModelFile file;
    file.path = path;
    file.format = "GGUF v" + std::to_string(read_version(in, bytes));
    const auto n_tensors = in.count<uint64_t>(min_tensor_bytes, "the number of tensors");
    const auto n_pairs = in.count<uint64_t>(min_pair_bytes, "the number of metadata keys");
    read_metadata(in, n_pairs, file.metadata);

    std::vector<Placed> tensors;
    std::unordered_set<std::string> names;
    for (uint64_t i = 0; i < n_tensors; ++i) {
        tensors.push_back(read_tensor(in, i));
        if (!names.insert(tensors.back().info.name).second)
            damaged(in, "tensor " + quoted(tensors.back().info.name) + " stands there twice");
    }
    const uint64_t alignment = read_alignment(in, file.metadata);
    const uint64_t start = (in.offset() + alignment - 1) / alignment * alignment;
    const auto data = bytes.subspan(std::min<uint64_t>(start, bytes.size()));
    place(in, data, alignment, tensors);
    check_order(in, data.size(), alignment, tensors);

    file.tensors.reserve(tensors.size());
    for (Placed& tensor : tensors) file.tensors.push_back(std::move(tensor.info));
    return file;
}

ModelFile read_gguf(const std::string& path) {
    ModelFile file = map_gguf(path);
    if (file.metadata.integer("split.count").value_or(1) <= 1) return file;
    return join_parts(std::move(file));
}

} // namespace kvasir
