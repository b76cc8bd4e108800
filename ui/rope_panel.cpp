#include "runtime/error.hpp"
#include "runtime/rope.hpp"
#include "ui/alibi_parts.hpp"
#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/picture.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kvasir::ui {
namespace {

/// What a user may choose; the first: as the model has it.
constexpr const char* scalings[] = {"the model's own", "none", "linear", "ntk", "yarn"};
constexpr RopeScaling scaling_of[] = {RopeScaling::none, RopeScaling::none, RopeScaling::linear,
                                      RopeScaling::ntk, RopeScaling::yarn};

const char* scaling_name(int i) {
    switch (i) {
    case 0: return tr("the model's own");
    case 1: return tr("none");
    default: return scalings[i];
    }
}

const char* scaling_text(RopeScaling scaling) {
    switch (scaling) {
    case RopeScaling::none: return tr("none");
    case RopeScaling::linear: return "linear";
    case RopeScaling::ntk: return "ntk";
    case RopeScaling::dynamic: return "dynamic";
    case RopeScaling::yarn: return "yarn";
    case RopeScaling::factors: return tr("a factor for each pair");
    }
    return "";
}

double wavelength(double theta) {
    return 2 * std::numbers::pi / theta;
}

void choose_scaling(PositionEdit& edit) {
    int chosen = 0;
    for (int i = 1; i < IM_ARRAYSIZE(scalings); ++i)
        if (edit.rope_scaling && scaling_of[i] == *edit.rope_scaling) chosen = i;
    label(tr("scaling"));
    ImGui::SetNextItemWidth(em(10));
    const bool open = ImGui::BeginCombo("##scaling", scaling_name(chosen));
    if (!open) return mark("rope scaling");
    for (int i = 0; i < IM_ARRAYSIZE(scalings); ++i) {
        if (ImGui::Selectable(scaling_name(i), i == chosen)) {
            edit.rope_scaling = i == 0 ? std::nullopt : std::optional(scaling_of[i]);
            if (!edit.rope_scaling || *edit.rope_scaling == RopeScaling::none) edit.rope_factor = 1;
        }
        mark(std::string("rope scaling ") + scalings[i]);
    }
    ImGui::EndCombo();
}

/// An edit of the fields in the panel; false where it would be none that a model can run with.
bool edit_rope(AlibiPanel& state, const RunningModel& model) {
    PositionEdit& edit = state.rotation;
    double base = edit.rope_base > 0 ? edit.rope_base : model.trained.rope_base;
    label(tr("base"));
    ImGui::SetNextItemWidth(em(10));
    if (ImGui::InputDouble("##base", &base, 0, 0, "%.6g") && std::isfinite(base))
        edit.rope_base = base == model.trained.rope_base ? 0 : std::clamp(base, 1.0, 1e12);
    mark("rope base");
    choose_scaling(edit);
    if (edit.rope_scaling && *edit.rope_scaling != RopeScaling::none) {
        label(tr("factor"));
        ImGui::SetNextItemWidth(em(10));
        double factor = edit.rope_factor;
        if (ImGui::InputDouble("##factor", &factor, 0, 0, "%.4g") && std::isfinite(factor))
            edit.rope_factor = std::clamp(factor, 1e-3, 1e6);
        mark("rope factor");
    }
    const bool stretches_nothing =
        edit.rope_scaling == RopeScaling::ntk && model.trained.rope_dim == 2; // one frequency, which stays
    if (stretches_nothing) note(tr("ntk needs more than one pair to stretch."), theme().warning);
    return !stretches_nothing;
}

void apply_rope(AlibiPanel& state, bool possible, Requests& requests) {
    PositionEdit wanted = state.rotation;
    wanted.slopes = state.edit.slopes;
    ImGui::BeginDisabled(!possible || wanted == state.edit);
    if (ImGui::Button(tr("Apply"))) {
        state.edit = wanted;
        requests.push_back(EditPositions{wanted});
    }
    mark("rope apply");
    ImGui::EndDisabled();
    ImGui::SetItemTooltip("%s", tr("Keys in the cache were turned the old way: the text is computed again."));
    PositionEdit own;
    own.slopes = state.edit.slopes;
    ImGui::SameLine();
    ImGui::BeginDisabled(state.edit == own && wanted == own);
    if (ImGui::Button(tr("Reset##rope"))) {
        if (!(state.edit == own)) requests.push_back(EditPositions{own});
        state.edit = own;
        state.rotation = {};
    }
    mark("rope reset");
    ImGui::EndDisabled();
}

/// cos(distance * theta) of each pair, the fastest on top.
void draw_picture(AlibiPanel& state, const RopeTable& table, uint32_t far) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const int n = static_cast<int>(table.theta.size());
    const int width = static_cast<int>(std::clamp(ImGui::GetContentRegionAvail().x, em(8), 4096.0f));
    const int high = std::clamp(static_cast<int>(em(14)) / n, 1, static_cast<int>(em(1)));
    const ImVec2 size{static_cast<float>(width), static_cast<float>(n * high)};
    ImGui::InvisibleButton("rotation", size);
    mark("rope picture");
    if (!ImGui::IsItemVisible()) return;
    const auto distance = [&](int x) { return std::floor(double(x) * far / width); };
    std::vector<double> key = table.theta;
    key.push_back(far);
    repaint(state.turns, width, n * high, std::move(key), [&](std::span<uint32_t> pixels) {
        for (int y = 0; y < n * high; ++y)
            for (int x = 0; x < width; ++x) {
                const double turned = std::cos(distance(x) * table.theta[size_t(y / high)]);
                pixels[size_t(y) * size_t(width) + size_t(x)] =
                    diverging_map().at(0.5f + 0.5f * static_cast<float>(turned));
            }
    });
    ImGui::GetWindowDrawList()->AddImage(state.turns.picture->texture(), at, {at.x + size.x, at.y + size.y});
    if (!ImGui::IsItemHovered()) return;
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    const int pair = std::clamp(static_cast<int>(mouse.y - at.y) / high, 0, n - 1);
    const double d = distance(std::clamp(static_cast<int>(mouse.x - at.x), 0, width - 1));
    const double theta = table.theta[size_t(pair)];
    ImGui::SetTooltip("%s",
                      text(tr("pair %d at distance %.0f: turned by %.3f, cos %.3f\na full turn every %.1f "
                              "positions"),
                           pair, d, d * theta, std::cos(d * theta), wavelength(theta))
                          .c_str());
}

void list_wavelengths(const RopeTable& now, const RopeTable& trained, uint32_t n_ctx) {
    const float height = ImGui::GetTextLineHeightWithSpacing() * 7;
    if (!ImGui::BeginTable("waves", 4, ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY, {0, height})) return;
    ImGui::TableSetupScrollFreeze(0, 1);
    for (const char* name :
         {tr("pair"), tr("positions a turn"), tr("as trained"), tr("turns in the context")})
        ImGui::TableSetupColumn(name);
    ImGui::TableHeadersRow();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(now.theta.size()));
    while (clipper.Step())
        for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
            const double wave = wavelength(now.theta[size_t(i)]), own = wavelength(trained.theta[size_t(i)]);
            ImGui::TableNextRow();
            ImGui::TableNextColumn();
            ImGui::Text("%d", i);
            ImGui::TableNextColumn();
            ImGui::Text("%.1f", wave);
            ImGui::TableNextColumn();
            ImGui::Text("%.1f", own);
            ImGui::TableNextColumn();
            ImGui::Text("%.3g", n_ctx / wave);
        }
    ImGui::EndTable();
}

} // namespace

void draw_rotation(AlibiPanel& state, const Snapshot& snapshot, Requests& requests) {
    const RunningModel& model = *snapshot.model;
    ImGui::SeparatorText(tr("RoPE: rotation by pair and distance"));
    const bool possible = edit_rope(state, model);
    apply_rope(state, possible, requests);
    if (!possible) return;
    const ModelSpec spec = edited_rope(model.trained, state.rotation);
    const RopeTable now = rope_table(spec, model.n_ctx), trained = rope_table(model.trained, model.n_ctx);
    const uint32_t far = std::max(snapshot.shown(), 256u);
    draw_picture(state, now, far);
    note(text(tr("Distance 0 to %u to the right, pairs of dimensions downwards; red: cos 1, blue: cos -1."),
              far));
    note(text(tr("Trained with base %s, scaling %s, for %u positions. In the panel: base %s, scaling %s, "
                 "factor %s."),
              shown(model.trained.rope_base).c_str(), scaling_text(model.trained.rope_scaling),
              model.trained.n_ctx, shown(spec.rope_base).c_str(), scaling_text(spec.rope_scaling),
              shown(spec.rope_factor).c_str()));
    list_wavelengths(now, trained, model.n_ctx);
}

} // namespace kvasir::ui
