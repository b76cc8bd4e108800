#pragma once

#include <imgui.h>

#include <cstdint>
#include <span>

namespace kvasir::ui {

/// A colour map: 0..1 to a packed ImGui colour. All but the diverging one grow evenly in lightness, so that
/// equal steps look equal and a print in grey keeps the order.
struct ColorMap {
    const char* name;
    const uint32_t* table; ///< [256], 0xAABBGGRR
    uint32_t at(float x) const { return table[x <= 0 ? 0 : x >= 1 ? 255 : static_cast<int>(x * 255 + 0.5f)]; }
};
/// For values from nothing to much: viridis, magma, inferno, cividis (which people who see few colours tell
/// apart), grey.
std::span<const ColorMap> color_maps();
/// For differences: 0.5 is none.
const ColorMap& diverging_map();

/// Colours of the theme in use beyond ImGui's own style.
struct Theme {
    ImVec4 muted;  ///< text of less weight
    ImVec4 accent; ///< what is chosen
    ImVec4 good, warning, bad;
    uint32_t empty = 0; ///< of a map where nothing is (keys after the query)
    uint32_t grid = 0;
    bool dark = true;
};
const Theme& theme();
/// Sets ImGui's style and theme(), sized for `scale` (1: 96 dots an inch at the font's usual size).
void apply_theme(bool dark, float scale);

/// 0 (sure) to red (a guess): the background of a token of probability p.
uint32_t certainty_color(float p);

} // namespace kvasir::ui
