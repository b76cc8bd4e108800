#include "ui/marks.hpp"

#include <array>
#include <unordered_map>

namespace kvasir::ui {
namespace {

using Marks = std::unordered_map<std::string, ImVec4>;

/// Of this frame and the one before.
std::array<Marks, 2>& frames() {
    static std::array<Marks, 2> marks;
    return marks;
}

} // namespace

void mark(const std::string& name) {
    const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
    frames()[0][name] = {low.x, low.y, high.x, high.y};
}

std::optional<ImVec4> find_mark(const std::string& name) {
    for (const Marks& marks : frames())
        if (const auto found = marks.find(name); found != marks.end()) return found->second;
    return {};
}

void next_marks() {
    std::swap(frames()[0], frames()[1]);
    frames()[0].clear();
}

} // namespace kvasir::ui
