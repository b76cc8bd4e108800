#include "ui/colors.hpp"
#include "ui/marks.hpp"
#include "ui/text_input.hpp"
#include "ui/ui.hpp"
#include "ui/words.hpp"

#include <imgui.h>

#include <algorithm>
#include <cerrno>
#include <cfloat>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace kvasir::ui {
namespace {

namespace fs = std::filesystem;

bool button(const char* label, const char* name) {
    const bool pressed = ImGui::Button(label);
    mark(name);
    return pressed;
}

/// A dialog in the middle of the window; opens it where `open` is set.
bool begin_dialog(const char* title, bool& open) {
    if (open) ImGui::OpenPopup(title), open = false;
    const ImVec2 size = ImGui::GetMainViewport()->WorkSize;
    ImGui::SetNextWindowPos({size.x / 2, size.y / 2}, ImGuiCond_Appearing, {0.5f, 0.5f});
    ImGui::SetNextWindowSizeConstraints({0, 0}, {size.x * 0.9f, size.y * 0.9f});
    bool stays = true;
    return ImGui::BeginPopupModal(title, &stays,
                                  ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoSavedSettings);
}

struct Found {
    std::string name;
    bool folder = false;
    uint64_t bytes = 0;
};

/// The folders and models in a folder, folders first.
std::vector<Found> look_into(const fs::path& folder) {
    std::vector<Found> found;
    std::error_code error;
    for (const auto& entry :
         fs::directory_iterator(folder, fs::directory_options::skip_permission_denied, error)) {
        const std::string name = entry.path().filename().string();
        std::error_code ignored;
        if (name.starts_with(".")) continue;
        if (entry.is_directory(ignored))
            found.push_back({name, true, 0});
        else if (name.ends_with(".gguf"))
            found.push_back({name, false, entry.file_size(ignored)});
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
        return a.folder != b.folder ? a.folder : a.name < b.name;
    });
    return found;
}

} // namespace

void Ui::model_dialog() {
    if (open_models_) {
        model_path_ = settings_.model;
        if (browse_.empty()) {
            std::error_code error;
            browse_ = fs::current_path(error).string();
        }
    }
    const std::string title = std::string(tr("Model")) + "###model dialog";
    if (!begin_dialog(title.c_str(), open_models_)) return;
    const float em = ImGui::GetFontSize();
    std::string chosen;
    for (const std::string& name : places_.built_in)
        if (button(name.c_str(), ("built-in " + name).c_str()))
            chosen = name;
        else if (name != places_.built_in.back())
            ImGui::SameLine();
    for (const std::string& path : settings_.recent) {
        if (std::find(places_.built_in.begin(), places_.built_in.end(), path) != places_.built_in.end())
            continue;
        if (ImGui::Selectable(path.c_str(), path == settings_.model, ImGuiSelectableFlags_NoAutoClosePopups))
            chosen = path;
    }
    ImGui::SetNextItemWidth(em * 36);
    if (input_text("##path", tr("path of a .gguf file or of a Hugging Face folder"), model_path_,
                   ImGuiInputTextFlags_EnterReturnsTrue))
        chosen = model_path_;
    mark("model path");
    ImGui::SameLine();
    if (button(tr("Load"), "load model")) chosen = model_path_;
    ImGui::TextDisabled("%s", browse_.c_str());
    ImGui::BeginChild("files", {em * 42, em * 16}, ImGuiChildFlags_Borders);
    const fs::path folder = browse_;
    if (folder.has_parent_path() && ImGui::Selectable("..", false, ImGuiSelectableFlags_NoAutoClosePopups))
        browse_ = folder.parent_path().string();
    for (const Found& one : look_into(folder)) {
        std::error_code ignored;
        const bool hf = one.folder && fs::exists(folder / one.name / "config.json", ignored);
        char label[400];
        if (one.folder)
            std::snprintf(label, sizeof label, "%s/%s", one.name.c_str(), hf ? "   (Hugging Face)" : "");
        else
            std::snprintf(label, sizeof label, "%s   %.1f MiB", one.name.c_str(),
                          double(one.bytes) / (1 << 20));
        if (!ImGui::Selectable(label, false, ImGuiSelectableFlags_NoAutoClosePopups)) continue;
        const std::string path = (folder / one.name).string();
        if (one.folder && !hf)
            browse_ = path;
        else
            chosen = path;
    }
    ImGui::EndChild();
    ImGui::TextDisabled("%s", tr("A model file can also be dropped on the window."));
    if (!chosen.empty()) {
        open_model(chosen);
        ImGui::CloseCurrentPopup();
    }
    if (button(tr("Close"), "close") || ImGui::IsKeyPressed(ImGuiKey_Escape)) ImGui::CloseCurrentPopup();
    ImGui::EndPopup();
}

void Ui::device_menu() {
    if (!ImGui::BeginPopup("devices")) return;
    for (const DeviceInfo& device : snapshot_.devices) {
        char label[300];
        std::snprintf(label, sizeof label, "%u  %s   %s, %s", device.index, device.name.c_str(),
                      device.type.c_str(), device.driver.c_str());
        const bool runs = snapshot_.model && snapshot_.model->device.index == device.index;
        ImGui::BeginDisabled(!device.usable);
        if (ImGui::Selectable(label, runs) && !runs) {
            settings_.device = std::to_string(device.index);
            route({LoadModel{settings_.model, settings_.device, settings_.n_ctx, settings_.kv}});
        }
        ImGui::EndDisabled();
        mark("device " + std::to_string(device.index));
        ImGui::PushTextWrapPos(ImGui::GetFontSize() * 40);
        ImGui::TextDisabled("     %s", device.reason.c_str());
        ImGui::PopTextWrapPos();
    }
    if (snapshot_.devices.empty()) ImGui::TextDisabled("%s", tr("no Vulkan device"));
    ImGui::EndPopup();
}

void Ui::sampler_settings() {
    std::optional<SamplerOptions> own = settings_.sampler;
    const SamplerOptions before = sampler();
    SamplerOptions s = before;
    const float em = ImGui::GetFontSize();
    ImGui::PushItemWidth(em * 12);
    auto whole = [](const char* label, uint32_t& value, int most) {
        int number = static_cast<int>(std::min<uint32_t>(value, static_cast<uint32_t>(most)));
        if (ImGui::SliderInt(label, &number, 0, most)) value = static_cast<uint32_t>(std::max(number, 0));
    };
    ImGui::SliderFloat(tr("temperature (0: greedy)"), &s.temperature, 0, 2, "%.2f");
    mark("temperature");
    whole(tr("top-k (0: all)"), s.top_k, 200);
    ImGui::SliderFloat(tr("top-p (1: all)"), &s.top_p, 0, 1, "%.2f");
    ImGui::SliderFloat(tr("min-p (0: all)"), &s.min_p, 0, 1, "%.3f");
    ImGui::SliderFloat(tr("repetition penalty (1: none)"), &s.repeat_penalty, 1, 2, "%.2f");
    int seed = static_cast<int>(settings_.seed);
    if (ImGui::InputInt(tr("seed"), &seed)) settings_.seed = static_cast<uint32_t>(seed), save_settings();
    ImGui::PopItemWidth();
    if (!(s == before)) own = s;
    ImGui::SeparatorText(tr("Presets"));
    if (button(tr("The model's"), "preset model's")) own.reset();
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", tr("as its file advises, else the usual"));
    ImGui::SameLine();
    if (button(tr("Usual"), "preset usual")) own = SamplerOptions{};
    ImGui::SameLine();
    if (button(tr("Exact"), "preset exact")) own = SamplerOptions{.temperature = 0};
    ImGui::SameLine();
    if (button(tr("Inventive"), "preset inventive"))
        own = SamplerOptions{.temperature = 1.2f, .top_k = 100, .top_p = 0.98f};
    std::string removed;
    for (const auto& [name, preset] : settings_.presets) {
        ImGui::PushID(name.c_str());
        if (ImGui::Button(name.c_str())) own = preset;
        ImGui::SameLine();
        if (ImGui::SmallButton("x")) removed = name;
        ImGui::PopID();
    }
    if (!removed.empty()) settings_.presets.erase(removed), save_settings();
    ImGui::SetNextItemWidth(em * 8);
    input_text("##preset", tr("name"), preset_name_);
    mark("preset name");
    ImGui::SameLine();
    ImGui::BeginDisabled(preset_name_.empty());
    if (button(tr("Keep as a preset"), "keep preset"))
        settings_.presets[preset_name_] = s, preset_name_.clear(), save_settings();
    ImGui::EndDisabled();
    ImGui::SeparatorText(tr("System prompt"));
    if (input_multiline("##system", conversation_.system, {em * 22, em * 4})) follow_ = true;
    mark("system prompt");
    if (ImGui::IsItemDeactivatedAfterEdit() && store_ && !conversation_.messages().empty())
        saved(store_->save_system(conversation_));
    if (own != settings_.sampler) settings_.sampler = own, save_settings();
}

void Ui::settings_dialog() {
    const std::string title = std::string(tr("Settings")) + "###settings dialog";
    if (!begin_dialog(title.c_str(), open_settings_)) return;
    const Settings before = settings_;
    ImGui::SeparatorText(tr("Look"));
    int dark = settings_.dark;
    ImGui::RadioButton(tr("dark"), &dark, 1);
    mark("dark");
    ImGui::SameLine();
    ImGui::RadioButton(tr("light"), &dark, 0);
    mark("light");
    settings_.dark = dark != 0;
    float scale = static_cast<float>(settings_.font_scale * 100);
    ImGui::SetNextItemWidth(ImGui::GetFontSize() * 12);
    ImGui::SliderFloat(tr("font size"), &scale, 50, 400, "%.0f %%", ImGuiSliderFlags_AlwaysClamp);
    mark("font size");
    // The slider moves under the mouse when everything grows: taken over when it is let go.
    if (ImGui::IsItemDeactivatedAfterEdit()) settings_.font_scale = double(scale) / 100;
    int chinese = settings_.language == "zh";
    ImGui::RadioButton("English", &chinese, 0);
    mark("english");
    ImGui::SameLine();
    ImGui::RadioButton("中文", &chinese, 1);
    mark("chinese");
    settings_.language = chinese ? "zh" : "en";
    ImGui::SeparatorText(tr("Keys"));
    ImGui::Checkbox(tr("Enter sends (else Ctrl+Enter)"), &settings_.enter_sends);
    constexpr std::pair<const char*, const char*> shortcuts[]{
        {"Esc", "stop the answer"},          {"Ctrl+R", "answer again"},
        {"Ctrl+N", "a new conversation"},    {"Ctrl+O", "choose a model"},
        {"Ctrl+L", "to the message box"},    {"Ctrl+,", "settings"},
        {"Ctrl +  -  0", "size of the text"}};
    for (const auto& [keys, what] : shortcuts) {
        ImGui::TextColored(theme().accent, "%s", keys);
        ImGui::SameLine(ImGui::GetFontSize() * 8);
        ImGui::TextUnformatted(tr(what));
    }
    ImGui::Separator();
    ImGui::TextDisabled("%s %s", tr("conversations:"), places_.conversations.string().c_str());
    ImGui::TextDisabled("%s %s", tr("settings:"), places_.settings.string().c_str());
    if (button(tr("Close"), "close") || ImGui::IsKeyPressed(ImGuiKey_Escape)) ImGui::CloseCurrentPopup();
    ImGui::EndPopup();
    if (settings_.dark != before.dark || settings_.font_scale != before.font_scale ||
        settings_.language != before.language || settings_.enter_sends != before.enter_sends) {
        look_changed_ = true;
        save_settings();
    }
}

void Ui::save_dialog() {
    const std::string title = std::string(tr("Save")) + "###save dialog";
    if (!begin_dialog(title.c_str(), open_save_)) return;
    ImGui::SetNextItemWidth(ImGui::GetFontSize() * 36);
    bool save = input_text("##file", tr("file"), save_path_, ImGuiInputTextFlags_EnterReturnsTrue);
    mark("save path");
    std::error_code error;
    if (fs::exists(save_path_, error))
        ImGui::TextColored(theme().warning, "%s", tr("This file is there already and would be replaced."));
    save |= button(tr("Save"), "save");
    ImGui::SameLine();
    if (save && saving_) {
        std::ofstream file(save_path_, std::ios::binary);
        file.write(saving_->bytes.data(), static_cast<std::streamsize>(saving_->bytes.size()));
        if (file.flush())
            tell(std::string(tr("saved:")) + " " + save_path_, false);
        else
            tell("saving " + save_path_ + ": " + std::strerror(errno) +
                 "; try another folder, or making room");
        saving_.reset();
        ImGui::CloseCurrentPopup();
    }
    if (button(tr("Cancel"), "close") || ImGui::IsKeyPressed(ImGuiKey_Escape)) ImGui::CloseCurrentPopup();
    ImGui::EndPopup();
}

} // namespace kvasir::ui
