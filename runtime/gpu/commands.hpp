#pragma once

#include "runtime/gpu/buffer.hpp"
#include "runtime/gpu/pipeline.hpp"
#include "runtime/profile.hpp"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// What a dispatch costs: for the bound on a submit's length, and for GB/s.
struct Work {
    double macs = 0;          ///< multiply-adds
    uint64_t bytes = 0;       ///< read and written
    uint64_t bytes_a_key = 0; ///< and this for each position in the cache when it runs
};

/// A recorded run of dispatches that can be submitted any number of times. Each dispatch sees what the ones
/// before it wrote, unless overlap() says that it need not. Long recordings are cut into several submits of
/// bounded work, so that no watchdog fires.
class Commands {
  public:
    /// timed: a timestamp after every dispatch. max_macs: work of one submit (0: unbounded).
    Commands(Device& device, bool timed, double max_macs = 0);
    ~Commands();
    Commands(const Commands&) = delete;
    Commands& operator=(const Commands&) = delete;

    Device& device() const { return device_; }

    /// Operations recorded from now on belong to this layer (-1: none).
    void layer(int index) { layer_ = index; }

    /// The next dispatch does not depend on the one before it.
    void overlap() { ordered_ = false; }

    /// buffers are bound in order; the push constants are one of push.h's structs. Asserts that both are what
    /// the shader's SPIR-V declares. groups: workgroups along x, y, z.
    template <class Push>
    void dispatch(const Pipeline& pipeline, std::span<const Buffer* const> buffers, const Push& push,
                  std::array<uint32_t, 3> groups, const std::string& label, Work work) {
        dispatch(pipeline, buffers, &push, sizeof push, groups, label, work);
    }

    /// Copies bytes between buffers.
    void copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t bytes);

    /// Ends the recording; nothing can be added after it.
    void end();

    /// Gives the device's timeline value that marks its end.
    uint64_t submit();

    uint32_t dispatches() const { return static_cast<uint32_t>(marks_.size()); }
    double macs() const { return total_macs_; }
    size_t submits() const { return segments_.size(); } ///< that one submit() makes

    /// Adds the times of the last submit, which must have ended and ran with n_keys positions in the cache,
    /// to a profile.
    void read_times(Profile& profile, uint32_t n_keys) const;

  private:
    struct Mark {
        std::string label;
        int layer;
        uint64_t bytes, bytes_a_key;
    };
    void dispatch(const Pipeline& pipeline, std::span<const Buffer* const> buffers, const void* push,
                  uint32_t push_bytes, std::array<uint32_t, 3> groups, const std::string& label, Work work);
    VkDescriptorSet allocate_set(const Pipeline& pipeline);
    void begin_segment();
    void barrier();
    void timestamp(uint32_t index);

    Device& device_;
    bool timed_;
    double max_macs_, segment_macs_ = 0, total_macs_ = 0;
    int layer_ = -1;
    bool ordered_ = true, ended_ = false;
    VkCommandPool pool_ = nullptr;
    std::vector<VkCommandBuffer> segments_;
    std::vector<VkDescriptorPool> descriptor_pools_;
    std::vector<VkQueryPool> query_pools_;
    std::vector<Mark> marks_;
};

} // namespace kvasir
