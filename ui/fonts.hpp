#pragma once

#include <imgui.h>

namespace kvasir::ui {

/// The fonts of the interface, as fontconfig has them: a sans-serif one and one of fixed width, each followed
/// by as many others as it takes to show other scripts. Glyphs are drawn when they are first seen, at any
/// size.
struct Fonts {
    ImFont *text = nullptr, *mono = nullptr;
};
/// Loads them into ImGui's atlas. Without any, ImGui's own small font.
Fonts load_fonts();
const Fonts& fonts();

} // namespace kvasir::ui
