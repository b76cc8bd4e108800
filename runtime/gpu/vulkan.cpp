#include "runtime/gpu/vulkan.hpp"

namespace kvasir {

std::string vk_result_name(VkResult result) {
    switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    default: return "VkResult " + std::to_string(result);
    }
}

namespace {

const char* what_to_try(VkResult result) {
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "a smaller --context, --kv q8_0, a smaller model or another --device";
    case VK_ERROR_DEVICE_LOST: return "again; if it comes back, another --device or a newer driver";
    case VK_ERROR_LAYER_NOT_PRESENT: return "installing the Vulkan validation layers";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "installing a Vulkan driver (mesa-vulkan-drivers has one for every machine)";
    default: return "another --device or a newer driver";
    }
}

} // namespace

void vk_check(VkResult result, const char* asked) {
    if (result == VK_SUCCESS) return;
    const std::string call(asked);
    throw Error("Vulkan call " + call.substr(0, call.find('(')), vk_result_name(result), what_to_try(result));
}

} // namespace kvasir
