#include "ui/colors.hpp"

#include "runtime/viridis.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace kvasir::ui {
namespace {

using Rgb = std::array<uint8_t, 3>;
constexpr int n_anchors = 9;
using Anchors = std::array<Rgb, n_anchors>;
using Table = std::array<uint32_t, 256>;

// Every 32nd colour of the maps that their authors gave to the public (Smith, van der Walt 2015; Nuñez et al.
// 2018 for cividis; ColorBrewer's RdBu); straight lines between them differ from the maps by less than an eye
// sees.
constexpr Anchors magma{{{0, 0, 4},
                         {29, 17, 71},
                         {81, 18, 124},
                         {131, 38, 129},
                         {183, 55, 121},
                         {231, 82, 99},
                         {252, 137, 97},
                         {254, 196, 136},
                         {252, 253, 191}}};
constexpr Anchors inferno{{{0, 0, 4},
                           {33, 12, 74},
                           {87, 16, 110},
                           {138, 34, 106},
                           {188, 55, 84},
                           {228, 90, 49},
                           {249, 142, 9},
                           {249, 203, 53},
                           {252, 255, 164}}};
constexpr Anchors cividis{{{0, 34, 78},
                           {26, 56, 111},
                           {67, 78, 108},
                           {97, 101, 111},
                           {125, 124, 120},
                           {155, 148, 118},
                           {188, 174, 108},
                           {222, 201, 88},
                           {254, 232, 56}}};
constexpr Anchors grey{{{0, 0, 0},
                        {32, 32, 32},
                        {64, 64, 64},
                        {96, 96, 96},
                        {128, 128, 128},
                        {160, 160, 160},
                        {191, 191, 191},
                        {223, 223, 223},
                        {255, 255, 255}}};
constexpr Anchors red_blue{{{5, 48, 97},
                            {42, 113, 178},
                            {107, 172, 209},
                            {194, 221, 236},
                            {247, 246, 246},
                            {251, 204, 180},
                            {228, 128, 102},
                            {186, 40, 50},
                            {103, 0, 31}}};

constexpr uint32_t packed(int r, int g, int b, int a = 255) {
    return uint32_t(r) | uint32_t(g) << 8 | uint32_t(b) << 16 | uint32_t(a) << 24;
}

constexpr Table table_of(const Anchors& anchors) {
    Table table{};
    for (int i = 0; i < 256; ++i) {
        const int at = i * (n_anchors - 1), low = at / 255, high = low + (low < n_anchors - 1),
                  part = at % 255;
        const Rgb a = anchors[size_t(low)], b = anchors[size_t(high)];
        auto mix = [part](int x, int y) { return (x * (255 - part) + y * part + 127) / 255; };
        table[size_t(i)] = packed(mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2]));
    }
    return table;
}

constexpr Table tables[]{table_of(viridis), table_of(magma), table_of(inferno), table_of(cividis),
                         table_of(grey)};
constexpr Table diverging = table_of(red_blue);
constexpr ColorMap maps[]{{"viridis", tables[0].data()},
                          {"magma", tables[1].data()},
                          {"inferno", tables[2].data()},
                          {"cividis", tables[3].data()},
                          {"grey", tables[4].data()}};
constexpr ColorMap difference{"difference", diverging.data()};

Theme current;

ImVec4 rgb(int hex) {
    return {float(hex >> 16 & 255) / 255, float(hex >> 8 & 255) / 255, float(hex & 255) / 255, 1};
}

struct Palette {
    int text, muted, window, panel, field, hovered, border, accent, accent_text;
};
constexpr Palette dark_palette{0xe6e8eb, 0x8d96a3, 0x16191d, 0x1d2126, 0x282d34,
                               0x343b44, 0x353c45, 0x4c9ee8, 0xffffff};
constexpr Palette light_palette{0x1c2126, 0x66707c, 0xf6f7f9, 0xffffff, 0xe9ecf0,
                                0xdbe1e8, 0xcfd5dd, 0x1668b8, 0xffffff};

void set_colors(const Palette& p) {
    auto faded = [](ImVec4 color, float alpha) {
        color.w = alpha;
        return color;
    };
    ImVec4* c = ImGui::GetStyle().Colors;
    const ImVec4 accent = rgb(p.accent), field = rgb(p.field), hovered = rgb(p.hovered), panel = rgb(p.panel);
    c[ImGuiCol_Text] = rgb(p.text), c[ImGuiCol_TextDisabled] = rgb(p.muted);
    c[ImGuiCol_WindowBg] = rgb(p.window), c[ImGuiCol_ChildBg] = panel, c[ImGuiCol_PopupBg] = panel;
    c[ImGuiCol_Border] = rgb(p.border), c[ImGuiCol_Separator] = rgb(p.border);
    c[ImGuiCol_FrameBg] = field, c[ImGuiCol_FrameBgHovered] = hovered, c[ImGuiCol_FrameBgActive] = hovered;
    c[ImGuiCol_Button] = field, c[ImGuiCol_ButtonHovered] = hovered, c[ImGuiCol_ButtonActive] = accent;
    c[ImGuiCol_Header] = faded(accent, 0.30f), c[ImGuiCol_HeaderHovered] = faded(accent, 0.22f);
    c[ImGuiCol_HeaderActive] = faded(accent, 0.45f);
    c[ImGuiCol_CheckMark] = accent, c[ImGuiCol_SliderGrab] = accent, c[ImGuiCol_SliderGrabActive] = accent;
    c[ImGuiCol_Tab] = rgb(p.window), c[ImGuiCol_TabHovered] = hovered, c[ImGuiCol_TabSelected] = field;
    c[ImGuiCol_TabSelectedOverline] = accent;
    c[ImGuiCol_TitleBg] = c[ImGuiCol_TitleBgActive] = c[ImGuiCol_MenuBarBg] = rgb(p.window);
    c[ImGuiCol_ScrollbarBg] = faded(panel, 0), c[ImGuiCol_ScrollbarGrab] = hovered;
    c[ImGuiCol_ScrollbarGrabHovered] = c[ImGuiCol_ScrollbarGrabActive] = rgb(p.muted);
    c[ImGuiCol_PlotHistogram] = accent, c[ImGuiCol_PlotLines] = accent;
    c[ImGuiCol_TextSelectedBg] = faded(accent, 0.35f), c[ImGuiCol_NavCursor] = accent;
    c[ImGuiCol_TableHeaderBg] = field,
    c[ImGuiCol_TableBorderLight] = c[ImGuiCol_TableBorderStrong] = rgb(p.border);
    c[ImGuiCol_TextLink] = accent, c[ImGuiCol_ResizeGrip] = field, c[ImGuiCol_InputTextCursor] = rgb(p.text);
}

} // namespace

std::span<const ColorMap> color_maps() {
    return maps;
}

const ColorMap& diverging_map() {
    return difference;
}

const Theme& theme() {
    return current;
}

void apply_theme(bool dark, float scale) {
    ImGuiStyle& style = ImGui::GetStyle();
    style = ImGuiStyle();
    if (dark)
        ImGui::StyleColorsDark();
    else
        ImGui::StyleColorsLight();
    const Palette& p = dark ? dark_palette : light_palette;
    set_colors(p);
    style.WindowPadding = {8, 8}, style.FramePadding = {7, 4}, style.ItemSpacing = {7, 6};
    style.FrameRounding = style.GrabRounding = style.ChildRounding = style.PopupRounding = 4;
    style.WindowBorderSize = 0, style.ChildBorderSize = 1, style.ScrollbarSize = 12, style.TabRounding = 4;
    style.ScaleAllSizes(scale);
    current.dark = dark;
    current.muted = rgb(p.muted), current.accent = rgb(p.accent);
    current.good = rgb(dark ? 0x57c177 : 0x1d8348), current.warning = rgb(dark ? 0xe0b04a : 0x9a6700);
    current.bad = rgb(dark ? 0xf0716b : 0xc0271f);
    current.empty = dark ? packed(0x24, 0x28, 0x2e) : packed(0xe2, 0xe5, 0xea);
    current.grid = dark ? packed(0x50, 0x58, 0x62) : packed(0xb0, 0xb8, 0xc2);
}

uint32_t certainty_color(float p) {
    // One bit of surprise is hardly tinted, seven are full.
    const float surprise = p > 0 ? std::min(-std::log2(p) / 7, 1.0f) : 1;
    return packed(224, 72, 48, static_cast<int>(surprise * 150));
}

} // namespace kvasir::ui
