#include "ui/picture.hpp"

#include <imgui_internal.h>

#include <utility>
#include <vector>

namespace kvasir::ui {
namespace {

/// Textures whose picture is gone, until the back end has let go of them.
std::vector<std::unique_ptr<ImTextureData>>& leaving() {
    static std::vector<std::unique_ptr<ImTextureData>> textures;
    return textures;
}

void let_go(std::unique_ptr<ImTextureData> texture) {
    if (!texture) return;
    if (texture->Status == ImTextureStatus_WantCreate) { // the back end has not seen it
        ImGui::UnregisterUserTexture(texture.get());
        return;
    }
    texture->SetStatus(ImTextureStatus_WantDestroy);
    leaving().push_back(std::move(texture));
}

} // namespace

Picture::Picture() = default;

Picture::~Picture() {
    if (ImGui::GetCurrentContext()) let_go(std::move(data_));
}

std::span<uint32_t> Picture::pixels(int width, int height) {
    if (!data_ || width != width_ || height != height_) {
        let_go(std::move(data_));
        data_ = std::make_unique<ImTextureData>();
        data_->Create(ImTextureFormat_RGBA32, width, height);
        data_->UsedRect = {0, 0, static_cast<unsigned short>(width), static_cast<unsigned short>(height)};
        ImGui::RegisterUserTexture(data_.get());
        width_ = width, height_ = height;
    }
    return {reinterpret_cast<uint32_t*>(data_->Pixels), size_t(width) * size_t(height)};
}

void Picture::changed() {
    if (data_->Status == ImTextureStatus_WantCreate) return; // it is sent whole when it is made
    const ImTextureRect all{0, 0, static_cast<unsigned short>(width_), static_cast<unsigned short>(height_)};
    data_->Updates.resize(0);
    data_->Updates.push_back(all);
    data_->UpdateRect = all;
    data_->SetStatus(ImTextureStatus_WantUpdates);
}

ImTextureRef Picture::texture() const {
    ImTextureRef reference;
    reference._TexData = data_.get();
    return reference;
}

void sweep_pictures() {
    std::erase_if(leaving(), [](const std::unique_ptr<ImTextureData>& texture) {
        ++texture->UnusedFrames; // the back end waits until no frame in flight can use it
        if (texture->Status != ImTextureStatus_Destroyed) return false;
        ImGui::UnregisterUserTexture(texture.get());
        return true;
    });
}

} // namespace kvasir::ui
