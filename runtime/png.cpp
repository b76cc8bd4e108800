#include "runtime/png.hpp"

// The one place that compiles stb's PNG writer.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

#include <cassert>

namespace kvasir {

std::string to_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height, uint32_t channels) {
    assert(pixels.size() == size_t(width) * height * channels && (channels == 3 || channels == 4));
    std::string bytes;
    auto write = [](void* to, void* data, int size) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(size));
    };
    stbi_write_png_to_func(write, &bytes, static_cast<int>(width), static_cast<int>(height),
                           static_cast<int>(channels), pixels.data(), static_cast<int>(width * channels));
    return bytes;
}

} // namespace kvasir
