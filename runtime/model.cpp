#include "runtime/model.hpp"

namespace kvasir {

Model load_model(Device& device, const std::string& path, const Progress& progress,
                 std::optional<DType> quantize) {
    const ModelFile file = read_gguf(path);
    const ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    Tokenizer tokenizer(file.metadata);
    return {path, file.format, spec, std::move(tokenizer),
            load_weights(device, file, spec, progress, quantize)};
}

} // namespace kvasir
