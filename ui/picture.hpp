#pragma once

#include <imgui.h>

#include <cstdint>
#include <memory>
#include <span>

namespace kvasir::ui {

/// RGBA pixels that ImGui draws as an image, each pixel as a square (nearest sampling is the painter's: draw
/// it at its own size or paint whole cells). Lives as long as the ImGui context in which it was made.
class Picture {
  public:
    Picture();
    ~Picture();
    Picture(const Picture&) = delete;
    Picture& operator=(const Picture&) = delete;

    int width() const { return width_; }
    int height() const { return height_; }
    /// Pixels to write, 0xAABBGGRR row by row; changed() sends them to the GPU. Another size forgets the old
    /// ones.
    std::span<uint32_t> pixels(int width, int height);
    void changed();

    /// What ImGui::Image and ImDrawList::AddImage take.
    ImTextureRef texture() const;

  private:
    int width_ = 0, height_ = 0;
    std::unique_ptr<ImTextureData> data_;
};

/// Lets textures go whose pictures are gone; once a frame.
void sweep_pictures();

} // namespace kvasir::ui
