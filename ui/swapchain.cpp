#include "ui/swapchain.hpp"

#include "runtime/error.hpp"

#define GLFW_INCLUDE_VULKAN
#include <GLFW/glfw3.h>

#include <algorithm>

namespace kvasir::ui {

void check_drawing(VkResult result, const char* call) {
    if (result != VK_SUCCESS)
        throw Error("drawing the window", std::string(call) + " gave " + std::to_string(result),
                    "another driver, or `kvasir chat`, which needs no window");
}

Swapchain::Swapchain(VkPhysicalDevice physical, VkDevice device, VkQueue queue, VkSurfaceKHR surface,
                     GLFWwindow* window)
    : physical_(physical), device_(device), queue_(queue), surface_(surface), window_(window) {
    VkSemaphoreCreateInfo semaphores{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    check_drawing(vkCreateSemaphore(device_, &semaphores, nullptr, &acquired_), "vkCreateSemaphore");
}

Swapchain::~Swapchain() {
    drop();
    vkDestroySemaphore(device_, acquired_, nullptr);
}

void Swapchain::create() {
    VkSurfaceCapabilitiesKHR can;
    check_drawing(vkGetPhysicalDeviceSurfaceCapabilitiesKHR(physical_, surface_, &can),
                  "vkGetPhysicalDeviceSurfaceCapabilitiesKHR");
    uint32_t n = 0;
    vkGetPhysicalDeviceSurfaceFormatsKHR(physical_, surface_, &n, nullptr);
    std::vector<VkSurfaceFormatKHR> formats(n);
    vkGetPhysicalDeviceSurfaceFormatsKHR(physical_, surface_, &n, formats.data());
    VkSurfaceFormatKHR chosen = formats.at(0);
    for (const VkSurfaceFormatKHR& one : formats) // colours are already as a display wants them
        if (one.format == VK_FORMAT_B8G8R8A8_UNORM || one.format == VK_FORMAT_R8G8B8A8_UNORM) chosen = one;
    int w = 0, h = 0;
    glfwGetFramebufferSize(window_, &w, &h);
    extent_ = can.currentExtent.width != UINT32_MAX
                  ? can.currentExtent
                  : VkExtent2D{std::clamp(uint32_t(w), can.minImageExtent.width, can.maxImageExtent.width),
                               std::clamp(uint32_t(h), can.minImageExtent.height, can.maxImageExtent.height)};
    VkSwapchainCreateInfoKHR create{VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR};
    create.surface = surface_;
    create.minImageCount =
        can.maxImageCount ? std::min(can.minImageCount + 1, can.maxImageCount) : can.minImageCount + 1;
    create.imageFormat = chosen.format, create.imageColorSpace = chosen.colorSpace;
    create.imageExtent = extent_, create.imageArrayLayers = 1;
    create.imageUsage = VK_IMAGE_USAGE_TRANSFER_DST_BIT;
    create.preTransform = can.currentTransform;
    create.compositeAlpha = can.supportedCompositeAlpha & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                                ? VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                                : VK_COMPOSITE_ALPHA_INHERIT_BIT_KHR;
    create.presentMode = VK_PRESENT_MODE_FIFO_KHR, create.clipped = VK_TRUE;
    create.oldSwapchain = swapchain_;
    VkSwapchainKHR made = nullptr;
    check_drawing(vkCreateSwapchainKHR(device_, &create, nullptr, &made), "vkCreateSwapchainKHR");
    drop();
    swapchain_ = made;
    vkGetSwapchainImagesKHR(device_, swapchain_, &n, nullptr);
    images_.resize(n);
    vkGetSwapchainImagesKHR(device_, swapchain_, &n, images_.data());
    drawn_.resize(n);
    VkSemaphoreCreateInfo semaphores{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    for (VkSemaphore& one : drawn_)
        check_drawing(vkCreateSemaphore(device_, &semaphores, nullptr, &one), "vkCreateSemaphore");
}

void Swapchain::drop() {
    vkDeviceWaitIdle(device_);
    for (const VkSemaphore one : drawn_) vkDestroySemaphore(device_, one, nullptr);
    drawn_.clear();
    if (swapchain_) vkDestroySwapchainKHR(device_, swapchain_, nullptr);
    swapchain_ = nullptr;
}

std::optional<Swapchain::Target> Swapchain::acquire() {
    int w = 0, h = 0;
    glfwGetFramebufferSize(window_, &w, &h);
    if (w == 0 || h == 0) return {}; // minimised
    for (int attempt = 0; attempt < 3; ++attempt) {
        if (!swapchain_ || int(extent_.width) != w || int(extent_.height) != h) create();
        uint32_t i = 0;
        const VkResult result =
            vkAcquireNextImageKHR(device_, swapchain_, UINT64_MAX, acquired_, nullptr, &i);
        if (result == VK_SUCCESS || result == VK_SUBOPTIMAL_KHR)
            return Target{i, images_[i], extent_, acquired_, drawn_[i]};
        if (result != VK_ERROR_OUT_OF_DATE_KHR) check_drawing(result, "vkAcquireNextImageKHR");
        create();
    }
    return {};
}

void Swapchain::present(const Target& target) {
    VkPresentInfoKHR info{VK_STRUCTURE_TYPE_PRESENT_INFO_KHR};
    info.waitSemaphoreCount = 1, info.pWaitSemaphores = &target.drawn;
    info.swapchainCount = 1, info.pSwapchains = &swapchain_, info.pImageIndices = &target.index;
    const VkResult result = vkQueuePresentKHR(queue_, &info);
    if (result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR)
        create();
    else
        check_drawing(result, "vkQueuePresentKHR");
}

} // namespace kvasir::ui
