#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kvasir {

/// A Vulkan device of this machine, whether or not Kvasir can use it.
struct DeviceInfo {
    uint32_t index = 0; ///< what --device takes
    std::string name, driver, type, api;
    std::string uuid;         ///< device and driver UUID, hex
    bool chosen = false;      ///< the one used when none is named
    std::string reason;       ///< why it is chosen, or why not
    bool usable = false;
    uint64_t memory = 0;      ///< bytes of its largest device-local heap
    uint64_t max_allocation = 0, max_binding = 0;
    uint32_t subgroup = 0, max_workgroup = 0, max_shared = 0;
    std::vector<std::string> features; ///< optional ones it has: "subgroup arithmetic", "float16", ...
};

/// All devices, in the loader's order. Throws Error where there is no Vulkan at all.
std::vector<DeviceInfo> list_devices();

struct DeviceOptions {
    std::string device;      ///< "", an index, or a part of a name
    bool validation = false; ///< the Khronos validation layer with synchronisation validation
};

class Device;

} // namespace kvasir
