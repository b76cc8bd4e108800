#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct GLFWwindow;

namespace kvasir::ui {

/// Draws ImGui's frames with Vulkan, on a device of its own, so that the window outlives a device that a
/// model lost: into a picture, and from there to a GLFW window where there is one. Made after ImGui's
/// context, gone before it.
class Canvas {
  public:
    /// window: nullptr draws into the picture alone. Throws Error where no device can show it.
    explicit Canvas(GLFWwindow* window);
    ~Canvas();
    Canvas(const Canvas&) = delete;
    Canvas& operator=(const Canvas&) = delete;

    /// Draws ImGui's draw data (after ImGui::Render) of `width` x `height` pixels, and shows it.
    void draw(int width, int height);

    /// The picture last drawn, RGBA rows from the top.
    struct Image {
        int width = 0, height = 0;
        std::vector<uint8_t> rgba;
    };
    Image read();

    const std::string& device_name() const;
    bool software() const; ///< a CPU draws it

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace kvasir::ui
