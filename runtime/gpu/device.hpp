#pragma once

#include "runtime/gpu/handles.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// A Vulkan device of this machine, whether or not Kvasir can use it.
struct DeviceInfo {
    uint32_t index = 0; ///< what --device takes: the loader's order
    std::string name, driver, type, api;
    std::string uuid;    ///< of device and driver, hex: names the pipeline cache
    bool chosen = false; ///< the one used when none is named
    bool usable = false;
    std::string reason;       ///< why it is chosen, or why not
    uint64_t memory = 0;      ///< bytes of its largest device-local heap
    uint64_t max_binding = 0; ///< maxStorageBufferRange
    uint64_t max_allocation = 0;
    uint32_t subgroup = 0, max_workgroup = 0, max_shared = 0;
    std::vector<std::string> features; ///< optional ones it has: "subgroup arithmetic", "float16", ...
};

/// All devices, in the loader's order. Throws Error where there is no Vulkan at all.
std::vector<DeviceInfo> list_devices();

struct DeviceOptions {
    std::string device;      ///< "", an index, or a part of a name
    bool validation = false; ///< the Khronos validation layer with synchronisation validation
};

/// What kernels and their callers decide by.
struct DeviceTraits {
    bool software = false;            ///< a CPU driver: barriers and dispatches cost more than arithmetic
    bool unified = false;             ///< device memory is host-visible: no staging
    bool subgroup_arithmetic = false; ///< subgroupAdd and subgroupMax in compute shaders
    bool subgroup_fixed = false;      ///< a workgroup of `subgroup` invocations is exactly one subgroup
    uint32_t subgroup = 1;
    uint32_t max_groups = 65535; ///< an axis
    double timestamp_ns = 0;     ///< a tick; 0: no timestamps
    uint64_t timestamp_mask = 0;
};

/// Bytes of the largest device-local heap; budget and usage by this process as the driver says
/// (VK_EXT_memory_budget), 0 where it does not. A budget is never above the heap.
struct DeviceMemory {
    uint64_t heap = 0, budget = 0, usage = 0;
};

class Pipeline;

/// A Vulkan device, complete after construction: instance, queue, pipeline cache on disk, timeline. Move
/// nothing: everything made from it holds a reference and must go before it. submit() and wait() may be
/// called from any thread.
class Device {
  public:
    /// Throws Error with every device and why it was refused where none fits.
    explicit Device(const DeviceOptions& options = {});
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const DeviceInfo& info() const { return info_; }
    const DeviceTraits& traits() const { return traits_; }

    /// Runs recorded command buffers in order; gives the timeline value that marks their end.
    uint64_t submit(std::span<const VkCommandBuffer> commands);
    /// Throws Error where the device is lost.
    void wait(uint64_t value);
    bool done(uint64_t value);

    /// The pipeline of this shader with these specialisation constants (constant i has id i), made on first
    /// use.
    const Pipeline& pipeline(const std::string& shader, const std::vector<uint32_t>& constants);

    /// Whether a call has failed because the device is gone: nothing more can be done with it.
    bool lost() const { return lost_; }

    /// Its largest device-local heap, and what the driver says of it now.
    DeviceMemory memory() const;

    /// Bytes a second that a buffer copy of 64 MiB reads and writes, the best of several; measured once.
    double copy_bandwidth();

    /// Bytes of the buffers that there are now.
    uint64_t allocated() const { return allocated_; }

    /// What the validation layer said; empty is clean.
    std::vector<std::string> validation_messages() const;

    /// Writes the pipeline cache to disk where it has grown. Failing to is no error: it is only slower next
    /// time.
    void save_pipeline_cache();

    void set_name(uint64_t handle, int object_type, const std::string& name);

    VkDevice vk() const { return device_; }
    VkPhysicalDevice physical() const { return physical_; }
    VkPipelineCache pipeline_cache() const { return pipeline_cache_; }
    uint32_t queue_family() const { return family_; }

  private:
    friend class Buffer; // which counts its bytes

    void create_logical_device();
    void load_pipeline_cache();
    void check(int result, const char* call); ///< of a VkResult

    struct Messages;
    std::unique_ptr<Messages> messages_;
    DeviceInfo info_;
    DeviceTraits traits_;
    VkInstance instance_ = nullptr;
    VkDebugUtilsMessengerEXT messenger_ = nullptr;
    VkPhysicalDevice physical_ = nullptr;
    VkDevice device_ = nullptr;
    VkQueue queue_ = nullptr;
    uint32_t family_ = 0;
    VkPipelineCache pipeline_cache_ = nullptr;
    size_t pipeline_cache_size_ = 0;
    VkSemaphore timeline_ = nullptr;
    uint64_t submitted_ = 0;
    std::atomic<bool> lost_ = false;
    double copy_bandwidth_ = 0;
    std::atomic<uint64_t> allocated_ = 0;
    std::mutex submit_mutex_; ///< a VkQueue must be externally synchronised
    std::map<std::pair<std::string, std::vector<uint32_t>>, std::unique_ptr<Pipeline>> pipelines_;
    std::mutex pipelines_mutex_;
};

} // namespace kvasir
