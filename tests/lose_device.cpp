// Preloaded before the Vulkan loader: once the file that KVASIR_LOSE_DEVICE names exists, the device that
// draws no window is lost, as after a watchdog's reset; the file is removed then. Devices that are made later
// are whole.
#include <vulkan/vulkan.h>

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

namespace {

std::mutex mutex;
std::set<VkDevice> windows; ///< devices with a swapchain
std::set<VkQueue> spared;   ///< their queues
bool lost = false;

template <class F>
F next(F, const char* name) {
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

VkResult vkCreateDevice(VkPhysicalDevice physical, const VkDeviceCreateInfo* create,
                        const VkAllocationCallbacks* allocator, VkDevice* device) {
    const VkResult result = next(&vkCreateDevice, "vkCreateDevice")(physical, create, allocator, device);
    const std::lock_guard lock(mutex);
    lost = false;
    for (uint32_t i = 0; result == VK_SUCCESS && i < create->enabledExtensionCount; ++i)
        if (std::strcmp(create->ppEnabledExtensionNames[i], VK_KHR_SWAPCHAIN_EXTENSION_NAME) == 0)
            windows.insert(*device);
    return result;
}

void vkGetDeviceQueue(VkDevice device, uint32_t family, uint32_t index, VkQueue* queue) {
    next(&vkGetDeviceQueue, "vkGetDeviceQueue")(device, family, index, queue);
    const std::lock_guard lock(mutex);
    if (windows.contains(device)) spared.insert(*queue);
}

VkResult vkQueueSubmit(VkQueue queue, uint32_t n, const VkSubmitInfo* submits, VkFence fence) {
    {
        const std::lock_guard lock(mutex);
        const char* file = std::getenv("KVASIR_LOSE_DEVICE");
        if (!spared.contains(queue)) {
            lost |= file && std::remove(file) == 0;
            if (lost) return VK_ERROR_DEVICE_LOST;
        }
    }
    return next(&vkQueueSubmit, "vkQueueSubmit")(queue, n, submits, fence);
}

} // extern "C"
