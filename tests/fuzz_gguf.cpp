// libFuzzer target: any bytes are a GGUF file or an Error; of a file, every tensor can be decoded, and it is
// a model that runs or an Error.

#include "runtime/architectures.hpp"
#include "runtime/error.hpp"

#include <cstdint>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const auto file = kvasir::parse_gguf({reinterpret_cast<const std::byte*>(data), size}, "fuzz.gguf");
        for (const kvasir::TensorInfo& tensor : file.tensors) {
            std::vector<float> values(tensor.n_values());
            kvasir::decode(tensor.dtype, tensor.data.data(), values.data(), values.size());
        }
        const kvasir::ModelSpec spec = kvasir::read_spec(file);
        kvasir::check_tensors(file, spec);
    } catch (const kvasir::Error&) {
    }
    return 0;
}
