#include "ui/alibi_parts.hpp"
#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

/// Tokens as flowing text; from the first difference on in another colour.
void draw_text(const std::vector<std::string>& tokens, size_t difference) {
    std::string same, other;
    for (size_t i = 0; i < tokens.size(); ++i) (i < difference ? same : other) += tokens[i];
    ImGui::PushTextWrapPos(0);
    if (!same.empty()) ImGui::TextUnformatted(same.data(), same.data() + same.size());
    if (!other.empty()) {
        ImGui::PushStyleColor(ImGuiCol_Text, theme().warning);
        ImGui::TextUnformatted(other.data(), other.data() + other.size());
        ImGui::PopStyleColor();
    }
    ImGui::PopTextWrapPos();
}

double mean_of(const std::vector<float>& values) {
    double sum = 0;
    size_t n = 0;
    for (const float value : values)
        if (std::isfinite(value)) sum += value, ++n;
    return n ? sum / double(n) : 0;
}

void draw_divergence(const Compared& compared) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 size{std::max(ImGui::GetContentRegionAvail().x, em(6)), em(4)};
    ImGui::InvisibleButton("kl", size);
    mark("compare kl");
    const bool hovered = ImGui::IsItemHovered();
    const size_t n = compared.kl.size();
    float most = 0;
    for (const float kl : compared.kl)
        if (std::isfinite(kl)) most = std::max(most, kl);
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, {at.x + size.x, at.y + size.y}, theme().empty);
    const float step = size.x / static_cast<float>(n);
    for (size_t i = 0; i < n; ++i) {
        const float kl = compared.kl[i];
        const bool known = std::isfinite(kl);
        const float height = known && most > 0 ? size.y * std::max(kl, 0.0f) / most : known ? 0 : size.y;
        const float x = at.x + step * static_cast<float>(i);
        list.AddRectFilled({x, at.y + size.y - height}, {x + std::max(step * 0.8f, 1.0f), at.y + size.y},
                           packed(known ? theme().accent : theme().bad, 0.8f));
    }
    note(text(tr("KL(edited || trained) of the next token, in nats: mean %.4f, largest %.4f over %zu steps"),
              mean_of(compared.kl), double(most), n));
    if (hovered) {
        const auto i = std::min(n - 1, static_cast<size_t>((ImGui::GetIO().MousePos.x - at.x) / step));
        const std::string token = i < compared.edited.size() && !compared.edited[i].empty()
                                      ? visible_label(compared.edited[i], 0)
                                      : "";
        ImGui::SetTooltip(
            "%s",
            text(tr("step %zu, before \"%s\": %.5f nats"), i, token.c_str(), double(compared.kl[i])).c_str());
    }
}

} // namespace

void draw_comparison(const Snapshot& snapshot, Requests& requests) {
    ImGui::SeparatorText(tr("Compare with the model as trained"));
    const bool edited = !(snapshot.model->edit == PositionEdit{});
    ImGui::BeginDisabled(!edited || snapshot.sequence.empty() || snapshot.generating);
    if (ImGui::Button(tr("Compare"))) requests.push_back(ComparePositions{});
    mark("alibi compare");
    ImGui::EndDisabled();
    if (!snapshot.compared) {
        note(!edited ? tr("Change positions first; then see what the change does to the text that follows.")
             : snapshot.sequence.empty()
                 ? tr("There is no text yet to continue.")
                 : tr("Continues the text twice, each time with the likeliest tokens."));
        return;
    }
    const Compared& compared = *snapshot.compared;
    const size_t difference = first_difference(compared);
    if (ImGui::BeginTable("texts", 2, ImGuiTableFlags_BordersInnerV)) {
        ImGui::TableSetupColumn(tr("as trained"));
        ImGui::TableSetupColumn(tr("as edited"));
        ImGui::TableHeadersRow();
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        draw_text(compared.trained, difference);
        ImGui::TableNextColumn();
        draw_text(compared.edited, difference);
        ImGui::EndTable();
    }
    const bool parted = difference < std::max(compared.trained.size(), compared.edited.size());
    note(parted ? text(tr("The texts part at token %zu."), difference)
                : std::string(tr("The texts are the same.")));
    if (!compared.kl.empty()) draw_divergence(compared);
}

} // namespace kvasir::ui
