#include "runtime/gpu/pipeline.hpp"

#include "runtime/gpu/vulkan.hpp"
#include "shaders/embedded.hpp"

#include <algorithm>
#include <map>

namespace kvasir {
namespace {

// The few words of SPIR-V that describe an interface (SPIR-V specification, sections 3.32 and 3.7).
enum : uint32_t {
    op_type_struct = 30,
    op_type_pointer = 32,
    op_variable = 59,
    op_decorate = 71,
    op_member_decorate = 72
};
enum : uint32_t { storage_push_constant = 9, storage_storage_buffer = 12 };
enum : uint32_t { decoration_spec_id = 1, decoration_binding = 33, decoration_offset = 35 };

std::span<const uint32_t> find_shader(const std::string& name) {
    for (const auto& shader : embedded_shaders())
        if (name == shader.name) return shader.code;
    throw Error("shader " + name, "it is not in this program", "a build from unchanged sources");
}

} // namespace

ShaderInterface reflect(const std::string& name, std::span<const uint32_t> spirv) {
    if (spirv.size() < 5 || spirv[0] != 0x07230203)
        throw Error("shader " + name, "no SPIR-V", "a build from unchanged sources");
    std::map<uint32_t, uint32_t> pointee, last_offset;
    ShaderInterface found;
    for (size_t at = 5; at < spirv.size();) {
        const uint32_t words = spirv[at] >> 16, op = spirv[at] & 0xffff;
        if (words == 0 || at + words > spirv.size())
            throw Error("shader " + name, "damaged SPIR-V", "a build from unchanged sources");
        const auto word = [&](uint32_t i) { return spirv[at + i]; };
        if (op == op_type_pointer) pointee[word(1)] = word(3);
        if (op == op_member_decorate && word(3) == decoration_offset)
            last_offset[word(1)] = std::max(last_offset[word(1)], word(4));
        if (op == op_decorate && word(2) == decoration_binding)
            found.n_bindings = std::max(found.n_bindings, word(3) + 1);
        if (op == op_decorate && word(2) == decoration_spec_id)
            found.n_constants = std::max(found.n_constants, word(3) + 1);
        // push.h has 32-bit scalars only, so the block ends 4 bytes after its last member begins
        if (op == op_variable && word(3) == storage_push_constant)
            found.push_bytes = last_offset[pointee[word(1)]] + 4;
        at += words;
    }
    return found;
}

Pipeline::Pipeline(Device& device, const std::string& shader, const std::vector<uint32_t>& constants)
    : device_(device), name_(shader) {
    const auto code = find_shader(shader);
    interface_ = reflect(shader, code);
    if (interface_.n_constants != constants.size())
        throw Error("shader " + shader,
                    std::to_string(constants.size()) + " specialisation constants for " +
                        std::to_string(interface_.n_constants),
                    "a build from unchanged sources");

    std::vector<VkDescriptorSetLayoutBinding> bindings(interface_.n_bindings);
    for (uint32_t i = 0; i < interface_.n_bindings; ++i)
        bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
    VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
    set.bindingCount = interface_.n_bindings;
    set.pBindings = bindings.data();
    VK_CHECK(vkCreateDescriptorSetLayout(device.vk(), &set, nullptr, &set_layout_));

    const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, interface_.push_bytes};
    VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &set_layout_;
    layout.pushConstantRangeCount = interface_.push_bytes ? 1 : 0;
    layout.pPushConstantRanges = &range;
    VK_CHECK(vkCreatePipelineLayout(device.vk(), &layout, nullptr, &layout_));

    VkShaderModuleCreateInfo module_create{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    module_create.codeSize = code.size_bytes();
    module_create.pCode = code.data();
    VkShaderModule module = nullptr;
    VK_CHECK(vkCreateShaderModule(device.vk(), &module_create, nullptr, &module));

    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, i * 4, 4});
    const VkSpecializationInfo specialization{static_cast<uint32_t>(entries.size()), entries.data(),
                                              constants.size() * 4, constants.data()};
    VkComputePipelineCreateInfo create{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
    create.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                    nullptr,
                    0,
                    VK_SHADER_STAGE_COMPUTE_BIT,
                    module,
                    "main",
                    &specialization};
    create.layout = layout_;
    const VkResult result =
        vkCreateComputePipelines(device.vk(), device.pipeline_cache(), 1, &create, nullptr, &pipeline_);
    vkDestroyShaderModule(device.vk(), module, nullptr);
    if (result != VK_SUCCESS)
        throw Error("compiling shader " + shader, device.info().driver + " says " + vk_result_name(result),
                    "another --device or a newer driver");
    device.set_name(reinterpret_cast<uint64_t>(pipeline_), VK_OBJECT_TYPE_PIPELINE, shader);
}

Pipeline::~Pipeline() {
    vkDestroyPipeline(device_.vk(), pipeline_, nullptr);
    vkDestroyPipelineLayout(device_.vk(), layout_, nullptr);
    vkDestroyDescriptorSetLayout(device_.vk(), set_layout_, nullptr);
}

} // namespace kvasir
