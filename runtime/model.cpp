#include "runtime/model.hpp"

#include "runtime/error.hpp"
#include "runtime/hf/folder.hpp"

#include <algorithm>
#include <filesystem>

namespace kvasir {

ModelFile read_model(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_directory(path, error) ? read_hf_folder(path) : read_gguf(path);
}

SamplerChoice read_sampler(const Metadata& metadata) {
    auto number = [&](const char* name, double low, double high) -> std::optional<float> {
        const std::string key = std::string("general.sampling.") + name;
        const auto value = metadata.real(key);
        if (value && !(*value >= low && *value <= high))
            throw Error("reading " + key, "it is " + std::to_string(*value), "another copy of the model");
        return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
    };
    SamplerChoice choice{.temperature = number("temp", 0, 100),
                         .top_p = number("top_p", 0, 1),
                         .min_p = number("min_p", 0, 1),
                         .repeat_penalty = number("penalty_repeat", 0.1, 10)};
    if (const auto k = metadata.integer("general.sampling.top_k"))
        choice.top_k = static_cast<uint32_t>(std::clamp<int64_t>(*k, 0, 1 << 24)); // -1 means all, as 0 does
    return choice;
}

Model load_model(Device& device, const std::string& path, const Progress& progress,
                 std::optional<DType> quantize) {
    return load_model(device, read_model(path), progress, quantize);
}

Model read_but_weights(const ModelFile& file) {
    const ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    return {file.path,
            file.format,
            spec,
            Tokenizer(file.metadata),
            {},
            file.metadata.text("tokenizer.chat_template").value_or(""),
            read_sampler(file.metadata)};
}

Model load_model(Device& device, const ModelFile& file, const Progress& progress,
                 std::optional<DType> quantize) {
    Model model = read_but_weights(file);
    model.weights = load_weights(device, file, model.spec, progress, quantize);
    return model;
}

} // namespace kvasir
