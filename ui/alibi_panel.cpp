#include "ui/alibi_parts.hpp"
#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

constexpr float steepest = 8; // of the sliders; twice as steep as any trained slope with a max bias of 8 is 2

/// Takes over the model's own edit where it is another model, or was changed from elsewhere.
void follow(AlibiPanel& state, const AttentionPanel& map, const RunningModel& model) {
    if (state.map_head != map.head) {
        state.map_head = map.head;
        state.head.reset();
    }
    const bool other = state.model != model.path;
    if (!other && (model.edit == state.seen || ImGui::IsAnyItemActive())) return;
    if (other) state.scale_all = 1, state.head.reset();
    state.model = model.path;
    state.edit = state.seen = model.edit;
    state.rotation = model.edit;
    state.rotation.slopes.clear();
}

std::vector<float> slopes_of(const AlibiPanel& state, const RunningModel& model) {
    const bool edited = state.edit.slopes.size() == model.spec.n_heads;
    return edited ? state.edit.slopes : model.slopes;
}

void ask(AlibiPanel& state, std::vector<float> slopes, Requests& requests) {
    state.edit.slopes = std::move(slopes);
    requests.push_back(EditPositions{state.edit});
}

void describe(const RunningModel& model) {
    const ModelSpec& trained = model.trained;
    std::string kinds;
    if (trained.learned_positions) kinds += std::string(", ") + tr("learned positions");
    if (trained.rope != Rope::none) kinds += ", RoPE";
    if (trained.alibi_max_bias > 0) kinds += ", ALiBi";
    note(kinds.empty() ? std::string(tr("The model was trained without any position coding."))
                       : text(tr("The model was trained with: %s."), kinds.c_str() + 2));
    if (trained.learned_positions)
        note(tr("Learned positions are rows of a table, added to the embedding: there is nothing to set."));
    if (trained.alibi_max_bias == 0 && !model.slopes.empty())
        note(tr("This model was not trained with ALiBi: what it writes now shows what the bias does to it, "
                "not what ALiBi is worth."),
             theme().warning);
}

void offer_alibi(AlibiPanel& state, const RunningModel& model, Requests& requests) {
    if (ImGui::Button(tr("Give this model ALiBi"))) {
        state.scale_all = 1;
        ask(state, alibi_slopes(model.spec.n_heads, 8), requests);
    }
    mark("alibi give");
    ImGui::SetItemTooltip("%s", tr("Adds -slope * distance to every score, with the slopes of the paper for "
                                   "this number of heads. It was not trained so."));
}

void edit_head(AlibiPanel& state, std::vector<float>& slopes, uint32_t head, Requests& requests) {
    float slope = slopes[head];
    bool changed = false;
    label(text(tr("Head %u"), head).c_str());
    ImGui::SetNextItemWidth(em(10));
    changed |= ImGui::SliderFloat("##slope", &slope, 0, steepest, "%.5f", ImGuiSliderFlags_Logarithmic);
    mark("alibi slope");
    ImGui::SameLine();
    ImGui::SetNextItemWidth(em(6));
    changed |= ImGui::InputFloat("##typed", &slope, 0, 0, "%.6g");
    mark("alibi slope typed");
    ImGui::SetItemTooltip("%s", tr("Type a slope"));
    if (!changed || !std::isfinite(slope)) return;
    slopes[head] = std::clamp(slope, 0.0f, 1000.0f);
    ask(state, slopes, requests);
}

void edit_all(AlibiPanel& state, std::vector<float>& slopes, Requests& requests) {
    auto scale = static_cast<float>(state.scale_all);
    label(tr("All heads"));
    ImGui::SetNextItemWidth(em(10));
    if (ImGui::SliderFloat("##scale", &scale, 1.0f / 16, 16, "x %.3f",
                           ImGuiSliderFlags_Logarithmic | ImGuiSliderFlags_AlwaysClamp)) {
        for (float& slope : slopes) slope *= scale / static_cast<float>(state.scale_all);
        state.scale_all = scale;
        ask(state, slopes, requests);
    }
    mark("alibi scale");
    ImGui::SameLine();
    if (ImGui::Button(tr("Zero"))) ask(state, std::vector<float>(slopes.size(), 0.0f), requests);
    mark("alibi zero");
    ImGui::SameLine();
    ImGui::BeginDisabled(state.edit.slopes.empty());
    if (ImGui::Button(tr("Reset"))) {
        state.scale_all = 1;
        ask(state, {}, requests);
    }
    mark("alibi reset");
    ImGui::EndDisabled();
    ImGui::SetItemTooltip("%s", tr("Back to what the model was trained with"));
}

} // namespace

void draw_alibi(AlibiPanel& state, const AttentionPanel& attention, const Snapshot& snapshot,
                Requests& requests) {
    if (!snapshot.model) return note(tr("Load a model, and see here how it knows where each token stands."));
    const RunningModel& model = *snapshot.model;
    follow(state, attention, model);
    describe(model);
    std::optional<uint32_t> hovered;
    std::vector<float> slopes = slopes_of(state, model);
    if (slopes.empty()) {
        offer_alibi(state, model, requests);
    } else {
        const auto n = static_cast<uint32_t>(slopes.size());
        const uint32_t head = std::min(state.head.value_or(attention.head), n - 1);
        ImGui::SeparatorText(tr("ALiBi slopes"));
        edit_head(state, slopes, head, requests);
        edit_all(state, slopes, requests);
        const auto sorted = sorted_slopes(slopes);
        draw_fan(state, sorted, head, snapshot.shown());
        draw_reach(state, sorted, head, snapshot.shown());
        ImGui::SeparatorText(tr("Score = content + bias"));
        hovered = draw_scores(attention.layer, head, slopes[head], snapshot, requests);
    }
    if (model.spec.rope != Rope::none) draw_rotation(state, snapshot, requests);
    draw_comparison(snapshot, requests);
    tell_hover(hovered, snapshot, requests);
}

} // namespace kvasir::ui
