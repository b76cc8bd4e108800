#include "runtime/model.hpp"

#include "runtime/hf/folder.hpp"

#include <filesystem>

namespace kvasir {

ModelFile read_model(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_directory(path, error) ? read_hf_folder(path) : read_gguf(path);
}

Model load_model(Device& device, const std::string& path, const Progress& progress,
                 std::optional<DType> quantize) {
    return load_model(device, read_model(path), progress, quantize);
}

Model load_model(Device& device, const ModelFile& file, const Progress& progress,
                 std::optional<DType> quantize) {
    const ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    Tokenizer tokenizer(file.metadata);
    return {file.path,
            file.format,
            spec,
            std::move(tokenizer),
            load_weights(device, file, spec, progress, quantize),
            file.metadata.text("tokenizer.chat_template").value_or("")};
}

} // namespace kvasir
