#include "runtime/gpu/device.hpp"

#include "runtime/cache_folder.hpp"
#include "runtime/gpu/commands.hpp"
#include "runtime/gpu/device_list.hpp"
#include "runtime/gpu/vulkan.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace kvasir {

/// What the validation layer reports, from any thread.
struct Device::Messages {
    mutable std::mutex mutex;
    std::vector<std::string> texts;

    static VKAPI_ATTR VkBool32 VKAPI_CALL receive(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                                  VkDebugUtilsMessageTypeFlagsEXT,
                                                  const VkDebugUtilsMessengerCallbackDataEXT* data,
                                                  void* user) {
        auto& messages = *static_cast<Messages*>(user);
        const std::lock_guard lock(messages.mutex);
        messages.texts.emplace_back(data->pMessage);
        return VK_FALSE;
    }
};

namespace {

template <class Function>
Function load(VkInstance instance, const char* name) {
    return reinterpret_cast<Function>(vkGetInstanceProcAddr(instance, name));
}

constexpr size_t checksum_bytes = 8;

/// FNV-1a, 64 bits, little-endian. Source: Fowler, Noll, Vo, RFC 9923.
std::vector<std::byte> checksum(std::span<const std::byte> bytes) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3u;
    std::vector<std::byte> result(checksum_bytes);
    for (size_t i = 0; i < checksum_bytes; ++i) result[i] = static_cast<std::byte>(hash >> (8 * i));
    return result;
}

} // namespace

Device::Device(const DeviceOptions& options) : messages_(std::make_unique<Messages>()) {
    instance_ = create_instance(options.validation);
    if (options.validation) {
        VkDebugUtilsMessengerCreateInfoEXT create{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
        create.messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
        create.messageType =
            VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
        create.pfnUserCallback = Messages::receive;
        create.pUserData = messages_.get();
        const auto function =
            load<PFN_vkCreateDebugUtilsMessengerEXT>(instance_, "vkCreateDebugUtilsMessengerEXT");
        VK_CHECK(function(instance_, &create, nullptr, &messenger_));
    }
    try {
        const auto devices = enumerate(instance_);
        const auto& picked = devices[choose(devices, options.device)];
        physical_ = picked.handle;
        info_ = picked.info;
        traits_ = picked.traits;
        family_ = picked.queue_family;
        create_logical_device();
        load_pipeline_cache();
    } catch (...) {
        if (device_) vkDestroyDevice(device_, nullptr);
        if (messenger_)
            load<PFN_vkDestroyDebugUtilsMessengerEXT>(instance_, "vkDestroyDebugUtilsMessengerEXT")(
                instance_, messenger_, nullptr);
        vkDestroyInstance(instance_, nullptr);
        throw;
    }
}

Device::~Device() {
    vkDeviceWaitIdle(device_);
    save_pipeline_cache();
    pipelines_.clear();
    vkDestroyPipelineCache(device_, pipeline_cache_, nullptr);
    vkDestroySemaphore(device_, timeline_, nullptr);
    vkDestroyDevice(device_, nullptr);
    if (messenger_)
        load<PFN_vkDestroyDebugUtilsMessengerEXT>(instance_, "vkDestroyDebugUtilsMessengerEXT")(
            instance_, messenger_, nullptr);
    vkDestroyInstance(instance_, nullptr);
}

void Device::create_logical_device() {
    const float priority = 1;
    VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = family_;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    // robustBufferAccess stays off: it costs on every load, and our kernels are tested with guard bands
    // instead.
    VkPhysicalDeviceVulkan12Features features12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    features12.timelineSemaphore = VK_TRUE;
    VkDeviceCreateInfo create{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features12};
    create.queueCreateInfoCount = 1;
    create.pQueueCreateInfos = &queue;
    VK_CHECK(vkCreateDevice(physical_, &create, nullptr, &device_));
    vkGetDeviceQueue(device_, family_, 0, &queue_);

    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo semaphore{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type};
    VK_CHECK(vkCreateSemaphore(device_, &semaphore, nullptr, &timeline_));
}

void Device::load_pipeline_cache() {
    std::vector<std::byte> bytes = read_cache_file("pipelines-" + info_.uuid);
    // A driver checks the header and starts empty where it does not fit (Vulkan specification, "Pipeline
    // Cache Header"), but trusts what follows it: a damaged file must not get that far.
    const bool whole =
        bytes.size() > checksum_bytes && checksum(std::span(bytes).subspan(checksum_bytes)) ==
                                             std::vector(bytes.begin(), bytes.begin() + checksum_bytes);
    const auto data =
        whole ? std::span<const std::byte>(bytes).subspan(checksum_bytes) : std::span<const std::byte>();
    VkPipelineCacheCreateInfo create{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    create.initialDataSize = data.size();
    create.pInitialData = data.data();
    VK_CHECK(vkCreatePipelineCache(device_, &create, nullptr, &pipeline_cache_));
    pipeline_cache_size_ = data.size();
}

void Device::save_pipeline_cache() {
    size_t size = 0;
    if (vkGetPipelineCacheData(device_, pipeline_cache_, &size, nullptr) != VK_SUCCESS) return;
    if (size == pipeline_cache_size_) return;
    std::vector<std::byte> data(size);
    if (vkGetPipelineCacheData(device_, pipeline_cache_, &size, data.data()) != VK_SUCCESS) return;
    data.resize(size);
    std::vector<std::byte> bytes = checksum(data);
    bytes.insert(bytes.end(), data.begin(), data.end());
    write_cache_file("pipelines-" + info_.uuid, bytes);
    pipeline_cache_size_ = size;
}

void Device::check(int result, const char* call) {
    if (result == VK_ERROR_DEVICE_LOST) lost_ = true;
    vk_check(static_cast<VkResult>(result), call);
}

DeviceMemory Device::memory() const {
    uint32_t n = 0;
    vkEnumerateDeviceExtensionProperties(physical_, nullptr, &n, nullptr);
    std::vector<VkExtensionProperties> extensions(n);
    vkEnumerateDeviceExtensionProperties(physical_, nullptr, &n, extensions.data());
    const bool tells =
        std::any_of(extensions.begin(), extensions.end(), [](const VkExtensionProperties& one) {
            return std::string_view(one.extensionName) == VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
        });
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    if (tells) properties.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(physical_, &properties);
    const auto& heaps = properties.memoryProperties;
    DeviceMemory memory;
    for (uint32_t i = 0; i < heaps.memoryHeapCount; ++i) {
        const VkMemoryHeap& heap = heaps.memoryHeaps[i];
        if (!(heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap.size <= memory.heap) continue;
        // Some drivers report a budget above the heap.
        memory = {heap.size, std::min<uint64_t>(budget.heapBudget[i], heap.size), budget.heapUsage[i]};
    }
    return memory;
}

uint64_t Device::submit(std::span<const VkCommandBuffer> commands) {
    const std::lock_guard lock(submit_mutex_);
    std::vector<VkSubmitInfo> submits(commands.size(), VkSubmitInfo{VK_STRUCTURE_TYPE_SUBMIT_INFO});
    for (size_t i = 0; i < commands.size(); ++i) {
        submits[i].commandBufferCount = 1;
        submits[i].pCommandBuffers = &commands[i];
    }
    const uint64_t value = submitted_ + 1;
    VkTimelineSemaphoreSubmitInfo timeline{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &value;
    submits.back().pNext = &timeline;
    submits.back().signalSemaphoreCount = 1;
    submits.back().pSignalSemaphores = &timeline_;
    check(vkQueueSubmit(queue_, static_cast<uint32_t>(submits.size()), submits.data(), VK_NULL_HANDLE),
          "vkQueueSubmit");
    submitted_ = value;
    return value;
}

void Device::wait(uint64_t value) {
    VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
    info.semaphoreCount = 1;
    info.pSemaphores = &timeline_;
    info.pValues = &value;
    check(vkWaitSemaphores(device_, &info, UINT64_MAX), "vkWaitSemaphores");
}

bool Device::done(uint64_t value) {
    uint64_t reached = 0;
    VK_CHECK(vkGetSemaphoreCounterValue(device_, timeline_, &reached));
    return reached >= value;
}

const Pipeline& Device::pipeline(const std::string& shader, const std::vector<uint32_t>& constants) {
    const std::lock_guard lock(pipelines_mutex_);
    auto& slot = pipelines_[{shader, constants}];
    if (!slot) slot = std::make_unique<Pipeline>(*this, shader, constants);
    return *slot;
}

double Device::copy_bandwidth() {
    if (copy_bandwidth_ > 0) return copy_bandwidth_;
    const uint64_t bytes = 64ull << 20;
    Buffer from(*this, bytes, Memory::device, "copy source"), to(*this, bytes, Memory::device, "copy target");
    Commands commands(*this, false);
    commands.copy(from, 0, to, 0, bytes);
    commands.end();
    wait(commands.submit()); // the first touches the pages
    double best = 1e9;
    for (int i = 0; i < 7; ++i) {
        const auto start = std::chrono::steady_clock::now();
        wait(commands.submit());
        best =
            std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    copy_bandwidth_ = 2.0 * static_cast<double>(bytes) / best;
    return copy_bandwidth_;
}

std::vector<std::string> Device::validation_messages() const {
    const std::lock_guard lock(messages_->mutex);
    return messages_->texts;
}

void Device::set_name(uint64_t handle, int object_type, const std::string& name) {
    if (!messenger_) return; // the extension that carries names is loaded with the layer
    static const auto function =
        load<PFN_vkSetDebugUtilsObjectNameEXT>(instance_, "vkSetDebugUtilsObjectNameEXT");
    VkDebugUtilsObjectNameInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT};
    info.objectType = static_cast<VkObjectType>(object_type);
    info.objectHandle = handle;
    info.pObjectName = name.c_str();
    function(device_, &info);
}

} // namespace kvasir
