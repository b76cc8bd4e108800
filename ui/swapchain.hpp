#pragma once

#include <vulkan/vulkan.h>

#include <optional>
#include <vector>

struct GLFWwindow;

namespace kvasir::ui {

/// Throws Error, naming the call, unless it succeeded.
void check_drawing(VkResult result, const char* call);

/// The images of a window, made anew when its size changes.
class Swapchain {
  public:
    Swapchain(VkPhysicalDevice physical, VkDevice device, VkQueue queue, VkSurfaceKHR surface,
              GLFWwindow* window);
    ~Swapchain();
    Swapchain(const Swapchain&) = delete;
    Swapchain& operator=(const Swapchain&) = delete;

    /// An image to write to, once `acquired` is signalled; its writing signals `drawn`.
    struct Target {
        uint32_t index;
        VkImage image;
        VkExtent2D extent;
        VkSemaphore acquired, drawn;
    };
    /// Nothing where the window has no size now.
    std::optional<Target> acquire();
    void present(const Target& target);

  private:
    void create();
    void drop();

    VkPhysicalDevice physical_;
    VkDevice device_;
    VkQueue queue_;
    VkSurfaceKHR surface_;
    GLFWwindow* window_;
    VkSemaphore acquired_ = nullptr;
    VkSwapchainKHR swapchain_ = nullptr;
    VkExtent2D extent_{};
    std::vector<VkImage> images_;
    std::vector<VkSemaphore> drawn_; ///< one an image
};

} // namespace kvasir::ui
