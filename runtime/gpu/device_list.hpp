#pragma once

#include "runtime/gpu/device.hpp"

#include <vector>

namespace kvasir {

/// A Vulkan 1.2 instance, with the validation layer where asked. Throws Error where there is no loader or
/// driver.
VkInstance create_instance(bool validation);

struct PhysicalDevice {
    VkPhysicalDevice handle = nullptr;
    DeviceInfo info;
    DeviceTraits traits;
    uint32_t queue_family = 0;
};

/// Every device of this instance with its properties and whether Kvasir can use it; one is marked as chosen,
/// where one is usable: discrete before integrated before virtual before software, then by memory.
std::vector<PhysicalDevice> enumerate(VkInstance instance);

/// The index into `devices` that `wanted` ("", an index, or part of a name) means. Throws Error listing all
/// of them.
size_t choose(const std::vector<PhysicalDevice>& devices, const std::string& wanted);

} // namespace kvasir
