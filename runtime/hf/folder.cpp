#include "runtime/hf/folder.hpp"

#include "runtime/error.hpp"
#include "runtime/file/json.hpp"
#include "runtime/file/safetensors.hpp"
#include "runtime/hf/checkpoint.hpp"
#include "runtime/hf/metadata.hpp"
#include "runtime/spec_json.hpp"

#include <algorithm>
#include <map>

namespace kvasir {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error);
}

[[noreturn]] void refuse(const fs::path& path, const std::string& found, const std::string& attempt) {
    throw Error("reading " + path.string(), found, attempt);
}

std::vector<SafeTensor> read_part(const fs::path& path, ModelFile& file) {
    MappedFile& map = file.maps.emplace_back(path.string());
    return parse_safetensors(map.bytes(), path.string());
}

/// Every tensor of the parts that an index lists, which have those that it says and no others.
std::vector<SafeTensor> read_parts(const fs::path& index, ModelFile& file) {
    const Config list(read_json(index.string()), index.string());
    const auto* names = list.find({"weight_map"});
    if (!names || !names->is_object() || names->empty())
        refuse(index, "it has no weight_map", "another copy of the model");
    std::map<std::string, std::vector<std::string>> parts; // file -> tensors
    for (const auto& [tensor, part] : names->items()) {
        if (!part.is_string())
            refuse(index, "weight_map has no file for tensor " + kvasir::quoted(tensor),
                   "another copy of the model");
        const std::string name = part.get<std::string>();
        if (name.empty() || name.front() == '.' || name.find_first_of("/\\") != std::string::npos)
            refuse(index, "it names the part " + kvasir::quoted(name) + ", which is not in its folder",
                   "another copy of the model");
        parts[name].push_back(tensor);
    }
    std::vector<SafeTensor> all;
    for (const auto& [name, expected] : parts) {
        const fs::path path = index.parent_path() / name;
        if (!is_there(path))
            refuse(index, "its part " + kvasir::quoted(name) + " is missing", "getting that file too");
        std::vector<SafeTensor> tensors = read_part(path, file);
        std::vector<std::string> found;
        for (const SafeTensor& tensor : tensors) found.push_back(tensor.name);
        std::sort(found.begin(), found.end()); // `expected` is sorted: JSON objects are
        for (const std::string& tensor : found)
            if (!std::binary_search(expected.begin(), expected.end(), tensor))
                refuse(path, "tensor " + kvasir::quoted(tensor) + " is in it, and the index does not say so",
                       "that model's own part");
        for (const std::string& tensor : expected)
            if (!std::binary_search(found.begin(), found.end(), tensor))
                refuse(path, "tensor " + kvasir::quoted(tensor) + " is not in it, and the index says so",
                       "that model's own part");
        std::move(tensors.begin(), tensors.end(), std::back_inserter(all));
    }
    return all;
}

std::vector<SafeTensor> read_tensors(const fs::path& folder, ModelFile& file) {
    if (is_there(folder / "model.safetensors")) return read_part(folder / "model.safetensors", file);
    if (is_there(folder / "model.safetensors.index.json"))
        return read_parts(folder / "model.safetensors.index.json", file);
    for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "ckpt.pt"})
        if (is_there(folder / pickle))
            refuse(folder,
                   std::string("its weights are a PyTorch pickle, ") + pickle +
                       ", which can run code and is not read",
                   "the model as safetensors");
    refuse(folder, "it has neither model.safetensors nor model.safetensors.index.json",
           "the folder of a Hugging Face model, or a .gguf file");
}

/// config.json. ONNX Runtime GenAI writes the numbers, and model_type as type, into an object "model" of it.
Config read_config_json(const std::string& path) {
    nlohmann::json values = read_json(path);
    const auto model = values.is_object() ? values.find("model") : values.end();
    if (values.is_object() && !values.contains("model_type") && model != values.end() && model->is_object()) {
        const nlohmann::json inner = *model;
        for (const auto& [key, value] : inner.items())
            if (key == "type")
                values["model_type"] = value;
            else if (!values.contains(key))
                values[key] = value;
    }
    return Config(std::move(values), path);
}

/// model_type; nanoGPT's folders have only the numbers of its GPTConfig.
std::string model_type_of(const Config& config) {
    if (const auto type = config.text({"model_type"})) return *type;
    if (config.has("n_layer") && config.has("n_head") && config.has("n_embd") && config.has("block_size"))
        return "nanogpt";
    config.refuse("it does not say its model_type", "another copy of the model");
}

std::string format_of(const ModelFile& file) {
    const size_t n = file.maps.size();
    return "safetensors" + (n > 1 ? " in " + std::to_string(n) + " parts" : std::string());
}

std::string name_of(const fs::path& folder) {
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
}

} // namespace

ModelFile read_spec_folder(const std::string& path) {
    const fs::path folder(path);
    ModelFile file;
    file.path = path;
    const std::string spec_path = (folder / "spec.json").string();
    const nlohmann::json stated = read_json(spec_path);
    const ModelSpec spec = spec_from_json(stated, spec_path);
    auto& values = file.metadata.values;
    values["general.architecture"] = spec.family;
    values["general.name"] = name_of(folder);
    values[stated_spec_key] = stated.dump();
    values[spec.family + ".vocab_size"] = int64_t{spec.n_vocab};
    for (SafeTensor& tensor : read_tensors(folder, file)) {
        if (!tensor.dtype)
            refuse(folder, "tensor " + kvasir::quoted(tensor.name) + " is stored as " + tensor.type,
                   "F32, F16 or BF16");
        file.tensors.push_back({tensor.name, *tensor.dtype, tensor.shape, tensor.data});
    }
    file.format = format_of(file);
    read_vocabulary(Config(nlohmann::json::object(), spec_path), folder, file.metadata);
    return file;
}

ModelFile read_hf_folder(const std::string& path) {
    const fs::path folder(path);
    if (is_there(folder / "spec.json")) return read_spec_folder(path);
    if (!is_there(folder / "config.json"))
        refuse(folder, "it is a folder without a config.json",
               "the folder of a Hugging Face model, or the path of a .gguf file");
    const Config config = read_config_json((folder / "config.json").string());
    std::string type = model_type_of(config);
    ModelFile file;
    file.path = path;
    const std::vector<SafeTensor> tensors = read_tensors(folder, file);
    file.format = format_of(file);
    const auto normed = [](const SafeTensor& tensor) {
        return tensor.name.ends_with("self_attn.q_norm.weight");
    };
    // MiniMind kept its name when its third generation began to norm queries and keys.
    if (type == "minimind" && std::any_of(tensors.begin(), tensors.end(), normed)) type = "minimind3";
    const Family& family = hf_family(config, type);
    read_config(config, family, file);
    file.metadata.values["general.name"] = name_of(folder);
    read_vocabulary(config, folder, file.metadata);
    import_tensors(config, family, tensors, file);
    return file;
}

} // namespace kvasir
