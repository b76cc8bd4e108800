#pragma once

#include <imgui.h>

#include <string>

namespace kvasir::ui {

/// ImGui's text fields over a std::string of any length.
bool input_text(const char* label, const char* hint, std::string& text, ImGuiInputTextFlags flags = 0);
bool input_multiline(const char* label, std::string& text, ImVec2 size, ImGuiInputTextFlags flags = 0);

} // namespace kvasir::ui
