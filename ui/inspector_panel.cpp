#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

const char* fate_name(Candidate::Fate fate) {
    switch (fate) {
    case Candidate::Fate::kept: return tr("kept");
    case Candidate::Fate::top_k: return tr("removed by top-k");
    case Candidate::Fate::top_p: return tr("removed by top-p");
    case Candidate::Fate::min_p: return tr("removed by min-p");
    }
    return "";
}

/// A bar in a table's cell with the share in percent on it.
void share_cell(float share, ImVec4 color) {
    ImGui::TableNextColumn();
    bar(double(share), color, std::isfinite(share) ? text("%.2f %%", double(100 * share)) : "nan");
}

void candidate_row(size_t rank, const TokenChoice& choice, uint32_t position, bool chosen,
                   Requests& requests) {
    const Candidate& candidate = choice.candidates[rank];
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::AlignTextToFramePadding();
    const std::string label =
        visible_label(rank < choice.labels.size() ? choice.labels[rank] : "", candidate.id);
    if (chosen)
        ImGui::TextColored(theme().accent, "%s", label.c_str());
    else
        ImGui::TextUnformatted(label.c_str());
    ImGui::SetItemTooltip("%s", text(tr("token %d"), candidate.id).c_str());
    share_cell(candidate.p, theme().accent);
    share_cell(candidate.p_final, theme().good);
    ImGui::TableNextColumn();
    const bool kept = candidate.fate == Candidate::Fate::kept;
    ImGui::TextColored(kept ? theme().good : theme().muted, "%s", fate_name(candidate.fate));
    ImGui::TableNextColumn();
    ImGui::PushID(static_cast<int>(rank));
    ImGui::BeginDisabled(chosen);
    if (ImGui::SmallButton(tr("branch here"))) requests.push_back(BranchHere{position, candidate.id});
    mark("candidate " + std::to_string(rank));
    ImGui::EndDisabled();
    ImGui::SetItemTooltip("%s",
                          chosen ? tr("This one came.") : tr("Writes this one here and goes on from it"));
    ImGui::PopID();
}

void draw_choice(const SequenceToken& token, uint32_t position, Requests& requests) {
    const TokenChoice& choice = token.choice;
    note(
        text(tr("Position %u, \"%s\": probability %.2f %%. Entropy %.2f nats, as if %.1f tokens were equally "
                "likely."),
             position, visible_label(token.label, token.id).c_str(), double(100 * choice.p),
             double(choice.entropy), std::exp(double(choice.entropy))));
    if (choice.candidates.empty()) return note(tr("What else could have come was not kept for this token."));
    const auto flags = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp;
    if (!ImGui::BeginTable("candidates", 5, flags)) return;
    ImGui::TableSetupColumn(tr("token"), 0, 2);
    ImGui::TableSetupColumn(tr("of the model"), 0, 2);
    ImGui::TableSetupColumn(tr("drawn from"), 0, 2);
    ImGui::TableSetupColumn(tr("sampler"), 0, 2);
    ImGui::TableSetupColumn("##branch", ImGuiTableColumnFlags_WidthFixed);
    ImGui::TableHeadersRow();
    bool listed = false;
    for (size_t i = 0; i < choice.candidates.size(); ++i) {
        const bool chosen = choice.candidates[i].id == token.id;
        listed |= chosen;
        candidate_row(i, choice, position, chosen, requests);
    }
    ImGui::EndTable();
    if (!listed) note(text(tr("What came is not among the likeliest %zu."), choice.candidates.size()));
}

void draw_selected(const Snapshot& snapshot, Requests& requests) {
    ImGui::SeparatorText(tr("The chosen token"));
    if (!snapshot.selected || *snapshot.selected >= snapshot.sequence.size())
        return note(tr("Click a token, and see here what else could have come in its place."));
    const SequenceToken& token = snapshot.sequence[*snapshot.selected];
    if (token.generated) return draw_choice(token, *snapshot.selected, requests);
    note(text(tr("Position %u, \"%s\" (token %d): it was given to the model, which chose nothing here."),
              *snapshot.selected, visible_label(token.label, token.id).c_str(), token.id));
}

/// Lengths that the scrubber stops at: before the first generated token, and after each.
std::vector<uint32_t> stops_of(const std::vector<SequenceToken>& sequence) {
    std::vector<uint32_t> stops;
    for (size_t i = 0; i < sequence.size(); ++i) {
        if (!sequence[i].generated) continue;
        if (stops.empty()) stops.push_back(static_cast<uint32_t>(i));
        stops.push_back(static_cast<uint32_t>(i + 1));
    }
    return stops;
}

void travel(const std::vector<uint32_t>& stops, int stop, Requests& requests) {
    if (stop >= static_cast<int>(stops.size()) - 1)
        requests.push_back(TravelTo{});
    else
        requests.push_back(TravelTo{stops[size_t(std::max(stop, 0))]});
}

void draw_scrubber(const Snapshot& snapshot, Requests& requests) {
    const std::vector<uint32_t> stops = stops_of(snapshot.sequence);
    const int last = std::max(static_cast<int>(stops.size()) - 1, 0);
    int now = last;
    while (now > 0 && snapshot.travel && stops[size_t(now)] > snapshot.shown()) --now;
    const bool back = snapshot.travel.has_value();
    ImGui::BeginDisabled(last == 0);
    ImGui::BeginDisabled(now == 0);
    if (ImGui::ArrowButton("##back", ImGuiDir_Left)) travel(stops, now - 1, requests);
    mark("travel back");
    ImGui::EndDisabled();
    ImGui::SameLine();
    ImGui::BeginDisabled(!back);
    if (ImGui::ArrowButton("##forward", ImGuiDir_Right)) travel(stops, now + 1, requests);
    mark("travel forward");
    ImGui::EndDisabled();
    ImGui::SameLine();
    ImGui::SetNextItemWidth(
        std::max(ImGui::GetContentRegionAvail().x - button_width(tr("Live")) - em(0.6f), em(5)));
    const std::string where = text(tr("%d of %d"), now, last);
    if (ImGui::SliderInt("##scrubber", &now, 0, std::max(last, 1), where.c_str(),
                         ImGuiSliderFlags_AlwaysClamp))
        travel(stops, now, requests);
    mark("scrubber");
    ImGui::SetItemTooltip("%s", tr("Text, map, cache and probabilities as they were after so many tokens"));
    same_line_if_fits(button_width(tr("Live")));
    ImGui::BeginDisabled(!back);
    if (ImGui::Button(tr("Live"))) requests.push_back(TravelTo{});
    mark("live");
    ImGui::EndDisabled();
    ImGui::EndDisabled();
}

void draw_steps(const Snapshot& snapshot, Requests& requests) {
    if (!snapshot.generating && !snapshot.paused) return;
    if (!snapshot.paused) {
        if (ImGui::Button(tr("Pause"))) requests.push_back(Pause{});
        mark("pause");
        return;
    }
    if (ImGui::Button(tr("One token"))) requests.push_back(StepToken{});
    mark("step");
    ImGui::SameLine();
    if (ImGui::Button(tr("Go on"))) requests.push_back(Resume{});
    mark("resume");
    ImGui::SameLine();
    ImGui::AlignTextToFramePadding();
    ImGui::TextDisabled("%s", tr("paused"));
}

} // namespace

void draw_inspector(InspectorPanel& state, const Snapshot& snapshot, Requests& requests) {
    if (!snapshot.model) return note(tr("Load a model, and see here the tokens that it reads and writes."));
    if (snapshot.sequence.empty()) {
        draw_steps(snapshot, requests);
        return note(tr("The tokens of the conversation appear here as soon as there are any."));
    }
    draw_scrubber(snapshot, requests);
    draw_steps(snapshot, requests);
    const std::optional<uint32_t> hovered = draw_tokens(state, snapshot, requests);
    draw_selected(snapshot, requests);
    tell_hover(hovered, snapshot, requests);
}

} // namespace kvasir::ui
