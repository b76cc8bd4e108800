#include "ui/draw.hpp"

#include "ui/colors.hpp"
#include "ui/marks.hpp"
#include "ui/picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace kvasir::ui {

float em(float n) {
    return n * ImGui::GetFontSize();
}

std::string text(const char* pattern, ...) {
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    const int n = std::vsnprintf(nullptr, 0, pattern, arguments);
    std::string out(static_cast<size_t>(std::max(n, 0)) + 1, 0);
    std::vsnprintf(out.data(), out.size(), pattern, again);
    va_end(again);
    va_end(arguments);
    out.pop_back();
    return out;
}

void note(const std::string& words, ImVec4 color) {
    ImGui::PushStyleColor(ImGuiCol_Text, color);
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(words.data(), words.data() + words.size());
    ImGui::PopTextWrapPos();
    ImGui::PopStyleColor();
}

void note(const std::string& words) {
    note(words, theme().muted);
}

bool may_break(std::string_view before, std::string_view after) {
    if (before.empty() || after.empty()) return true;
    constexpr std::string_view closing = " )]},.!?:;，。、！？：；）】》」』”’…", opening = "([{（【《「『“‘";
    size_t n = 1;
    while (n < before.size() && (before[before.size() - n] & 0xc0) == 0x80) ++n;
    const std::string_view last = before.substr(before.size() - n);
    size_t m = 1;
    while (m < after.size() && (after[m] & 0xc0) == 0x80) ++m;
    const std::string_view first = after.substr(0, m);
    if (closing.find(first) != std::string_view::npos || opening.find(last) != std::string_view::npos)
        return false;
    auto wide = [](std::string_view c) { // CJK and kana
        return c.size() == 3 && static_cast<unsigned char>(c[0]) >= 0xe3;
    };
    return last == " " || last == "-" || last == "\t" || last == "\n" || wide(last) || wide(first);
}

void same_line_if_fits(float width, float gap) {
    const float end = ImGui::GetWindowPos().x + ImGui::GetContentRegionMax().x;
    if (ImGui::GetItemRectMax().x + em(gap) + width <= end) ImGui::SameLine(0, em(gap));
}

float button_width(const char* label) {
    return ImGui::CalcTextSize(label, nullptr, true).x + 2 * ImGui::GetStyle().FramePadding.x;
}

void label(const char* words) {
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(words);
    ImGui::SameLine(em(6));
}

uint32_t packed(ImVec4 color, float alpha) {
    color.w *= alpha;
    return ImGui::ColorConvertFloat4ToU32(color);
}

uint32_t bar_color(ImVec4 color) {
    return packed(color, theme().dark ? 0.45f : 0.35f);
}

void bar(double share, ImVec4 color, const std::string& words) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 size{std::max(ImGui::GetContentRegionAvail().x, em(2)), ImGui::GetFrameHeight()};
    ImGui::Dummy(size);
    if (!ImGui::IsItemVisible()) return;
    const ImVec2 end{at.x + size.x, at.y + size.y};
    const float filled = std::isfinite(share) ? size.x * static_cast<float>(std::clamp(share, 0.0, 1.0)) : 0;
    const float rounding = ImGui::GetStyle().FrameRounding;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, end, theme().empty, rounding);
    if (filled > 0) list.AddRectFilled(at, {at.x + filled, end.y}, bar_color(color), rounding);
    list.PushClipRect(at, end, true);
    list.AddText({at.x + em(0.4f), at.y + (size.y - ImGui::GetFontSize()) / 2},
                 ImGui::GetColorU32(ImGuiCol_Text), words.data(), words.data() + words.size());
    list.PopClipRect();
}

void tell_hover(std::optional<uint32_t> position, const Snapshot& snapshot, Requests& requests) {
    if (position)
        requests.push_back(Hover{position});
    else if (snapshot.hovered && ImGui::IsWindowHovered(ImGuiHoveredFlags_ChildWindows))
        requests.push_back(Hover{}); // left of it; over another panel it is that one's to say
}

void repaint(Painted& painted, int width, int height, std::vector<double> key,
             const std::function<void(std::span<uint32_t>)>& paint) {
    width = std::clamp(width, 1, 4096), height = std::clamp(height, 1, 4096);
    key.insert(key.end(), {double(width), double(height), double(theme().dark)});
    if (painted.picture && painted.key == key) return;
    if (!painted.picture) painted.picture = std::make_shared<Picture>();
    paint(painted.picture->pixels(width, height));
    painted.picture->changed();
    painted.key = std::move(key);
}

PositionAxis::PositionAxis(uint32_t n_positions)
    : x0(ImGui::GetCursorScreenPos().x),
      width(std::floor(std::clamp(ImGui::GetContentRegionAvail().x, em(4), 4096.0f))), n(n_positions) {}

std::optional<uint32_t> PositionAxis::at(float mouse_x) const {
    if (n == 0 || !(mouse_x >= x0) || !(mouse_x < x0 + width)) return {};
    return std::min(n - 1, static_cast<uint32_t>((mouse_x - x0) / width * static_cast<float>(n)));
}

std::pair<uint32_t, uint32_t> PositionAxis::of_column(int column, int columns) const {
    const auto at = [&](int c) { return static_cast<uint32_t>(uint64_t(c) * n / uint64_t(columns)); };
    const uint32_t first = std::min(at(column), n ? n - 1 : 0);
    return {first, std::max(at(column + 1), first + 1)};
}

namespace {

void draw_cursors(const PositionAxis& axis, float top, float bottom, const Snapshot& snapshot) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const auto line = [&](std::optional<uint32_t> position, uint32_t color) {
        if (!position || *position >= axis.n) return;
        const float x0 = axis.x(*position), x1 = std::max(axis.x(*position + 1.0), x0 + em(0.1f));
        list.AddRect({x0, top}, {x1, bottom}, color);
    };
    line(snapshot.selected, packed(theme().accent));
    line(snapshot.hovered, ImGui::GetColorU32(ImGuiCol_Text));
}

} // namespace

std::optional<uint32_t> strip(const char* id, const PositionAxis& axis, int rows, float row_height,
                              Painted& painted, std::vector<double> key, const Snapshot& snapshot,
                              const std::function<uint32_t(int, uint32_t, uint32_t)>& color) {
    const int columns = std::clamp(static_cast<int>(axis.width), 1, 4096);
    const int high = std::max(1, static_cast<int>(row_height)), height = rows * high;
    const ImVec2 at = ImGui::GetCursorScreenPos(), end{at.x + axis.width, at.y + static_cast<float>(height)};
    ImGui::InvisibleButton(id, {axis.width, static_cast<float>(height)});
    mark(id);
    if (!ImGui::IsItemVisible()) return {};
    key.insert(key.end(), {double(axis.n), double(rows)});
    repaint(painted, columns, height, std::move(key), [&](std::span<uint32_t> pixels) {
        for (size_t row = 0; row < size_t(rows); ++row) {
            const auto first_line = pixels.subspan(row * size_t(high) * size_t(columns), size_t(columns));
            for (int c = 0; c < columns; ++c) {
                const auto [first, last] = axis.of_column(c, columns);
                first_line[size_t(c)] = axis.n ? color(int(row), first, last) : theme().empty;
            }
            for (size_t line = 1; line < size_t(high); ++line)
                std::copy(first_line.begin(), first_line.end(),
                          first_line.begin() + ptrdiff_t(line * size_t(columns)));
        }
    });
    ImGui::GetWindowDrawList()->AddImage(painted.picture->texture(), at, end);
    draw_cursors(axis, at.y, end.y, snapshot);
    return ImGui::IsItemHovered() ? axis.at(ImGui::GetIO().MousePos.x) : std::nullopt;
}

} // namespace kvasir::ui
