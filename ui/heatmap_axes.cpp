#include "ui/heatmap_axes.hpp"

#include "ui/draw.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

uint32_t text_color(bool strong) {
    return packed(strong ? ImGui::GetStyleColorVec4(ImGuiCol_Text) : theme().muted);
}

/// Text that reads upwards and ends below the point.
void add_rotated(ImDrawList& list, ImVec2 end, uint32_t color, const std::string& text) {
    const ImVec2 size = ImGui::CalcTextSize(text.c_str());
    const int first = list.VtxBuffer.Size;
    // Laid out from (0, 0) so that nothing is clipped away before it is turned; ImGui leaves clipping to the
    // GPU.
    list.AddText({end.x, end.y}, color, text.c_str());
    for (int i = first; i < list.VtxBuffer.Size; ++i) {
        ImVec2& p = list.VtxBuffer[i].pos;
        const float along = p.x - end.x, down = p.y - end.y;
        p = {end.x + down, end.y + size.x - along};
    }
}

/// The text, cut where it is longer than the room.
std::string cut(std::string text, float room) {
    if (ImGui::CalcTextSize(text.c_str()).x <= room) return text;
    while (!text.empty() && ImGui::CalcTextSize((text + "\u2026").c_str()).x > room) {
        while (!text.empty() && (text.back() & 0xc0) == 0x80) text.pop_back(); // a character's later bytes
        if (!text.empty()) text.pop_back();
    }
    return text + "\u2026";
}

/// 1, 2 or 5 times a power of ten, so that `room` pixels lie between marks.
uint32_t step_of(double cell, double room) {
    double step = 1;
    for (int i = 0; step * cell < room; ++i) step *= i % 3 == 1 ? 2.5 : 2;
    return static_cast<uint32_t>(step);
}

/// Calls f(position) for those that are visible.
template <class F>
void each(double first, double room, double cell, uint32_t n, uint32_t step, const F& f) {
    const double last = std::min<double>(n, first + room / cell);
    for (auto i = static_cast<uint32_t>(std::ceil(first / step)) * step; i < last; i += step) f(i);
}

} // namespace

ImVec2 axes_margin(ImVec2 size) {
    return {std::clamp(size.x * 0.15f, em(3), em(5.5f)), std::clamp(size.y * 0.15f, em(2), em(4))};
}

void draw_axes(ImDrawList& list, const AxesFrame& f, const std::function<std::string(uint32_t)>& label,
               const std::optional<MapCell>& hovered) {
    const float line = em(1), gap = em(0.3f);
    const float bottom = std::min(f.corner.y + f.size.y, f.at_query(f.n)); // a short text ends above the edge
    const ImVec2 margin = f.margin;
    // Half a cell before the corner, so that a cell that is cut by the edge keeps its text.
    if (f.cell >= line && label) {
        list.PushClipRect({f.corner.x - margin.x, f.corner.y}, {f.corner.x, f.corner.y + f.size.y}, true);
        each(std::floor(f.y), f.size.y + f.cell, f.cell, f.n, 1, [&](uint32_t i) {
            const std::string text = cut(label(i), margin.x - 2 * gap);
            const ImVec2 at{f.corner.x - gap - ImGui::CalcTextSize(text.c_str()).x,
                            f.at_query(i + 0.5) - line / 2};
            list.AddText(at, text_color(hovered && hovered->query == i), text.c_str());
        });
        list.PopClipRect();
        list.PushClipRect({f.corner.x, bottom}, {f.corner.x + f.size.x, bottom + margin.y}, true);
        each(std::floor(f.x), f.size.x + f.cell, f.cell, f.n, 1, [&](uint32_t i) {
            const std::string text = cut(label(i), margin.y - 2 * gap);
            add_rotated(list, {f.at_key(i + 0.5) - line / 2, bottom + gap},
                        text_color(hovered && hovered->key == i), text);
        });
        list.PopClipRect();
        return;
    }
    const uint32_t grid = theme().grid;
    each(f.y, f.size.y, f.cell, f.n, step_of(f.cell, em(2)), [&](uint32_t i) {
        const std::string text = std::to_string(i);
        const float y = f.at_query(i + 0.5);
        list.AddLine({f.corner.x - gap, y}, {f.corner.x, y}, grid);
        list.AddText({f.corner.x - 2 * gap - ImGui::CalcTextSize(text.c_str()).x, y - line / 2},
                     text_color(false), text.c_str());
    });
    each(f.x, f.size.x, f.cell, f.n, step_of(f.cell, em(5)), [&](uint32_t i) {
        const float x = f.at_key(i + 0.5), y = bottom;
        const std::string text = std::to_string(i);
        const float width = ImGui::CalcTextSize(text.c_str()).x; // the last one would be cut at the edge
        list.AddLine({x, y}, {x, y + gap}, grid);
        list.AddText({std::min(x, f.corner.x + f.size.x - width), y + gap}, text_color(false), text.c_str());
    });
}

void draw_position(ImDrawList& list, const AxesFrame& f, uint32_t position, const ImVec4& color) {
    if (position >= f.n) return;
    const ImVec2 end{f.corner.x + f.size.x, f.corner.y + f.size.y};
    const float edge = std::min(end.x, f.at_key(f.n)), low = std::min(end.y, f.at_query(f.n));
    list.PushClipRect(f.corner, end, true);
    const auto line = [&](ImVec2 a, ImVec2 b) { list.AddLine(a, b, packed(color, 0.8f)); };
    for (const double side : {0.0, 1.0}) { // both sides of a cell that is seen, one line where it is small
        if (side > 0 && f.cell < 4) break;
        const float y = f.at_query(position + side), x = f.at_key(position + side);
        line({f.corner.x, y}, {std::min(edge, f.at_key(position + 1.0)), y});
        line({x, std::max(f.corner.y, f.at_query(position))}, {x, low});
    }
    list.PopClipRect();
}

void draw_reach(ImDrawList& list, const AxesFrame& f, double reach, const ImVec4& color) {
    if (reach >= f.n) return;
    list.PushClipRect(f.corner, {f.corner.x + f.size.x, f.corner.y + f.size.y}, true);
    list.AddLine({f.at_key(0), f.at_query(reach)}, {f.at_key(f.n - reach), f.at_query(f.n)},
                 packed(color, 0.9f));
    list.PopClipRect();
}

void draw_cross(ImDrawList& list, const AxesFrame& f, MapCell cell) {
    const ImVec2 end{f.corner.x + f.size.x, f.corner.y + f.size.y};
    const uint32_t color = packed(ImGui::GetStyleColorVec4(ImGuiCol_Text), 0.55f);
    list.PushClipRect(f.corner, end, true);
    const float x = f.at_key(cell.key + 0.5), y = f.at_query(cell.query + 0.5);
    list.AddLine({f.corner.x, y}, {x, y}, color);
    list.AddLine({x, y}, {x, std::min(end.y, f.at_query(f.n))}, color);
    if (f.cell >= 4)
        list.AddRect({f.at_key(cell.key), f.at_query(cell.query)},
                     {f.at_key(cell.key + 1.0), f.at_query(cell.query + 1.0)},
                     packed(ImGui::GetStyleColorVec4(ImGuiCol_Text)));
    list.PopClipRect();
}

} // namespace kvasir::ui
