#include "runtime/gpu/device_list.hpp"

#include "runtime/gpu/vulkan.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

namespace kvasir {
namespace {

const char* type_name(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "software";
    default: return "other";
    }
}

int rank(const DeviceInfo& info) {
    static const std::array<const char*, 5> order{"discrete GPU", "integrated GPU", "virtual GPU", "software",
                                                  "other"};
    const auto found = std::find_if(order.begin(), order.end(), [&](auto name) { return info.type == name; });
    return static_cast<int>(found - order.begin());
}

std::string hex(const uint8_t* bytes, size_t n) {
    std::string text;
    for (size_t i = 0; i < n; ++i) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", bytes[i]);
        text += two;
    }
    return text;
}

std::string api_version(uint32_t version) {
    return std::to_string(VK_API_VERSION_MAJOR(version)) + "." +
           std::to_string(VK_API_VERSION_MINOR(version)) + "." +
           std::to_string(VK_API_VERSION_PATCH(version));
}

/// The family to compute on: one without graphics where there is one, because it does not wait behind the
/// desktop.
int compute_family(VkPhysicalDevice device, uint32_t& timestamp_bits) {
    uint32_t n = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &n, nullptr);
    std::vector<VkQueueFamilyProperties> families(n);
    vkGetPhysicalDeviceQueueFamilyProperties(device, &n, families.data());
    int best = -1;
    for (uint32_t i = 0; i < n; ++i) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
        const bool graphics = families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT;
        if (best < 0 || !graphics) best = static_cast<int>(i);
        if (!graphics) break;
    }
    if (best >= 0) timestamp_bits = families[static_cast<size_t>(best)].timestampValidBits;
    return best;
}

void read_memory(VkPhysicalDevice handle, PhysicalDevice& device) {
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(handle, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; ++i)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            device.info.memory = std::max<uint64_t>(device.info.memory, memory.memoryHeaps[i].size);
    for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
        const auto& type = memory.memoryTypes[i];
        const auto all = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        // A small host-visible window into a discrete GPU's memory is slower than its own heap: only a heap
        // that holds nearly all of it counts as unified.
        if ((type.propertyFlags & all) == all &&
            memory.memoryHeaps[type.heapIndex].size >= device.info.memory / 10 * 9 &&
            device.info.type != "discrete GPU")
            device.traits.unified = true;
    }
}

std::string why_not(const VkPhysicalDeviceProperties& properties,
                    const VkPhysicalDeviceVulkan12Features& features, int family) {
    if (properties.apiVersion < VK_API_VERSION_1_2)
        return "has Vulkan " + api_version(properties.apiVersion) + "; 1.2 is needed";
    if (family < 0) return "has no compute queue";
    if (!features.timelineSemaphore) return "has no timeline semaphores";
    if (properties.limits.maxComputeWorkGroupInvocations < 128)
        return "runs fewer than 128 invocations a workgroup";
    return "";
}

PhysicalDevice describe(VkPhysicalDevice handle, uint32_t index) {
    VkPhysicalDeviceSubgroupProperties subgroup{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties maintenance{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, &subgroup};
    VkPhysicalDeviceDriverProperties driver{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
                                            &maintenance};
    VkPhysicalDeviceIDProperties ids{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, &driver};
    VkPhysicalDeviceProperties2 properties2{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &ids};
    VkPhysicalDeviceVulkan12Features features12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &features12};
    VkPhysicalDeviceProperties plain;
    vkGetPhysicalDeviceProperties(handle, &plain);
    if (plain.apiVersion >= VK_API_VERSION_1_2) { // the structures above are not known to older drivers
        vkGetPhysicalDeviceProperties2(handle, &properties2);
        vkGetPhysicalDeviceFeatures2(handle, &features);
    }

    PhysicalDevice device;
    device.handle = handle;
    auto& info = device.info;
    auto& traits = device.traits;
    info.index = index;
    info.name = plain.deviceName;
    info.driver = std::string(driver.driverName) + (driver.driverInfo[0] ? " " : "") + driver.driverInfo;
    info.type = type_name(plain.deviceType);
    info.api = api_version(plain.apiVersion);
    info.uuid = hex(ids.deviceUUID, VK_UUID_SIZE) + hex(ids.driverUUID, VK_UUID_SIZE);
    info.max_binding = plain.limits.maxStorageBufferRange;
    info.max_allocation = maintenance.maxMemoryAllocationSize;
    info.subgroup = subgroup.subgroupSize;
    info.max_workgroup = plain.limits.maxComputeWorkGroupInvocations;
    info.max_shared = plain.limits.maxComputeSharedMemorySize;

    uint32_t timestamp_bits = 0;
    const int family = compute_family(handle, timestamp_bits);
    info.reason = why_not(plain, features12, family);
    info.usable = info.reason.empty();
    device.queue_family = family < 0 ? 0 : static_cast<uint32_t>(family);

    traits.software = plain.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    traits.subgroup = std::max(1u, subgroup.subgroupSize);
    traits.subgroup_fixed = traits.software; // both software drivers have one size only
    traits.subgroup_arithmetic = (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) &&
                                 (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT);
    traits.max_groups =
        std::min({plain.limits.maxComputeWorkGroupCount[0], plain.limits.maxComputeWorkGroupCount[1],
                  plain.limits.maxComputeWorkGroupCount[2]});
    if (timestamp_bits > 0) {
        traits.timestamp_ns = static_cast<double>(plain.limits.timestampPeriod);
        traits.timestamp_mask = timestamp_bits >= 64 ? ~0ull : (1ull << timestamp_bits) - 1;
    }
    if (traits.subgroup_arithmetic) info.features.push_back("subgroup arithmetic");
    if (features12.shaderFloat16) info.features.push_back("float16");
    if (features12.shaderInt8) info.features.push_back("int8");
    read_memory(handle, device);
    return device;
}

/// What of two devices of one rank decides: memory, then the vectors that a software device computes on.
auto strength(const PhysicalDevice& device) {
    return std::pair(device.info.memory, device.traits.subgroup);
}

void mark_chosen(std::vector<PhysicalDevice>& devices) {
    PhysicalDevice* best = nullptr;
    for (auto& device : devices) {
        if (!device.info.usable) continue;
        if (!best || rank(device.info) < rank(best->info) ||
            (rank(device.info) == rank(best->info) && strength(device) > strength(*best)))
            best = &device;
    }
    for (auto& device : devices) {
        if (&device == best) {
            device.info.chosen = true;
            device.info.reason = devices.size() == 1 ? "the only device" : "the best: " + device.info.type;
        } else if (device.info.usable) {
            device.info.reason = rank(device.info) == rank(best->info)
                                     ? "usable; " + best->info.name + " is no weaker"
                                     : "usable; " + best->info.name + " is a " + best->info.type;
        }
    }
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

std::string listing(const std::vector<PhysicalDevice>& devices) {
    std::string text;
    for (const auto& device : devices)
        text += (text.empty() ? "" : ", ") + std::to_string(device.info.index) + " " + device.info.name +
                (device.info.usable ? "" : " (" + device.info.reason + ")");
    return text.empty() ? "no devices" : text;
}

} // namespace

VkInstance create_instance(bool validation) {
    VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
    application.pApplicationName = "kvasir";
    application.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo create{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    create.pApplicationInfo = &application;
    const char* layer = "VK_LAYER_KHRONOS_validation";
    std::array<const char*, 2> extensions{VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
                                          VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    const VkValidationFeatureEnableEXT sync = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = &sync;
    if (validation) {
        create.enabledLayerCount = 1;
        create.ppEnabledLayerNames = &layer;
        create.enabledExtensionCount = 2;
        create.ppEnabledExtensionNames = extensions.data();
        create.pNext = &features;
    }
    VkInstance instance = nullptr;
    const VkResult result = vkCreateInstance(&create, nullptr, &instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        throw Error(
            "looking for a Vulkan device", "no Vulkan driver on this machine",
            "installing one: mesa-vulkan-drivers has one for every machine (under WSL2 it is the only one)");
    VK_CHECK(result);
    return instance;
}

std::vector<PhysicalDevice> enumerate(VkInstance instance) {
    uint32_t n = 0;
    VK_CHECK(vkEnumeratePhysicalDevices(instance, &n, nullptr));
    std::vector<VkPhysicalDevice> handles(n);
    VK_CHECK(vkEnumeratePhysicalDevices(instance, &n, handles.data()));
    std::vector<PhysicalDevice> devices;
    for (uint32_t i = 0; i < n; ++i) devices.push_back(describe(handles[i], i));
    mark_chosen(devices);
    return devices;
}

size_t choose(const std::vector<PhysicalDevice>& devices, const std::string& wanted) {
    const std::string asked = wanted.empty() ? "choosing a Vulkan device" : "device \"" + wanted + "\"";
    std::vector<size_t> matches;
    for (size_t i = 0; i < devices.size(); ++i) {
        const auto& info = devices[i].info;
        const bool match = wanted.empty() ? info.chosen
                                          : wanted == std::to_string(info.index) ||
                                                lower(info.name).find(lower(wanted)) != std::string::npos;
        if (match) matches.push_back(i);
    }
    if (matches.empty())
        throw Error(asked, "this machine has " + listing(devices),
                    "one of these, by number or part of its name");
    if (matches.size() > 1 && wanted != std::to_string(devices[matches[0]].info.index))
        throw Error(asked, std::to_string(matches.size()) + " devices are called so: " + listing(devices),
                    "its number");
    if (!devices[matches[0]].info.usable)
        throw Error(asked, devices[matches[0]].info.name + " " + devices[matches[0]].info.reason,
                    "another device");
    return matches[0];
}

std::vector<DeviceInfo> list_devices() {
    VkInstance instance = create_instance(false);
    std::vector<DeviceInfo> infos;
    try {
        for (auto& device : enumerate(instance)) infos.push_back(device.info);
    } catch (...) {
        vkDestroyInstance(instance, nullptr);
        throw;
    }
    vkDestroyInstance(instance, nullptr);
    return infos;
}

} // namespace kvasir
