// safetensors: the length of a header, the header as JSON, the data of all tensors.

#include "runtime/file/safetensors.hpp"

#include "runtime/error.hpp"
#include "runtime/file/cursor.hpp"
#include "runtime/file/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace kvasir {

namespace {

constexpr uint64_t max_header = 100'000'000; // what the reference implementation reads

/// Every type with whole bytes that the format has, and how many.
constexpr std::pair<const char*, uint64_t> types[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
    {"F32", 4},  {"F64", 8}, {"I64", 8}, {"U64", 8},     {"C64", 8},
};

std::optional<DType> weight_type(const std::string& type) {
    if (type == "F32") return DType::f32;
    if (type == "F16") return DType::f16;
    if (type == "BF16") return DType::bf16;
    return std::nullopt;
}

/// The header of one file while it is read.
class Header {
  public:
    Header(std::span<const std::byte> bytes, std::string path) : path_(std::move(path)) {
        Cursor in(bytes, path_);
        const auto size = in.number<uint64_t>("the length of the header");
        if (bytes.size() > 8 && bytes[8] != std::byte{'{'})
            refuse("it is not a safetensors file: its header does not begin with {",
                   "a file that ends in .safetensors");
        if (size > max_header || size > in.left())
            refuse("its header should have " + std::to_string(size) + " bytes, and " +
                       (size > max_header ? "at most " + std::to_string(max_header) + " are allowed"
                                          : std::to_string(in.left()) + " follow"),
                   "getting the file again, it is cut short or damaged");
        json_ = parse_json({reinterpret_cast<const char*>(bytes.data() + 8), size}, path_);
        data_ = bytes.subspan(8 + size);
    }

    std::vector<SafeTensor> tensors() const {
        if (!json_.is_object()) damaged("its header is not a JSON object");
        std::vector<SafeTensor> list;
        for (const auto& [name, entry] : json_.items())
            if (name != "__metadata__") list.push_back(tensor(name, entry));
        check_cover(list);
        return list;
    }

  private:
    [[noreturn]] void refuse(const std::string& found, const std::string& attempt) const {
        throw Error("reading " + path_, found, attempt);
    }
    [[noreturn]] void damaged(const std::string& found) const {
        refuse(found, "getting the file again, this one breaks the rules of safetensors");
    }

    /// entry[key] as an array of counts.
    std::vector<uint64_t> counts(const nlohmann::json& entry, const char* key,
                                 const std::string& of_tensor) const {
        const auto it = entry.find(key);
        const std::string what = std::string(key) + of_tensor;
        if (it == entry.end() || !it->is_array()) damaged(what + " is missing or no array");
        std::vector<uint64_t> values;
        for (const auto& item : *it) {
            if (!item.is_number_unsigned())
                damaged(what + " holds " + item.dump().substr(0, 40) + ", no count");
            values.push_back(item.get<uint64_t>());
        }
        return values;
    }

    SafeTensor tensor(const std::string& name, const nlohmann::json& entry) const {
        const std::string of_tensor = " of tensor " + kvasir::quoted(name);
        if (!entry.is_object()) damaged("the entry" + of_tensor + " is not a JSON object");
        for (const auto& [key, value] : entry.items())
            if (key != "dtype" && key != "shape" && key != "data_offsets")
                damaged("the entry" + of_tensor + " has the unknown key " + kvasir::quoted(key));
        const auto type = entry.find("dtype");
        if (type == entry.end() || !type->is_string())
            damaged("dtype" + of_tensor + " is missing or no text");
        SafeTensor tensor{name, type->get<std::string>(), {}, counts(entry, "shape", of_tensor), {}};
        tensor.dtype = weight_type(tensor.type);
        const auto known =
            std::find_if(std::begin(types), std::end(types), [&](auto& t) { return t.first == tensor.type; });
        if (known == std::end(types))
            refuse("tensor " + kvasir::quoted(name) + " is stored as " + kvasir::quoted(tensor.type) +
                       ", which is not supported",
                   "the same model in F32, F16 or BF16");
        uint64_t bytes = known->second;
        for (const uint64_t axis : tensor.shape) {
            if (axis != 0 && bytes > std::numeric_limits<uint64_t>::max() / axis)
                damaged("the shape" + of_tensor + " has more values than 64 bits can count");
            bytes *= axis;
        }
        const auto span = counts(entry, "data_offsets", of_tensor);
        if (span.size() != 2 || span[0] > span[1] || span[1] > data_.size())
            damaged("data_offsets" + of_tensor + " are " + entry["data_offsets"].dump().substr(0, 60) +
                    ", not the begin and end of bytes among the file's " + std::to_string(data_.size()) +
                    " of data");
        if (span[1] - span[0] != bytes)
            damaged("tensor " + kvasir::quoted(name) + ", " + tensor.type + " " +
                    entry["shape"].dump().substr(0, 60) + ", needs " + std::to_string(bytes) +
                    " bytes and has " + std::to_string(span[1] - span[0]));
        tensor.data = data_.subspan(span[0], bytes);
        return tensor;
    }

    /// Sorts by place; each tensor begins where the one before ends, the last ends with the file.
    void check_cover(std::vector<SafeTensor>& list) const {
        const auto begin = [&](const SafeTensor& t) {
            return static_cast<uint64_t>(t.data.data() - data_.data());
        };
        std::sort(list.begin(), list.end(), [&](const SafeTensor& a, const SafeTensor& b) {
            return std::pair(begin(a), a.data.size()) < std::pair(begin(b), b.data.size());
        });
        uint64_t end = 0;
        for (const SafeTensor& tensor : list) {
            if (begin(tensor) != end)
                damaged("the data of tensor " + kvasir::quoted(tensor.name) + " begin at byte " +
                        std::to_string(begin(tensor)) + ", and those before them end at " +
                        std::to_string(end));
            end += tensor.data.size();
        }
        if (end != data_.size())
            damaged("its tensors have " + std::to_string(end) + " bytes, and " +
                    std::to_string(data_.size()) + " follow the header");
    }

    std::string path_;
    nlohmann::json json_;
    std::span<const std::byte> data_;
};

} // namespace

std::vector<SafeTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& path) {
    return Header(bytes, path).tensors();
}

} // namespace kvasir
