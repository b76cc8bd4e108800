#include "runtime/numbers.hpp"
#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/picture.hpp"
#include "ui/ui.hpp"
#include "ui/words.hpp"

#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <filesystem>

namespace kvasir::ui {
namespace {

constexpr float font_size = 16; ///< at scale 1

} // namespace

void Ui::set_scale(float dpi_scale) {
    look_changed_ |= dpi_scale != dpi_scale_;
    dpi_scale_ = dpi_scale;
}

void Ui::apply_look() {
    if (!look_changed_) return;
    look_changed_ = false;
    const float scale = static_cast<float>(settings_.font_scale) * dpi_scale_;
    apply_theme(settings_.dark, scale);
    set_language(settings_.language == "zh" ? Language::chinese : Language::english);
    for (auto& [index, drawn] : drawn_) drawn.height = 0;
}

/// Keys that work wherever the keyboard is.
void Ui::keys() {
    auto global = [](ImGuiKeyChord chord) {
        return ImGui::Shortcut(chord, ImGuiInputFlags_RouteGlobal | ImGuiInputFlags_RouteOverActive);
    };
    if (ImGui::IsKeyPressed(ImGuiKey_Escape) && snapshot_.generating) stop();
    if (global(ImGuiMod_Ctrl | ImGuiKey_N)) new_conversation();
    if (global(ImGuiMod_Ctrl | ImGuiKey_O)) open_models_ = true;
    if (global(ImGuiMod_Ctrl | ImGuiKey_Comma)) open_settings_ = true;
    if (global(ImGuiMod_Ctrl | ImGuiKey_R) && conversation_.last() != Message::none &&
        conversation_.at(conversation_.last()).role == "assistant")
        regenerate(conversation_.last());
    if (global(ImGuiMod_Ctrl | ImGuiKey_L)) focus_input_ = true;
    double scale = settings_.font_scale;
    if (global(ImGuiMod_Ctrl | ImGuiKey_Equal) || global(ImGuiMod_Ctrl | ImGuiKey_KeypadAdd)) scale *= 1.1;
    if (global(ImGuiMod_Ctrl | ImGuiKey_Minus) || global(ImGuiMod_Ctrl | ImGuiKey_KeypadSubtract))
        scale /= 1.1;
    if (global(ImGuiMod_Ctrl | ImGuiKey_0)) scale = 1;
    if (scale != settings_.font_scale) {
        settings_.font_scale = std::clamp(scale, 0.5, 4.0);
        look_changed_ = true;
        save_settings();
    }
}

std::string Ui::model_name() const {
    const auto& model = snapshot_.model;
    if (model && !model->name.empty()) return model->name;
    const std::string& path = model ? model->path : settings_.model;
    return path.empty() ? tr("no model") : std::filesystem::path(path).filename().string();
}

std::string Ui::title() const {
    return "Kvasir - " + model_name() +
           (snapshot_.loading      ? std::string(" - ") + tr("loading")
            : snapshot_.generating ? std::string(" - ") + tr("answering")
                                   : "");
}

void Ui::toolbar() {
    const auto& model = snapshot_.model;
    if (ImGui::Button((std::string(tr("Model")) + ": " + model_name() + "##model").c_str()))
        open_models_ = true;
    mark("model");
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", (model ? model->path : settings_.model).c_str());
    const std::string device = model                      ? model->device.name
                               : settings_.device.empty() ? tr("the best one")
                                                          : settings_.device;
    const std::string device_label = std::string(tr("Device")) + ": " + device + "##device";
    same_line_if_fits(button_width(device_label.c_str()));
    if (ImGui::Button(device_label.c_str())) ImGui::OpenPopup("devices");
    mark("device");
    device_menu();
    same_line_if_fits(button_width(tr("Sampler")));
    if (ImGui::Button(tr("Sampler"))) ImGui::OpenPopup("sampler");
    mark("sampler");
    if (ImGui::BeginPopup("sampler")) {
        sampler_settings();
        ImGui::EndPopup();
    }
    same_line_if_fits(button_width(tr("Settings")));
    if (ImGui::Button(tr("Settings"))) open_settings_ = true;
    mark("settings");
    if (snapshot_.loading) {
        const auto& l = *snapshot_.loading;
        const float share = l.total ? float(double(l.done) / double(l.total)) : 0;
        same_line_if_fits(ImGui::GetFontSize() * 14);
        ImGui::ProgressBar(share, {ImGui::GetFontSize() * 14, 0},
                           (std::string(tr("loading")) + " " + mebibytes(l.done)).c_str());
        mark("loading");
    } else
        status_line();
}

void Ui::status_line() {
    const auto& m = snapshot_.model;
    auto place = [](const std::string& words) {
        same_line_if_fits(ImGui::CalcTextSize(words.c_str()).x);
        ImGui::AlignTextToFramePadding();
    };
    if (!m) {
        place(tr("no model is loaded"));
        return ImGui::TextDisabled("%s", tr("no model is loaded"));
    }
    const auto used = static_cast<uint32_t>(snapshot_.sequence.size());
    const float share = m->n_ctx ? float(used) / float(m->n_ctx) : 0;
    if (snapshot_.tokens_per_second > 0) {
        const std::string speed = text("%.1f %s", snapshot_.tokens_per_second, tr("tokens/s"));
        place(speed);
        ImGui::TextUnformatted(speed.c_str());
    }
    const float width = ImGui::GetFontSize() * 8;
    same_line_if_fits(width);
    ImGui::PushStyleColor(ImGuiCol_PlotHistogram, share < 0.5f   ? theme().good
                                                  : share < 0.8f ? theme().warning
                                                                 : theme().bad);
    ImGui::ProgressBar(std::min(share, 1.0f), {width, 0}, text("%u / %u", used, m->n_ctx).c_str());
    ImGui::PopStyleColor();
    mark("context");
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", tr("tokens in the context, of those it holds"));
    const std::string kv = "KV " + mebibytes(m->kv_bytes);
    place(kv);
    ImGui::TextUnformatted(kv.c_str());
    const std::string watched =
        text("%s %u %s %u", tr("layer"), attention_.layer, tr("head"), attention_.head);
    place(watched);
    ImGui::TextColored(theme().muted, "%s", watched.c_str());
}

void Ui::notices() {
    for (size_t i = 0; i < notices_.size(); ++i) {
        ImGui::PushID(static_cast<int>(i));
        if (ImGui::SmallButton("x")) {
            notices_.erase(notices_.begin() + std::ptrdiff_t(i));
            ImGui::PopID();
            return;
        }
        mark("dismiss " + std::to_string(i));
        ImGui::SameLine();
        ImGui::PushTextWrapPos();
        ImGui::TextColored(notices_[i].bad ? theme().bad : theme().good, "%s", notices_[i].text.c_str());
        ImGui::PopTextWrapPos();
        ImGui::PopID();
    }
}

void Ui::splitter(const char* name, double& share, double sign) {
    ImGui::SameLine(0, 0);
    const float width = ImGui::GetFontSize() * 0.4f;
    ImGui::InvisibleButton(name, {width, ImGui::GetContentRegionAvail().y});
    mark(name);
    if (ImGui::IsItemHovered() || ImGui::IsItemActive()) ImGui::SetMouseCursor(ImGuiMouseCursor_ResizeEW);
    if (ImGui::IsItemActive())
        share = std::clamp(share + sign * double(ImGui::GetIO().MouseDelta.x / ImGui::GetIO().DisplaySize.x),
                           0.15, 0.6);
    if (ImGui::IsItemDeactivated()) save_settings();
    ImGui::SameLine(0, 0);
}

void Ui::side_tabs() {
    Requests requests;
    if (ImGui::BeginTabBar("side")) {
        auto tab = [&](const char* title, const char* name, const auto& draw) {
            const bool shown = ImGui::BeginTabItem((std::string(title) + "###" + name).c_str());
            mark(std::string("tab ") + name);
            if (!shown) return;
            ImGui::BeginChild("body");
            draw();
            ImGui::EndChild();
            ImGui::EndTabItem();
        };
        tab(tr("Tokens"), "tokens", [&] { draw_inspector(inspector_, snapshot_, requests); });
        tab(tr("KV cache"), "kv", [&] { draw_kv(kv_, snapshot_, requests); });
        tab(tr("Positions"), "positions", [&] { draw_alibi(alibi_, attention_, snapshot_, requests); });
        tab(tr("Device"), "device", [&] { draw_device(device_, snapshot_, requests); });
        ImGui::EndTabBar();
    }
    route(std::move(requests));
}

void Ui::columns() {
    const float width = ImGui::GetContentRegionAvail().x;
    const float left = width * static_cast<float>(settings_.chat_share),
                right =
                    width * static_cast<float>(std::min(settings_.side_share, 0.9 - settings_.chat_share));
    ImGui::BeginChild("chat", {left, 0}, ImGuiChildFlags_AlwaysUseWindowPadding);
    chat();
    ImGui::EndChild();
    splitter("chat width", settings_.chat_share, 1);
    ImGui::BeginChild("attention", {width - left - right - ImGui::GetFontSize() * 0.8f, 0},
                      ImGuiChildFlags_AlwaysUseWindowPadding);
    Requests requests;
    draw_attention(attention_, snapshot_, requests);
    route(std::move(requests));
    ImGui::EndChild();
    splitter("side width", settings_.side_share, -1);
    ImGui::BeginChild("side", {0, 0}, ImGuiChildFlags_AlwaysUseWindowPadding);
    side_tabs();
    ImGui::EndChild();
}

void Ui::draw() {
    apply_look();
    // Dear ImGui takes its style's own size over between frames only, and forgets one that is set within.
    ImGui::PushFont(nullptr, font_size * static_cast<float>(settings_.font_scale) * dpi_scale_);
    next_marks();
    sweep_pictures();
    keys();
    const ImGuiViewport* viewport = ImGui::GetMainViewport();
    ImGui::SetNextWindowPos(viewport->WorkPos);
    ImGui::SetNextWindowSize(viewport->WorkSize);
    // The canvas is cleared to the background: a fill of the whole window is a quarter of a software device's
    // work.
    ImGui::Begin("Kvasir", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoBackground |
                     ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoSavedSettings);
    toolbar();
    notices();
    columns();
    model_dialog();
    settings_dialog();
    save_dialog();
    ImGui::End();
    ImGui::PopFont();
}

} // namespace kvasir::ui
