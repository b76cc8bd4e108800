#include "runtime/gpu/buffer.hpp"

#include "runtime/gpu/commands.hpp"
#include "runtime/gpu/vulkan.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kvasir {
namespace {

std::string mebibytes(uint64_t bytes) {
    return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

/// The first memory type with all of `needed`, preferring those with `preferred` too and then the larger
/// heap; -1 where none is allowed.
int memory_type(VkPhysicalDevice physical, uint32_t allowed, VkMemoryPropertyFlags needed,
                VkMemoryPropertyFlags preferred) {
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    int best = -1;
    std::pair<int, uint64_t> best_score{-1, 0};
    for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
        const auto& type = memory.memoryTypes[i];
        if (!(allowed >> i & 1) || (type.propertyFlags & needed) != needed) continue;
        const std::pair<int, uint64_t> score{(type.propertyFlags & preferred) == preferred,
                                             memory.memoryHeaps[type.heapIndex].size};
        if (score > best_score) {
            best = static_cast<int>(i);
            best_score = score;
        }
    }
    return best;
}

} // namespace

Buffer::Buffer(Device& device, uint64_t bytes, Memory memory, const std::string& name, Contents contents)
    : device_(&device), size_((std::max<uint64_t>(bytes, 16) + 15) / 16 * 16) {
    const auto& info = device.info();
    const uint64_t limit = std::min(info.max_binding, info.max_allocation);
    if (size_ > limit)
        throw Error("a buffer for " + name,
                    mebibytes(size_) + ", while " + info.name + " allows " + mebibytes(limit),
                    "a smaller --context, --kv q8_0 or a smaller model");
    VkBufferCreateInfo create{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    create.size = size_;
    create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                   VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    VK_CHECK(vkCreateBuffer(device.vk(), &create, nullptr, &buffer_));
    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(device.vk(), buffer_, &needs);
    const VkMemoryPropertyFlags mapped =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const bool host = memory == Memory::host || device.traits().unified;
    const int type =
        memory == Memory::host
            ? memory_type(device.physical(), needs.memoryTypeBits, mapped, VK_MEMORY_PROPERTY_HOST_CACHED_BIT)
            : memory_type(device.physical(), needs.memoryTypeBits,
                          VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | (host ? mapped : 0), 0);
    VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    allocate.allocationSize = needs.size;
    allocate.memoryTypeIndex = static_cast<uint32_t>(type);
    VkResult result = type < 0 ? VK_ERROR_OUT_OF_DEVICE_MEMORY
                               : vkAllocateMemory(device.vk(), &allocate, nullptr, &memory_);
    if (result == VK_SUCCESS) result = vkBindBufferMemory(device.vk(), buffer_, memory_, 0);
    void* address = nullptr;
    if (result == VK_SUCCESS && host)
        result = vkMapMemory(device.vk(), memory_, 0, VK_WHOLE_SIZE, 0, &address);
    if (result != VK_SUCCESS) {
        vkDestroyBuffer(device.vk(), buffer_, nullptr);
        vkFreeMemory(device.vk(), memory_, nullptr);
        throw Error(mebibytes(size_) + " of memory for " + name,
                    info.name + " says " + vk_result_name(result),
                    "a smaller --context, --kv q8_0, a smaller model or another --device");
    }
    mapped_ = static_cast<std::byte*>(address);
    device.allocated_ += size_;
    device.set_name(reinterpret_cast<uint64_t>(buffer_), VK_OBJECT_TYPE_BUFFER, name);
    if (contents == Contents::zeros) fill_with_zeros();
}

void Buffer::fill_with_zeros() {
    upload(0, size_, 1, [](std::byte* target, uint64_t, uint64_t n) { std::memset(target, 0, n); });
}

Buffer::Buffer(Buffer&& other) noexcept {
    *this = std::move(other);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(buffer_, other.buffer_);
    std::swap(memory_, other.memory_);
    std::swap(mapped_, other.mapped_);
    std::swap(size_, other.size_);
    return *this;
}

Buffer::~Buffer() {
    if (!buffer_) return;
    device_->allocated_ -= size_;
    vkDestroyBuffer(device_->vk(), buffer_, nullptr);
    vkFreeMemory(device_->vk(), memory_, nullptr);
}

void Buffer::copy_through_staging(uint64_t offset, uint64_t bytes, Buffer& staging, bool to_device) const {
    Commands commands(*device_, false);
    if (to_device)
        commands.copy(staging, 0, *this, offset, bytes);
    else
        commands.copy(*this, offset, staging, 0, bytes);
    commands.end();
    device_->wait(commands.submit());
}

void Buffer::upload(uint64_t offset, uint64_t bytes, uint64_t slice, const Fill& fill) {
    if (mapped_) return fill(mapped_ + offset, 0, bytes);
    // At least one slice, and many where slices are small: a copy has a fixed cost.
    const uint64_t room = std::min(bytes, std::max<uint64_t>(slice, (32ull << 20) / slice * slice));
    Buffer staging(*device_, room, Memory::host, "staging", Contents::undefined);
    for (uint64_t from = 0; from < bytes; from += room) {
        const uint64_t n = std::min(room, bytes - from);
        fill(staging.mapped_, from, n);
        copy_through_staging(offset + from, n, staging, true);
    }
}

void Buffer::upload(std::span<const std::byte> data) {
    if (data.empty()) return;
    upload(0, data.size(), 1,
           [&](std::byte* target, uint64_t from, uint64_t n) { std::memcpy(target, data.data() + from, n); });
}

std::vector<std::byte> Buffer::download(uint64_t offset, uint64_t bytes) const {
    if (mapped_) return {mapped_ + offset, mapped_ + offset + bytes};
    Buffer staging(*device_, bytes, Memory::host, "staging", Contents::undefined);
    copy_through_staging(offset, bytes, staging, false);
    return {staging.mapped_, staging.mapped_ + bytes};
}

} // namespace kvasir
