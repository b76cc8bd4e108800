#pragma once

#include <imgui.h>

#include <optional>
#include <string>

namespace kvasir::ui {

/// Names the item that was drawn last, in English and for good ("send", "head 3 5"): scripts and tests click
/// on names.
void mark(const std::string& name);

/// Where the item of that name is in this frame or the last; nothing where it is not shown.
std::optional<ImVec4> find_mark(const std::string& name); ///< x0, y0, x1, y1

/// Forgets marks that were not set for two frames; once a frame.
void next_marks();

} // namespace kvasir::ui
