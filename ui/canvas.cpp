#include "ui/canvas.hpp"

#include "runtime/error.hpp"
#include "ui/swapchain.hpp"

#define GLFW_INCLUDE_VULKAN
#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_vulkan.h>

#include <algorithm>
#include <cstring>

namespace kvasir::ui {
namespace {

constexpr VkFormat format = VK_FORMAT_R8G8B8A8_UNORM;
constexpr const char* what = "drawing the window";

} // namespace

struct Canvas::Impl {
    GLFWwindow* window;
    VkInstance instance = nullptr;
    VkSurfaceKHR surface = nullptr;
    VkPhysicalDevice physical = nullptr;
    VkPhysicalDeviceProperties properties{};
    std::string name;
    uint32_t family = 0;
    VkDevice device = nullptr;
    VkQueue queue = nullptr;
    VkRenderPass pass = nullptr;
    VkCommandPool pool = nullptr;
    VkCommandBuffer commands = nullptr;
    VkFence fence = nullptr;

    // the picture
    int width = 0, height = 0;
    VkImage image = nullptr;
    VkDeviceMemory memory = nullptr;
    VkImageView view = nullptr;
    VkFramebuffer framebuffer = nullptr;

    std::unique_ptr<Swapchain> swapchain; ///< where there is a window

    explicit Impl(GLFWwindow* window_) : window(window_) {
        create_instance();
        choose_device();
        create_device();
        create_pass();
        start_imgui();
    }
    ~Impl() {
        vkDeviceWaitIdle(device);
        ImGui_ImplVulkan_Shutdown();
        drop_picture();
        swapchain.reset();
        vkDestroyFence(device, fence, nullptr);
        vkDestroyCommandPool(device, pool, nullptr);
        vkDestroyRenderPass(device, pass, nullptr);
        vkDestroyDevice(device, nullptr);
        if (surface) vkDestroySurfaceKHR(instance, surface, nullptr);
        vkDestroyInstance(instance, nullptr);
    }

    void create_instance();
    void choose_device();
    void create_device();
    void create_pass();
    void start_imgui();
    void create_picture(int w, int h);
    void drop_picture();
    uint32_t memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted) const;
    void barrier(VkImage of, VkImageLayout from, VkImageLayout to) const;
    void begin() const;
    void finish(VkSemaphore wait, VkSemaphore signal);
};

void Canvas::Impl::create_instance() {
    VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
    application.pApplicationName = "Kvasir";
    application.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo create{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    create.pApplicationInfo = &application;
    if (window)
        create.ppEnabledExtensionNames = glfwGetRequiredInstanceExtensions(&create.enabledExtensionCount);
    check_drawing(vkCreateInstance(&create, nullptr, &instance), "vkCreateInstance");
    if (window)
        check_drawing(glfwCreateWindowSurface(instance, window, nullptr, &surface),
                      "glfwCreateWindowSurface");
}

/// A device that can draw to the window; an integrated one before a discrete one before a software one:
/// drawing a window is light, and the strongest device has a model to run. Of software devices the one with
/// the wider vectors, of others the first.
void Canvas::Impl::choose_device() {
    uint32_t n = 0;
    vkEnumeratePhysicalDevices(instance, &n, nullptr);
    std::vector<VkPhysicalDevice> devices(n);
    vkEnumeratePhysicalDevices(instance, &n, devices.data());
    std::pair best(-1, 0u);
    for (const VkPhysicalDevice candidate : devices) {
        VkPhysicalDeviceSubgroupProperties subgroup{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
        VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &subgroup, {}};
        vkGetPhysicalDeviceProperties2(candidate, &all);
        const VkPhysicalDeviceProperties& found = all.properties;
        const bool cpu = found.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
        const std::pair rank(found.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ? 3
                             : found.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU ? 2
                             : cpu                                                      ? 0
                                                                                        : 1,
                             cpu ? subgroup.subgroupSize : 0);
        uint32_t n_families = 0;
        vkGetPhysicalDeviceQueueFamilyProperties(candidate, &n_families, nullptr);
        std::vector<VkQueueFamilyProperties> families(n_families);
        vkGetPhysicalDeviceQueueFamilyProperties(candidate, &n_families, families.data());
        for (uint32_t i = 0; i < n_families && rank > best; ++i) {
            VkBool32 shows = VK_TRUE;
            if (surface) vkGetPhysicalDeviceSurfaceSupportKHR(candidate, i, surface, &shows);
            if (!shows || !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT)) continue;
            best = rank, physical = candidate, family = i, properties = found, name = found.deviceName;
        }
    }
    if (!physical)
        throw Error(
            what, "none of this machine's " + std::to_string(n) + " Vulkan devices can draw to this display",
            "`kvasir chat`, or installing mesa-vulkan-drivers");
}

void Canvas::Impl::create_device() {
    const float priority = 1;
    VkDeviceQueueCreateInfo queues{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queues.queueFamilyIndex = family, queues.queueCount = 1, queues.pQueuePriorities = &priority;
    const char* extension = VK_KHR_SWAPCHAIN_EXTENSION_NAME;
    VkDeviceCreateInfo create{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
    create.queueCreateInfoCount = 1, create.pQueueCreateInfos = &queues;
    create.enabledExtensionCount = window ? 1 : 0, create.ppEnabledExtensionNames = &extension;
    check_drawing(vkCreateDevice(physical, &create, nullptr, &device), "vkCreateDevice");
    vkGetDeviceQueue(device, family, 0, &queue);
    VkCommandPoolCreateInfo pools{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pools.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, pools.queueFamilyIndex = family;
    check_drawing(vkCreateCommandPool(device, &pools, nullptr, &pool), "vkCreateCommandPool");
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool, allocate.commandBufferCount = 1;
    check_drawing(vkAllocateCommandBuffers(device, &allocate, &commands), "vkAllocateCommandBuffers");
    VkFenceCreateInfo fences{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    check_drawing(vkCreateFence(device, &fences, nullptr, &fence), "vkCreateFence");
    if (window) swapchain = std::make_unique<Swapchain>(physical, device, queue, surface, window);
}

void Canvas::Impl::create_pass() {
    VkAttachmentDescription color{};
    color.format = format, color.samples = VK_SAMPLE_COUNT_1_BIT;
    color.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR, color.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
    color.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
    color.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
    color.finalLayout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
    const VkAttachmentReference reference{0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    VkSubpassDescription subpass{};
    subpass.colorAttachmentCount = 1, subpass.pColorAttachments = &reference;
    // The picture is read by copies before and after.
    const VkSubpassDependency around[]{{VK_SUBPASS_EXTERNAL, 0, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                        VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                                        VK_ACCESS_TRANSFER_READ_BIT, VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT, 0},
                                       {0, VK_SUBPASS_EXTERNAL, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                                        VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
                                        VK_ACCESS_TRANSFER_READ_BIT, 0}};
    VkRenderPassCreateInfo create{VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO};
    create.attachmentCount = 1, create.pAttachments = &color;
    create.subpassCount = 1, create.pSubpasses = &subpass;
    create.dependencyCount = 2, create.pDependencies = around;
    check_drawing(vkCreateRenderPass(device, &create, nullptr, &pass), "vkCreateRenderPass");
}

void Canvas::Impl::start_imgui() {
    ImGui_ImplVulkan_InitInfo info{};
    info.ApiVersion = VK_API_VERSION_1_2;
    info.Instance = instance, info.PhysicalDevice = physical, info.Device = device;
    info.QueueFamily = family, info.Queue = queue;
    info.DescriptorPoolSize = 256;
    info.RenderPass = pass;
    info.MinImageCount = info.ImageCount = 2;
    info.MSAASamples = VK_SAMPLE_COUNT_1_BIT;
    info.CheckVkResultFn = [](VkResult result) { check_drawing(result, "a call of ImGui's"); };
    ImGui_ImplVulkan_Init(&info);
}

uint32_t Canvas::Impl::memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted) const {
    VkPhysicalDeviceMemoryProperties memories;
    vkGetPhysicalDeviceMemoryProperties(physical, &memories);
    for (uint32_t i = 0; i < memories.memoryTypeCount; ++i)
        if ((allowed >> i & 1) && (memories.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
    throw Error(what, "the device has no memory for it", "another driver, or `kvasir chat`");
}

void Canvas::Impl::create_picture(int w, int h) {
    drop_picture();
    width = w, height = h;
    VkImageCreateInfo create{VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
    create.imageType = VK_IMAGE_TYPE_2D, create.format = format;
    create.extent = {uint32_t(w), uint32_t(h), 1}, create.mipLevels = create.arrayLayers = 1;
    create.samples = VK_SAMPLE_COUNT_1_BIT;
    create.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT;
    check_drawing(vkCreateImage(device, &create, nullptr, &image), "vkCreateImage");
    VkMemoryRequirements needs;
    vkGetImageMemoryRequirements(device, image, &needs);
    VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    allocate.allocationSize = needs.size;
    allocate.memoryTypeIndex = memory_type(needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    check_drawing(vkAllocateMemory(device, &allocate, nullptr, &memory), "vkAllocateMemory");
    check_drawing(vkBindImageMemory(device, image, memory, 0), "vkBindImageMemory");
    VkImageViewCreateInfo views{VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO};
    views.image = image, views.viewType = VK_IMAGE_VIEW_TYPE_2D, views.format = format;
    views.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    check_drawing(vkCreateImageView(device, &views, nullptr, &view), "vkCreateImageView");
    VkFramebufferCreateInfo frames{VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO};
    frames.renderPass = pass, frames.attachmentCount = 1, frames.pAttachments = &view;
    frames.width = uint32_t(w), frames.height = uint32_t(h), frames.layers = 1;
    check_drawing(vkCreateFramebuffer(device, &frames, nullptr, &framebuffer), "vkCreateFramebuffer");
}

void Canvas::Impl::drop_picture() {
    vkDestroyFramebuffer(device, framebuffer, nullptr);
    vkDestroyImageView(device, view, nullptr);
    vkDestroyImage(device, image, nullptr);
    vkFreeMemory(device, memory, nullptr);
    framebuffer = nullptr, view = nullptr, image = nullptr, memory = nullptr;
    width = height = 0;
}

void Canvas::Impl::barrier(VkImage of, VkImageLayout from, VkImageLayout to) const {
    VkImageMemoryBarrier one{VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER};
    one.srcAccessMask = one.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    one.oldLayout = from, one.newLayout = to, one.image = of;
    one.srcQueueFamilyIndex = one.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    one.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0,
                         nullptr, 0, nullptr, 1, &one);
}

void Canvas::Impl::begin() const {
    VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    check_drawing(vkBeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
}

void Canvas::Impl::finish(VkSemaphore wait, VkSemaphore signal) {
    check_drawing(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    submit.commandBufferCount = 1, submit.pCommandBuffers = &commands;
    submit.waitSemaphoreCount = wait ? 1 : 0, submit.pWaitSemaphores = &wait,
    submit.pWaitDstStageMask = &stage;
    submit.signalSemaphoreCount = signal ? 1 : 0, submit.pSignalSemaphores = &signal;
    check_drawing(vkQueueSubmit(queue, 1, &submit, fence), "vkQueueSubmit");
    check_drawing(vkWaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
    check_drawing(vkResetFences(device, 1, &fence), "vkResetFences");
}

Canvas::Canvas(GLFWwindow* window) : impl_(std::make_unique<Impl>(window)) {}
Canvas::~Canvas() = default;

const std::string& Canvas::device_name() const {
    return impl_->name;
}

bool Canvas::software() const {
    return impl_->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

void Canvas::draw(int width, int height) {
    Impl& c = *impl_;
    if (width <= 0 || height <= 0) return;
    if (c.width != width || c.height != height) c.create_picture(width, height);
    const auto target = c.swapchain ? c.swapchain->acquire() : std::nullopt;
    c.begin();
    const ImVec4& behind = ImGui::GetStyle().Colors[ImGuiCol_WindowBg];
    const VkClearValue clear{{{behind.x, behind.y, behind.z, 1}}};
    VkRenderPassBeginInfo pass{VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO};
    pass.renderPass = c.pass, pass.framebuffer = c.framebuffer;
    pass.renderArea.extent = {uint32_t(width), uint32_t(height)};
    pass.clearValueCount = 1, pass.pClearValues = &clear;
    vkCmdBeginRenderPass(c.commands, &pass, VK_SUBPASS_CONTENTS_INLINE);
    ImGui_ImplVulkan_RenderDrawData(ImGui::GetDrawData(), c.commands);
    vkCmdEndRenderPass(c.commands);
    if (target) {
        c.barrier(target->image, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL);
        VkImageBlit blit{};
        blit.srcSubresource = blit.dstSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
        blit.srcOffsets[1] = {width, height, 1};
        blit.dstOffsets[1] = {int(target->extent.width), int(target->extent.height), 1};
        vkCmdBlitImage(c.commands, c.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, target->image,
                       VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &blit, VK_FILTER_NEAREST);
        c.barrier(target->image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_PRESENT_SRC_KHR);
    }
    c.finish(target ? target->acquired : nullptr, target ? target->drawn : nullptr);
    if (target) c.swapchain->present(*target);
}

Canvas::Image Canvas::read() {
    Impl& c = *impl_;
    Image result{c.width, c.height, std::vector<uint8_t>(size_t(c.width) * size_t(c.height) * 4)};
    VkBufferCreateInfo create{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    create.size = result.rgba.size(), create.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    VkBuffer buffer = nullptr;
    check_drawing(vkCreateBuffer(c.device, &create, nullptr, &buffer), "vkCreateBuffer");
    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(c.device, buffer, &needs);
    VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    allocate.allocationSize = needs.size;
    allocate.memoryTypeIndex = c.memory_type(needs.memoryTypeBits, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                                                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
    VkDeviceMemory memory = nullptr;
    check_drawing(vkAllocateMemory(c.device, &allocate, nullptr, &memory), "vkAllocateMemory");
    check_drawing(vkBindBufferMemory(c.device, buffer, memory, 0), "vkBindBufferMemory");
    c.begin();
    VkBufferImageCopy copy{};
    copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    copy.imageExtent = {uint32_t(c.width), uint32_t(c.height), 1};
    vkCmdCopyImageToBuffer(c.commands, c.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer, 1, &copy);
    VkMemoryBarrier visible{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    visible.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT, visible.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    vkCmdPipelineBarrier(c.commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                         &visible, 0, nullptr, 0, nullptr);
    c.finish(nullptr, nullptr);
    void* bytes = nullptr;
    check_drawing(vkMapMemory(c.device, memory, 0, VK_WHOLE_SIZE, 0, &bytes), "vkMapMemory");
    std::memcpy(result.rgba.data(), bytes, result.rgba.size());
    vkDestroyBuffer(c.device, buffer, nullptr);
    vkFreeMemory(c.device, memory, nullptr);
    return result;
}

} // namespace kvasir::ui
