#pragma once

#include "ui/heatmap.hpp"

#include <imgui.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace kvasir::ui {

/// Where cells are: the plot in pixels, the room beside it, and the cell at its upper left corner.
struct AxesFrame {
    ImVec2 corner, size, margin;
    double cell = 1, x = 0, y = 0;
    uint32_t n = 0;

    float at_key(double key) const { return corner.x + static_cast<float>((key - x) * cell); }
    float at_query(double query) const { return corner.y + static_cast<float>((query - y) * cell); }
};

/// Room to the left of the plot and below it, of a map of that size. The same whatever is written there, so
/// that zooming moves nothing.
ImVec2 axes_margin(ImVec2 size);
/// Queries to the left, keys below: the tokens' texts where a line of text fits a cell, else round positions.
/// Those of the hovered cell stand out.
void draw_axes(ImDrawList& list, const AxesFrame& frame, const std::function<std::string(uint32_t)>& label,
               const std::optional<MapCell>& hovered);
/// Lines along a position's row and column.
void draw_position(ImDrawList& list, const AxesFrame& frame, uint32_t position, const ImVec4& color);
/// A line along the diagonal, `reach` positions from it.
void draw_reach(ImDrawList& list, const AxesFrame& frame, double reach, const ImVec4& color);
/// Lines to the axes from a cell, and a frame around it.
void draw_cross(ImDrawList& list, const AxesFrame& frame, MapCell cell);

} // namespace kvasir::ui
