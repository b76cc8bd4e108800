#include "tests/ui_harness.hpp"
#include "ui/colors.hpp"
#include "ui/picture.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

namespace kvasir::ui {

TEST_CASE("ui: a picture reaches the back end, changes, and goes") {
    HeadlessUi ui;
    auto picture = std::make_unique<Picture>();
    picture->pixels(8, 4)[5] = 0xff00ff00;
    picture->changed();
    ui.frame([&] { ImGui::Image(picture->texture(), {8, 4}); });
    const size_t n = size_t(ImGui::GetPlatformIO().Textures.Size);
    CHECK(ImGui::GetPlatformIO().Textures.back()->Status == ImTextureStatus_OK);
    picture->pixels(8, 4)[6] = 0xff0000ff;
    picture->changed();
    CHECK(ImGui::GetPlatformIO().Textures.back()->Status == ImTextureStatus_WantUpdates);
    picture.reset();
    for (int i = 0; i < 4; ++i) ui.frame([] {});
    CHECK(size_t(ImGui::GetPlatformIO().Textures.Size) == n - 1);
}

TEST_CASE("ui: colour maps grow in lightness, the diverging one from both ends") {
    auto lightness = [](uint32_t c) {
        return 0.2126 * (c & 255) + 0.7152 * (c >> 8 & 255) + 0.0722 * (c >> 16 & 255);
    };
    for (const ColorMap& map : color_maps())
        for (int i = 8; i < 256; i += 8) {
            CAPTURE(map.name);
            CHECK(lightness(map.table[i]) > lightness(map.table[i - 8]));
        }
    for (int i = 0; i < 120; i += 8) {
        CHECK(lightness(diverging_map().table[i]) < lightness(diverging_map().table[i + 8]));
        CHECK(lightness(diverging_map().table[255 - i]) < lightness(diverging_map().table[255 - i - 8]));
    }
}

} // namespace kvasir::ui
