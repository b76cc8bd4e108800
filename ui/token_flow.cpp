#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>

namespace kvasir::ui {

std::string visible_label(const std::string& label, int32_t id) {
    if (label.empty()) return "[" + std::to_string(id) + "]";
    std::string out;
    for (const char c : label) {
        if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (c == '\t')
            out += "\\t";
        else
            out += c;
    }
    return out;
}

bool begins_word(const std::string& before, const std::string& token) {
    return token.starts_with(' ') || token.starts_with("<|") || may_break(before, token);
}

namespace {

float token_width(const std::string& shown_label) {
    return ImGui::CalcTextSize(shown_label.data(), shown_label.data() + shown_label.size()).x + em(0.3f);
}

/// Drops the lines from the first token on that is another than was laid out.
void keep_unchanged(InspectorPanel& state, const std::vector<SequenceToken>& sequence) {
    const size_t n = std::min(state.ids.size(), sequence.size());
    size_t same = 0;
    while (same < n && state.ids[same] == sequence[same].id) ++same;
    if (same == state.ids.size()) return;
    while (!state.lines.empty() && state.lines.back() > same) state.lines.pop_back();
    // The line in which it stands is laid out again, and the one before, where a word now may find room.
    for (int i = 0; i < 2 && !state.lines.empty(); ++i) {
        same = state.lines.back();
        state.lines.pop_back();
    }
    state.ids.resize(same);
    state.line_end = state.width; // so that the next token begins a line
}

void lay_out(InspectorPanel& state, const Snapshot& snapshot, float width) {
    const float font_size = ImGui::GetFontSize();
    if (state.model != snapshot.model->path || state.width != width || state.font_size != font_size) {
        const auto shown = state.shown;
        state = InspectorPanel{.model = snapshot.model->path, .width = width, .font_size = font_size};
        state.shown = shown;
    }
    keep_unchanged(state, snapshot.sequence);
    for (size_t i = state.ids.size(); i < snapshot.sequence.size(); ++i) {
        const SequenceToken& token = snapshot.sequence[i];
        const float w = token_width(visible_label(token.label, token.id));
        const bool after_break = i > 0 && snapshot.sequence[i - 1].label.ends_with('\n');
        if (state.lines.empty() || after_break || state.line_end + w > width) {
            // A word goes to the next line as a whole, unless it has this one to itself.
            size_t begin = i;
            if (!state.lines.empty() && !after_break)
                while (begin > state.lines.back() &&
                       !begins_word(snapshot.sequence[begin - 1].label, snapshot.sequence[begin].label))
                    --begin;
            if (!state.lines.empty() && begin == state.lines.back()) begin = i;
            state.lines.push_back(static_cast<uint32_t>(begin));
            state.line_end = 0;
            for (size_t k = begin; k < i; ++k)
                state.line_end +=
                    token_width(visible_label(snapshot.sequence[k].label, snapshot.sequence[k].id));
            if (begin < i && state.line_end + w > width) { // a word longer than a line
                state.lines.push_back(static_cast<uint32_t>(i));
                state.line_end = 0;
            }
        }
        state.line_end += w;
        state.ids.push_back(token.id);
    }
}

/// One token; true where the mouse is over it.
bool draw_token(uint32_t i, ImVec2 size, const std::string& label, const Snapshot& snapshot,
                Requests& requests) {
    const SequenceToken& token = snapshot.sequence[i];
    const ImVec2 at = ImGui::GetCursorScreenPos(), end{at.x + size.x, at.y + size.y};
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("token", size)) requests.push_back(ShowToken{i});
    ImGui::PopID();
    mark("token " + std::to_string(i));
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    if (token.generated) list.AddRectFilled(at, end, certainty_color(token.choice.p), em(0.2f));
    const bool gone = i >= snapshot.shown(); // not written yet at the time that is shown
    list.AddText({at.x + em(0.15f), at.y + (size.y - ImGui::GetFontSize()) / 2},
                 gone ? packed(theme().muted, 0.6f) : ImGui::GetColorU32(ImGuiCol_Text), label.data(),
                 label.data() + label.size());
    if (snapshot.selected == i) list.AddRect(at, end, packed(theme().accent), em(0.2f), 0, em(0.1f));
    if (hovered || snapshot.hovered == i) list.AddRect(at, end, ImGui::GetColorU32(ImGuiCol_Text), em(0.2f));
    if (hovered) {
        std::string words = text(tr("position %u, token %d"), i, token.id);
        if (token.generated) words += text(tr(", probability %.2f %%"), double(100 * token.choice.p));
        ImGui::SetTooltip("%s", words.c_str());
    }
    return hovered;
}

std::optional<uint32_t> draw_line(const InspectorPanel& state, size_t line, float height,
                                  const Snapshot& snapshot, Requests& requests) {
    std::optional<uint32_t> hovered;
    const uint32_t first = state.lines[line], last = line + 1 < state.lines.size()
                                                         ? state.lines[line + 1]
                                                         : static_cast<uint32_t>(state.ids.size());
    for (uint32_t i = first; i < last; ++i) {
        const SequenceToken& token = snapshot.sequence[i];
        const std::string label = visible_label(token.label, token.id);
        if (i > first) ImGui::SameLine(0, 0);
        if (draw_token(i, {token_width(label), height}, label, snapshot, requests)) hovered = i;
    }
    return hovered;
}

/// Brings a newly selected token into view.
void scroll_to_selected(InspectorPanel& state, const Snapshot& snapshot, float line_height) {
    if (state.shown == snapshot.selected) return;
    state.shown = snapshot.selected;
    if (!state.shown || *state.shown >= state.ids.size()) return;
    const auto after = std::upper_bound(state.lines.begin(), state.lines.end(), *state.shown);
    const auto line = static_cast<float>(after - state.lines.begin() - 1);
    const float y = line * line_height, scroll = ImGui::GetScrollY(), height = ImGui::GetWindowHeight();
    if (y < scroll || y + line_height > scroll + height) ImGui::SetScrollY(y - height / 2);
}

} // namespace

std::optional<uint32_t> draw_tokens(InspectorPanel& state, const Snapshot& snapshot, Requests& requests) {
    std::optional<uint32_t> hovered;
    const float height = std::clamp(ImGui::GetContentRegionAvail().y * 0.5f, em(6), em(30));
    if (ImGui::BeginChild("tokens", {0, height}, ImGuiChildFlags_Borders,
                          ImGuiWindowFlags_AlwaysVerticalScrollbar)) {
        ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {0, em(0.15f)});
        const float line_height = em(1.25f);
        lay_out(state, snapshot, ImGui::GetContentRegionAvail().x);
        const bool at_end = ImGui::GetScrollY() >= ImGui::GetScrollMaxY();
        ImGuiListClipper clipper;
        clipper.Begin(static_cast<int>(state.lines.size()), line_height + em(0.15f));
        while (clipper.Step())
            for (int line = clipper.DisplayStart; line < clipper.DisplayEnd; ++line)
                if (const auto over = draw_line(state, size_t(line), line_height, snapshot, requests))
                    hovered = over;
        ImGui::PopStyleVar();
        scroll_to_selected(state, snapshot, line_height + em(0.15f));
        if (at_end && snapshot.generating) ImGui::SetScrollHereY(1);
    }
    ImGui::EndChild();
    return hovered;
}

} // namespace kvasir::ui
