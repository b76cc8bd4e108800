// libFuzzer target: any bytes are a safetensors file or an Error; of a file, every weight can be decoded.

#include "runtime/error.hpp"
#include "runtime/file/safetensors.hpp"

#include <cstdint>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const auto tensors =
            kvasir::parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "fuzz.safetensors");
        for (const kvasir::SafeTensor& tensor : tensors) {
            if (!tensor.dtype) continue;
            std::vector<float> values(tensor.data.size() / kvasir::info(*tensor.dtype).block_bytes);
            kvasir::decode(*tensor.dtype, tensor.data.data(), values.data(), values.size());
        }
    } catch (const kvasir::Error&) {
    }
    return 0;
}
