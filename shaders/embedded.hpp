#pragma once

#include <cstdint>
#include <span>

namespace kvasir {

/// One compiled compute shader of this binary: a SPIR-V 1.5 module (Vulkan 1.2) and the name it was given in
/// CMakeLists.txt.
struct EmbeddedShader {
    const char* name;               ///< stem and variant: "linear_q8_0"
    std::span<const uint32_t> code; ///< the words of the module
};

/// Every shader in this binary, in the order of CMakeLists.txt, each name once.
std::span<const EmbeddedShader> embedded_shaders();

} // namespace kvasir
