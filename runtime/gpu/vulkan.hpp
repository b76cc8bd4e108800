#pragma once

#include "runtime/error.hpp"

#include <vulkan/vulkan.h>

#include <string>

namespace kvasir {

/// "VK_ERROR_DEVICE_LOST" and so on; a number where Kvasir does not know the name.
std::string vk_result_name(VkResult result);

/// Throws Error, with what to try for this result, unless it is VK_SUCCESS.
void vk_check(VkResult result, const char* asked);

} // namespace kvasir

#define VK_CHECK(call) ::kvasir::vk_check((call), #call)
