#include "ui/attention_parts.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>

namespace kvasir::ui {
namespace {

/// One of some choices, as a button that shows whether it is chosen. Gives whether it was clicked.
template <class T>
bool choice(T& value, T is, const char* label, const char* name, const char* says, bool first = false) {
    const bool chosen = value == is;
    if (!first) same_line_if_fits(button_width(label));
    if (chosen) {
        ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyleColorVec4(ImGuiCol_ButtonActive));
        ImGui::PushStyleColor(ImGuiCol_Text, {1, 1, 1, 1});
    }
    ImGui::PushID(name);
    const bool clicked = ImGui::Button(label);
    if (clicked) value = is;
    mark(name);
    ImGui::PopID();
    if (chosen) ImGui::PopStyleColor(2);
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", says);
    return clicked;
}

/// A name before choices, on a new line or this one.
void title(const char* words, bool first = false) {
    if (!first) same_line_if_fits(ImGui::CalcTextSize(words).x + em(9), 1.2f);
    ImGui::AlignTextToFramePadding();
    ImGui::TextDisabled("%s", words);
}

void choose_colors(AttentionPanel& state) {
    same_line_if_fits(em(7));
    ImGui::SetNextItemWidth(em(7));
    const auto maps = color_maps();
    if (ImGui::BeginCombo("##color map", maps[size_t(state.color_map)].name)) {
        for (size_t i = 0; i < maps.size(); ++i) {
            if (ImGui::Selectable(maps[i].name, i == size_t(state.color_map))) state.color_map = int(i);
            mark(std::string("color map ") + maps[i].name);
        }
        ImGui::EndCombo();
    }
    mark("color map");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s",
                          tr("Colours: all grow evenly in lightness; cividis suits colour-blind eyes."));
}

void choose_masked(AttentionPanel& state, const Snapshot& s) {
    title(tr("Mask first keys"));
    same_line_if_fits(em(6));
    ImGui::SetNextItemWidth(em(6));
    int masked = static_cast<int>(state.masked_sinks);
    ImGui::InputInt("##masked", &masked, 1, 4);
    mark("masked sinks");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s",
                          tr("Leaves out the first keys, where most heads rest what they do not use (the "
                             "sink), and lets the others of each row sum to 1 again."));
    state.masked_sinks = static_cast<uint32_t>(std::clamp(masked, 0, 64));
    std::string share;
    if (state.masked_sinks == 0 && state.average == Average::none) {
        const HeadMetrics& m = s.attention.metrics(state.layer, state.head);
        if (m.n_rows) share = text(tr("first key: %.1f %%"), double(m.sink) * 100);
    } else if (const auto masked_share = state.parts->shown.masked_share(s.shown())) {
        share = text(tr("masked: %.1f %%"), *masked_share * 100);
    }
    if (share.empty()) return;
    same_line_if_fits(ImGui::CalcTextSize(share.c_str()).x);
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(share.c_str());
    mark("sink share");
}

void choose_difference(AttentionPanel& state, const Snapshot& s, const HeadMap* map) {
    title(tr("Less"));
    same_line_if_fits(em(9));
    ImGui::SetNextItemWidth(em(9));
    const std::string none = tr("nothing"), other = text(tr("head %u"), state.other_head);
    const std::string pinned = state.parts->pinned_name;
    const std::string now = state.difference == Difference::none     ? none
                            : state.difference == Difference::pinned ? pinned
                                                                     : other;
    if (ImGui::BeginCombo("##difference", now.c_str())) {
        if (ImGui::Selectable(none.c_str())) state.difference = Difference::none;
        mark("difference none");
        if (state.parts->pinned) {
            if (ImGui::Selectable((pinned + "##pinned").c_str())) state.difference = Difference::pinned;
            mark("difference pinned");
        }
        for (uint32_t head = 0; head < s.attention.n_heads(); ++head) {
            if (ImGui::Selectable(text(tr("head %u"), head).c_str()))
                state.difference = Difference::head, state.other_head = head;
            mark("difference head " + std::to_string(head));
        }
        ImGui::EndCombo();
    }
    mark("difference");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s",
                          tr("Shows the map less another: red where it has more, blue where it has less."));
    same_line_if_fits(ImGui::CalcTextSize(tr("Pin")).x + em(1));
    ImGui::BeginDisabled(!map || state.difference != Difference::none || map->n_read() == 0);
    if (ImGui::Button(tr("Pin"))) {
        state.parts->pinned = std::make_shared<HeadMap>(*map);
        state.parts->pinned_name = map_name(state, s.model->spec);
        state.difference = Difference::pinned;
    }
    mark("pin");
    ImGui::EndDisabled();
    if (ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled))
        ImGui::SetTooltip(
            "%s", tr("Keeps this map as it is now, and shows what others have more or less: of another "
                     "head, layer, text, or of this one later."));
}

} // namespace

HeadRange group_of(const ModelSpec& spec, uint32_t head) {
    const uint32_t each = std::max(1u, spec.n_heads / std::max(1u, spec.n_kv_heads));
    return {head / each * each, std::min(head / each * each + each, spec.n_heads)};
}

MapChoice map_choice(const AttentionPanel& state, const Snapshot& s) {
    MapChoice c{
        .layer = state.layer, .first = state.head, .last = state.head + 1, .masked = state.masked_sinks};
    if (state.average == Average::layer) c.first = 0, c.last = s.attention.n_heads();
    if (state.average == Average::group) {
        const HeadRange group = group_of(s.model->spec, state.head);
        c.first = group.first, c.last = group.last;
    }
    if (state.difference == Difference::head) c.minus_head = state.other_head;
    if (state.difference == Difference::pinned) c.minus = state.parts->pinned;
    return c;
}

std::string map_name(const AttentionPanel& state, const ModelSpec& spec) {
    std::string name = "layer " + std::to_string(state.layer);
    if (state.average == Average::none) name += " head " + std::to_string(state.head);
    if (state.average == Average::layer) name += " mean";
    if (state.average == Average::group) {
        const HeadRange group = group_of(spec, state.head);
        name += " heads " + std::to_string(group.first) + "-" + std::to_string(group.last - 1);
    }
    if (state.masked_sinks) name += " without " + std::to_string(state.masked_sinks);
    return name;
}

void draw_scale(AttentionPanel& state) {
    const bool was = state.options;
    choice(state.scale, ColorScale::linear, tr("Linear"), "scale linear",
           tr("From 0 to the map's largest value."), true);
    choice(state.scale, ColorScale::log, tr("Log"), "scale log",
           tr("Four decades below the map's largest value: weak attention shows beside strong."));
    choice(state.scale, ColorScale::row, tr("Per row"), "scale row",
           tr("From 0 to each row's largest value; where rows share a pixel, to the largest of theirs."));
    if (choice(state.options, true, tr("Options"), "map options",
               tr("Colours, masking, means, differences, files.")))
        state.options = !was;
}

void draw_map_options(AttentionPanel& state, const Snapshot& s, const HeadMap* map) {
    title(tr("Colours"), true);
    choose_colors(state);
    same_line_if_fits(ImGui::CalcTextSize(tr("Follow")).x + em(2), 1.2f);
    ImGui::Checkbox(tr("Follow"), &state.view.follow);
    mark("follow");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s", tr("A view that is at the end of the text stays there as it grows."));
    title(tr("Mean of"));
    choice(state.average, Average::none, tr("No others"), "average none", tr("The chosen head alone."));
    choice(state.average, Average::group, tr("KV group"), "average group",
           tr("The heads that share the chosen head's keys and values."));
    choice(state.average, Average::layer, tr("Layer"), "average layer", tr("All heads of the layer."));
    choose_masked(state, s);
    choose_difference(state, s, map);
}

} // namespace kvasir::ui
