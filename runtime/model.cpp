#include "runtime/model.hpp"

namespace kvasir {

Model load_model(Device& device, const std::string& path, const Progress& progress) {
    return load_model(device, read_gguf(path), progress);
}

Model load_model(Device& device, const ModelFile& file, const Progress& progress) {
    const ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    Tokenizer tokenizer(file.metadata);
    return {file.path,
            file.format,
            spec,
            std::move(tokenizer),
            load_weights(device, file, spec, progress),
            file.metadata.text("tokenizer.chat_template").value_or("")};
}

} // namespace kvasir
