#include "runtime/gpu/commands.hpp"

#include "runtime/gpu/vulkan.hpp"

#include <algorithm>
#include <cassert>

namespace kvasir {
namespace {

constexpr uint32_t sets_a_pool = 128, queries_a_pool = 512;

} // namespace

Commands::Commands(Device& device, bool timed, double max_macs)
    : device_(device), timed_(timed && device.traits().timestamp_ns > 0), max_macs_(max_macs) {
    VkCommandPoolCreateInfo create{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    create.queueFamilyIndex = device.queue_family();
    VK_CHECK(vkCreateCommandPool(device.vk(), &create, nullptr, &pool_));
    begin_segment();
    if (timed_) timestamp(0);
}

Commands::~Commands() {
    for (auto pool : descriptor_pools_) vkDestroyDescriptorPool(device_.vk(), pool, nullptr);
    for (auto pool : query_pools_) vkDestroyQueryPool(device_.vk(), pool, nullptr);
    vkDestroyCommandPool(device_.vk(), pool_, nullptr);
}

void Commands::begin_segment() {
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool_;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    VkCommandBuffer segment = nullptr;
    VK_CHECK(vkAllocateCommandBuffers(device_.vk(), &allocate, &segment));
    segments_.push_back(segment);
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    // a step is submitted again while it still runs
    begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
    VK_CHECK(vkBeginCommandBuffer(segment, &begin));
    segment_macs_ = 0;
    barrier(); // after whatever was submitted before, a host write or an earlier replay included
}

void Commands::barrier() {
    VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    memory.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                           VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    memory.dstAccessMask = memory.srcAccessMask;
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vkCmdPipelineBarrier(segments_.back(), stages, stages, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

void Commands::timestamp(uint32_t index) {
    if (index % queries_a_pool == 0) {
        VkQueryPoolCreateInfo create{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
        create.queryType = VK_QUERY_TYPE_TIMESTAMP;
        create.queryCount = queries_a_pool;
        VkQueryPool pool = nullptr;
        VK_CHECK(vkCreateQueryPool(device_.vk(), &create, nullptr, &pool));
        query_pools_.push_back(pool);
        vkCmdResetQueryPool(segments_.back(), pool, 0, queries_a_pool);
    }
    vkCmdWriteTimestamp(segments_.back(), VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, query_pools_.back(),
                        index % queries_a_pool);
}

VkDescriptorSet Commands::allocate_set(const Pipeline& pipeline) {
    const auto layout = pipeline.set_layout();
    VkDescriptorSetAllocateInfo allocate{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
    allocate.descriptorSetCount = 1;
    allocate.pSetLayouts = &layout;
    VkDescriptorSet set = nullptr;
    if (!descriptor_pools_.empty()) {
        allocate.descriptorPool = descriptor_pools_.back();
        if (vkAllocateDescriptorSets(device_.vk(), &allocate, &set) == VK_SUCCESS) return set;
    }
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets_a_pool * 8};
    VkDescriptorPoolCreateInfo create{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
    create.maxSets = sets_a_pool;
    create.poolSizeCount = 1;
    create.pPoolSizes = &size;
    VkDescriptorPool pool = nullptr;
    VK_CHECK(vkCreateDescriptorPool(device_.vk(), &create, nullptr, &pool));
    descriptor_pools_.push_back(pool);
    allocate.descriptorPool = pool;
    VK_CHECK(vkAllocateDescriptorSets(device_.vk(), &allocate, &set));
    return set;
}

void Commands::dispatch(const Pipeline& pipeline, std::span<const Buffer* const> buffers, const void* push,
                        uint32_t push_bytes, std::array<uint32_t, 3> groups, const std::string& label,
                        Work work) {
    assert(!ended_);
    const auto& interface = pipeline.interface();
    if (buffers.size() != interface.n_bindings || push_bytes != interface.push_bytes)
        throw Error("dispatching " + pipeline.name(),
                    std::to_string(buffers.size()) + " buffers and " + std::to_string(push_bytes) +
                        " push bytes where its SPIR-V declares " + std::to_string(interface.n_bindings) +
                        " and " + std::to_string(interface.push_bytes),
                    "a build from unchanged sources");
    for (const uint32_t n : groups)
        if (n == 0 || n > device_.traits().max_groups)
            throw Error("dispatching " + pipeline.name(), std::to_string(n) + " workgroups along one axis",
                        "a smaller --context");

    if (max_macs_ > 0 && segment_macs_ > 0 && segment_macs_ + work.macs > max_macs_) {
        VK_CHECK(vkEndCommandBuffer(segments_.back()));
        begin_segment();
    } else if (ordered_ && !marks_.empty()) {
        barrier();
    }
    ordered_ = true;
    segment_macs_ += work.macs;
    total_macs_ += work.macs;

    const VkDescriptorSet set = allocate_set(pipeline);
    std::vector<VkDescriptorBufferInfo> infos(buffers.size());
    std::vector<VkWriteDescriptorSet> writes(buffers.size(), {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET});
    for (uint32_t i = 0; i < buffers.size(); ++i) {
        infos[i] = {buffers[i]->vk(), 0, VK_WHOLE_SIZE};
        writes[i].dstSet = set;
        writes[i].dstBinding = i;
        writes[i].descriptorCount = 1;
        writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        writes[i].pBufferInfo = &infos[i];
    }
    vkUpdateDescriptorSets(device_.vk(), static_cast<uint32_t>(writes.size()), writes.data(), 0, nullptr);

    const VkCommandBuffer segment = segments_.back();
    vkCmdBindPipeline(segment, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.vk());
    vkCmdBindDescriptorSets(segment, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout(), 0, 1, &set, 0,
                            nullptr);
    vkCmdPushConstants(segment, pipeline.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes, push);
    vkCmdDispatch(segment, groups[0], groups[1], groups[2]);
    marks_.push_back({label, layer_, work.bytes, work.bytes_a_key});
    if (timed_) timestamp(static_cast<uint32_t>(marks_.size()));
}

void Commands::copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset,
                    uint64_t bytes) {
    assert(!ended_);
    barrier();
    const VkBufferCopy region{from_offset, to_offset, bytes};
    vkCmdCopyBuffer(segments_.back(), from.vk(), to.vk(), 1, &region);
    marks_.push_back({"copy", layer_, 2 * bytes, 0});
    if (timed_) timestamp(static_cast<uint32_t>(marks_.size()));
}

void Commands::end() {
    assert(!ended_);
    VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    memory.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    vkCmdPipelineBarrier(segments_.back(),
                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &memory, 0, nullptr, 0, nullptr);
    VK_CHECK(vkEndCommandBuffer(segments_.back()));
    ended_ = true;
}

uint64_t Commands::submit() {
    assert(ended_);
    return device_.submit(segments_);
}

void Commands::read_times(Profile& profile, uint32_t n_keys) const {
    if (!timed_) return;
    std::vector<uint64_t> ticks(query_pools_.size() * queries_a_pool);
    for (size_t i = 0; i < query_pools_.size(); ++i) {
        const size_t first = i * queries_a_pool,
                     n = std::min<size_t>(queries_a_pool, marks_.size() + 1 - first);
        VK_CHECK(vkGetQueryPoolResults(device_.vk(), query_pools_[i], 0, static_cast<uint32_t>(n), n * 8,
                                       &ticks[first], 8, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
    }
    const auto& traits = device_.traits();
    for (size_t i = 0; i < marks_.size(); ++i) {
        const double ms = static_cast<double>((ticks[i + 1] - ticks[i]) & traits.timestamp_mask) *
                          traits.timestamp_ns * 1e-6;
        auto entry = std::find_if(profile.begin(), profile.end(), [&](const ProfileEntry& known) {
            return known.layer == marks_[i].layer && known.op == marks_[i].label;
        });
        if (entry == profile.end())
            entry = profile.insert(entry, {marks_[i].label, marks_[i].layer, 0, 0, 0});
        entry->count += 1;
        entry->ms += ms;
        entry->bytes += marks_[i].bytes + marks_[i].bytes_a_key * n_keys;
    }
}

} // namespace kvasir
