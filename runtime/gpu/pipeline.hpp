#pragma once

#include "runtime/gpu/device.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// What a compute shader's SPIR-V says of its interface. Source: SPIR-V specification, sections 2.3 and 3.
struct ShaderInterface {
    uint32_t n_bindings = 0;  ///< storage buffers at set 0, bindings 0..n-1
    uint32_t push_bytes = 0;  ///< size of the push-constant block
    uint32_t n_constants = 0; ///< specialisation constants 0..n-1
};

/// Throws Error, naming the shader, for anything a kernel of ours cannot be.
ShaderInterface reflect(const std::string& name, std::span<const uint32_t> spirv);

/// A compute pipeline of an embedded shader.
class Pipeline {
  public:
    Pipeline(Device& device, const std::string& shader, const std::vector<uint32_t>& constants);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    const std::string& name() const { return name_; }
    const ShaderInterface& interface() const { return interface_; }
    VkPipeline vk() const { return pipeline_; }
    VkPipelineLayout layout() const { return layout_; }
    VkDescriptorSetLayout set_layout() const { return set_layout_; }

  private:
    Device& device_;
    std::string name_;
    ShaderInterface interface_;
    VkDescriptorSetLayout set_layout_ = nullptr;
    VkPipelineLayout layout_ = nullptr;
    VkPipeline pipeline_ = nullptr;
};

} // namespace kvasir
