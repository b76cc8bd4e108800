#pragma once

#include "runtime/gpu/device.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace kvasir {

/// Where a buffer lives: device: as fast as the device can; host: mapped, written by the host and read by
/// both.
enum class Memory { device, host };

/// What a new buffer holds. Undefined is for those that are filled at once, to the last byte.
enum class Contents { zeros, undefined };

/// A storage buffer with memory of its own. Move-only.
class Buffer {
  public:
    Buffer() = default;
    /// Throws Error, naming the sizes, where it exceeds maxStorageBufferRange or what one allocation may
    /// hold, or where the device has no room.
    Buffer(Device& device, uint64_t bytes, Memory memory, const std::string& name,
           Contents contents = Contents::zeros);
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer();

    uint64_t size() const { return size_; }
    VkBuffer vk() const { return buffer_; }
    explicit operator bool() const { return buffer_ != nullptr; }

    /// The mapped bytes; empty where the memory is the device's alone.
    std::span<std::byte> mapped() const { return {mapped_, mapped_ ? size_ : 0}; }

    /// Fills `bytes` bytes from `offset` on: fill(target, from, n) writes the n of them from `from` on to
    /// target, both whole numbers of slices (the last one may be shorter). At once where the memory is
    /// mapped, else piece by piece through a staging buffer.
    using Fill = std::function<void(std::byte* target, uint64_t from, uint64_t n)>;
    void upload(uint64_t offset, uint64_t bytes, uint64_t slice, const Fill& fill);
    void upload(std::span<const std::byte> data);

    /// Bytes as they are now; waits for nothing but its own copy.
    std::vector<std::byte> download(uint64_t offset, uint64_t bytes) const;

  private:
    void copy_through_staging(uint64_t offset, uint64_t bytes, Buffer& staging, bool to_device) const;
    void fill_with_zeros();

    Device* device_ = nullptr;
    VkBuffer buffer_ = nullptr;
    VkDeviceMemory memory_ = nullptr;
    std::byte* mapped_ = nullptr;
    uint64_t size_ = 0;
};

} // namespace kvasir
