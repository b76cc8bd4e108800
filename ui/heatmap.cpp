#include "ui/heatmap.hpp"

#include "ui/heatmap_axes.hpp"
#include "ui/marks.hpp"

#include <imgui_internal.h>

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

/// A view in pixels: the plot's corner and size, a cell's size, and the sizes it may have.
struct Frame {
    ImVec2 corner, size;
    double cell = 1, smallest = 1, largest = 1;

    double columns() const { return size.x / cell; }
    double rows() const { return size.y / cell; }
};

Frame frame_of(ImVec2 corner, ImVec2 size, const MapView& view, uint32_t n) {
    Frame f{corner, size, 1, 1, 1};
    const double side = std::min(size.x, size.y);
    f.largest = ImGui::GetFontSize() * 4.0;
    f.smallest = std::min(side / n, f.largest);
    f.cell = view.span > 0 ? std::clamp(side / view.span, f.smallest, f.largest) : f.smallest;
    return f;
}

/// Another size of a cell; what is at the point (from the plot's corner) stays there.
void zoom(Frame& f, MapView& view, double factor, ImVec2 at) {
    const double cell = std::clamp(f.cell * factor, f.smallest, f.largest);
    view.x += at.x / f.cell - at.x / cell;
    view.y += at.y / f.cell - at.y / cell;
    f.cell = cell;
    view.span = cell > f.smallest ? std::min(f.size.x, f.size.y) / cell : 0;
}

void clamp(const Frame& f, MapView& view, uint32_t n) {
    view.x = std::clamp(view.x, 0.0, std::max(0.0, n - f.columns()));
    view.y = std::clamp(view.y, 0.0, std::max(0.0, n - f.rows()));
}

/// The sequence has grown: edges that were at its end go along.
void follow(const Frame& f, MapView& view, uint32_t n) {
    if (view.follow && view.seen > 0 && n > view.seen) {
        constexpr double nearly = 0.5; // cells
        if (view.y + f.rows() > view.seen - nearly) view.y = n - f.rows();
        if (view.x + f.columns() > view.seen - nearly) view.x = n - f.columns();
    }
    view.seen = n;
}

/// The wheel and keys, while the item is under the mouse or has the keyboard.
void steer(Frame& f, MapView& view, uint32_t n, bool focused) {
    const ImGuiIO& io = ImGui::GetIO();
    const bool over = ImGui::IsItemHovered();
    const ImVec2 middle{f.size.x / 2, f.size.y / 2};
    const ImVec2 at = over ? ImVec2(io.MousePos.x - f.corner.x, io.MousePos.y - f.corner.y) : middle;
    if (over) {
        ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelY);
        if (io.MouseWheel != 0) zoom(f, view, std::pow(1.25, io.MouseWheel), at);
    }
    if (!over && !focused) return;
    for (const ImGuiKey key : {ImGuiKey_LeftArrow, ImGuiKey_RightArrow, ImGuiKey_UpArrow, ImGuiKey_DownArrow,
                               ImGuiKey_Home, ImGuiKey_End})
        ImGui::SetKeyOwner(key, ImGui::GetItemID()); // they move the map, not the keyboard's focus
    const auto pressed = [](ImGuiKey key) {
        return ImGui::IsKeyPressed(key, ImGuiInputFlags_Repeat, ImGui::GetItemID());
    };
    const auto typed = [](ImGuiKey key) { return ImGui::IsKeyPressed(key); };
    if (typed(ImGuiKey_Equal) || typed(ImGuiKey_KeypadAdd)) zoom(f, view, 1.25, at);
    if (typed(ImGuiKey_Minus) || typed(ImGuiKey_KeypadSubtract)) zoom(f, view, 0.8, at);
    view.x += (int(pressed(ImGuiKey_RightArrow)) - int(pressed(ImGuiKey_LeftArrow))) * f.columns() / 8;
    view.y += (int(pressed(ImGuiKey_DownArrow)) - int(pressed(ImGuiKey_UpArrow))) * f.rows() / 8;
    const bool whole = over && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left);
    if (pressed(ImGuiKey_Home) || whole) zoom(f, view, 0, at);
    if (pressed(ImGuiKey_End)) view.x = n, view.y = n;
}

} // namespace

void Heatmap::paint(const HeatmapInput& input, const MapPart& part, int width, int height) {
    const Shown now{input.map,
                    input.map ? input.map->version() : 0,
                    part,
                    width,
                    height,
                    input.style.scale,
                    input.style.colors,
                    input.style.most,
                    theme().dark};
    if (now == shown_) return;
    shown_ = now;
    static const HeadMap nothing;
    paint_map(picture_.pixels(width, height), width, height, input.map ? *input.map : nothing, part,
              input.style);
    picture_.changed();
}

HeatmapOutput Heatmap::draw(const char* name, ImVec2 size, MapView& view, const HeatmapInput& input) {
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    const ImVec2 margin = axes_margin(size);
    const ImVec2 plot{std::max(size.x - margin.x, 8.0f), std::max(size.y - margin.y, 8.0f)};
    ImGui::SetCursorScreenPos({corner.x + margin.x, corner.y});
    ImGui::InvisibleButton(name, plot, ImGuiButtonFlags_EnableNav);
    mark(name);
    const bool hovered = ImGui::IsItemHovered(), focused = ImGui::IsItemFocused();
    Frame f = frame_of({corner.x + margin.x, corner.y}, plot, view, input.n);
    follow(f, view, input.n);
    const bool held = ImGui::IsItemActive();
    const ImVec2 moved = ImGui::GetIO().MouseDelta;
    if (ImGui::IsItemActivated()) dragged_ = 0;
    if (held && ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
        dragged_ += std::abs(moved.x) + std::abs(moved.y);
        if (dragged_ > 3) view.x -= moved.x / f.cell, view.y -= moved.y / f.cell;
    }
    HeatmapOutput out;
    out.clicked = ImGui::IsItemDeactivated() && hovered && dragged_ <= 3;
    steer(f, view, input.n, focused);
    clamp(f, view, input.n);

    const float dots = std::max(ImGui::GetIO().DisplayFramebufferScale.x, 1.0f); // pixels of a unit of length
    const auto cells =
        MapPart{f.cell * dots, view.x, view.y, input.n, std::min(input.n_rows, input.n), input.first_key};
    paint(input, cells, std::max(1, static_cast<int>(plot.x * dots)),
          std::max(1, static_cast<int>(plot.y * dots)));
    const ImVec2 end{f.corner.x + static_cast<float>(picture_.width()) / dots,
                     f.corner.y + static_cast<float>(picture_.height()) / dots};
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddImage(picture_.texture(), f.corner, end);
    if (focused && ImGui::GetIO().NavVisible)
        list->AddRect(f.corner, end, ImGui::ColorConvertFloat4ToU32(theme().accent));

    if (hovered) {
        const ImVec2 mouse = ImGui::GetIO().MousePos;
        const double key = view.x + (mouse.x - f.corner.x) / f.cell,
                     query = view.y + (mouse.y - f.corner.y) / f.cell;
        if (key >= 0 && query >= 0 && key < input.n && query < input.n)
            out.hovered = MapCell{static_cast<uint32_t>(query), static_cast<uint32_t>(key)};
    }
    out.clicked = out.clicked && out.hovered;
    const AxesFrame axes{f.corner, plot, margin, f.cell, view.x, view.y, input.n};
    draw_axes(*list, axes, input.label, out.hovered);
    if (input.reach > 0) draw_reach(*list, axes, input.reach, theme().good);
    if (input.selected) draw_position(*list, axes, *input.selected, theme().accent);
    if (input.hovered && !out.hovered) draw_position(*list, axes, *input.hovered, theme().warning);
    if (out.hovered) draw_cross(*list, axes, *out.hovered);
    return out;
}

} // namespace kvasir::ui
