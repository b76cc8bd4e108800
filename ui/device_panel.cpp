#include "runtime/numbers.hpp"
#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/time_numbers.hpp"
#include "ui/words.hpp"

#include <algorithm>

namespace kvasir::ui {
namespace {

/// A submit longer than this can stall the desktop, or end in a driver's watchdog.
constexpr double submit_bound_ms = 50;

/// Kinds of operations in the order they first run, each with a colour of its own.
class Kinds {
  public:
    explicit Kinds(const Profile& profile) {
        for (const ProfileEntry& entry : profile) {
            const std::string kind = kind_of(entry.op);
            if (std::find(names_.begin(), names_.end(), kind) == names_.end()) names_.push_back(kind);
        }
    }
    uint32_t color(const std::string& op) const {
        const auto at = std::find(names_.begin(), names_.end(), kind_of(op)) - names_.begin();
        const auto n = static_cast<float>(std::max(names_.size(), size_t(1)));
        return color_maps()[0].at(0.15f + 0.8f * static_cast<float>(at) / n);
    }
    const std::vector<std::string>& names() const { return names_; }

  private:
    std::vector<std::string> names_;
};

std::string describe(const TimeBar& bar, double total_ms, double copy_bytes_s) {
    std::string words =
        bar.op + "\n" +
        text(tr("%.3f ms, %.1f %% of the time, %llu times"), bar.ms,
             total_ms > 0 ? 100 * bar.ms / total_ms : 0.0, static_cast<unsigned long long>(bar.count));
    if (bar.bytes == 0 || bar.ms <= 0) return words;
    words += "\n" + text(tr("%.2f GB/s"), bar.bytes_s() / 1e9);
    if (copy_bytes_s > 0)
        words += text(tr(", %.0f %% of what a copy reaches"), 100 * bar.bytes_s() / copy_bytes_s);
    return words;
}

/// A row's operations end to end; the widths are shares of `longest_ms`.
void draw_row(const TimeRow& row, double longest_ms, double total_ms, const Timed& times,
              const Kinds& kinds) {
    const std::string name = row.layer < 0 ? std::string(tr("outside")) : text(tr("layer %d"), row.layer);
    ImGui::TextUnformatted(name.c_str());
    ImGui::SameLine(em(6));
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 size{std::max(ImGui::GetContentRegionAvail().x, em(4)), em(1.1f)};
    ImGui::InvisibleButton(("row" + name).c_str(), size);
    mark(row.layer < 0 ? "time outside" : "time layer " + std::to_string(row.layer));
    if (!ImGui::IsItemVisible()) return;
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, {at.x + size.x, at.y + size.y}, theme().empty);
    float x = at.x;
    for (const TimeBar& bar : row.bars) {
        const float w = longest_ms > 0 ? size.x * static_cast<float>(bar.ms / longest_ms) : 0;
        const ImVec2 low{x, at.y}, high{x + w, at.y + size.y};
        list.AddRectFilled(low, high, kinds.color(bar.op));
        if (w > em(0.3f)) list.AddLine({high.x, low.y}, high, theme().empty);
        if (hovered && ImGui::GetIO().MousePos.x >= low.x && ImGui::GetIO().MousePos.x < high.x)
            ImGui::SetTooltip("%s", describe(bar, total_ms, times.copy_bytes_s).c_str());
        x += w;
    }
}

void draw_legend(const Kinds& kinds) {
    const float end = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
    bool first = true;
    for (const std::string& name : kinds.names()) {
        const float width = ImGui::CalcTextSize(name.c_str()).x + em(1.6f);
        if (!first && ImGui::GetItemRectMax().x + width < end) ImGui::SameLine();
        const ImVec2 at = ImGui::GetCursorScreenPos();
        ImGui::GetWindowDrawList()->AddRectFilled({at.x, at.y + em(0.2f)}, {at.x + em(0.7f), at.y + em(0.9f)},
                                                  kinds.color(name));
        ImGui::Dummy({em(0.7f), em(1)});
        ImGui::SameLine(0, em(0.3f));
        ImGui::TextUnformatted(name.c_str());
        first = false;
    }
}

void draw_operations(const Timed& times) {
    const TimeRow all = times_by_operation(times.profile);
    int i = 0;
    for (const TimeBar& entry : all.bars) {
        std::string words = text(tr("%s   %.2f ms"), entry.op.c_str(), entry.ms);
        if (entry.bytes && entry.ms > 0) words += text(tr("   %.1f GB/s"), entry.bytes_s() / 1e9);
        bar(all.ms > 0 ? entry.ms / all.ms : 0, theme().accent, words);
        mark("time op " + std::to_string(i++));
        ImGui::SetItemTooltip("%s", describe(entry, all.ms, times.copy_bytes_s).c_str());
    }
}

void draw_times(DevicePanel& state, const Snapshot& snapshot, Requests& requests) {
    ImGui::SeparatorText(tr("Time by operation"));
    bool on = snapshot.timing;
    if (ImGui::Checkbox(tr("time every operation"), &on)) requests.push_back(TimeOperations{on});
    mark("time operations");
    ImGui::SetItemTooltip("%s", tr("Costs a little speed while it is on"));
    ImGui::SameLine();
    ImGui::Checkbox(tr("by layer"), &state.by_layer);
    mark("time by layer");
    if (!snapshot.times || snapshot.times->profile.empty()) {
        note(snapshot.timing ? tr("Times appear with the next tokens.")
                             : tr("Nothing was timed yet: turn it on, and let the model write."));
        return;
    }
    const Timed& times = *snapshot.times;
    const auto rows = times_by_layer(times.profile);
    double total = 0, longest = 0;
    for (const TimeRow& row : rows) total += row.ms, longest = std::max(longest, row.ms);
    const double tokens = std::max(times.n_tokens, 1u);
    note(text(
        tr("%.2f ms on the device for %u tokens (%.3f ms each), within %.2f s; a copy reaches %.1f GB/s"),
        total, times.n_tokens, total / tokens, times.seconds, times.copy_bytes_s / 1e9));
    if (!state.by_layer) return draw_operations(times);
    const Kinds kinds(times.profile);
    draw_legend(kinds);
    for (const TimeRow& row : rows) draw_row(row, longest, total, times, kinds);
}

void draw_budget(const Snapshot& snapshot) {
    ImGui::SeparatorText(tr("Who takes the device's time"));
    if (snapshot.times && snapshot.times->submit_ms > 0) {
        const double ms = snapshot.times->submit_ms;
        bar(ms / submit_bound_ms, ms > submit_bound_ms ? theme().bad : theme().good,
            text(tr("longest submit %.1f ms of %.0f"), ms, submit_bound_ms));
        mark("time submit");
        ImGui::SetItemTooltip("%s",
                              tr("Work goes to the device in pieces this long at most, so that the desktop "
                                 "stays smooth and no watchdog ends it."));
    }
    bar(snapshot.probe_share, snapshot.probe_share > 0.05 ? theme().warning : theme().good,
        text(tr("reading attention: %.1f %% of the device's time"), 100 * snapshot.probe_share));
    mark("time probes");
    constexpr double frame_bound_ms = 1000.0 / 60;
    bar(snapshot.frame_ms / frame_bound_ms,
        snapshot.frame_ms > frame_bound_ms ? theme().warning : theme().good,
        text(tr("this window: %.1f ms a frame of %.1f"), snapshot.frame_ms, frame_bound_ms));
    mark("time window");
}

bool same(const DeviceInfo& a, const DeviceInfo& b) {
    return a.index == b.index && a.name == b.name && a.uuid == b.uuid;
}

void draw_device_row(const DeviceInfo& device, const Snapshot& snapshot, Requests& requests) {
    const bool runs = snapshot.model && same(device, snapshot.model->device);
    ImGui::PushStyleColor(ImGuiCol_Text, runs            ? theme().accent
                                         : device.usable ? ImGui::GetStyleColorVec4(ImGuiCol_Text)
                                                         : theme().muted);
    ImGui::PushTextWrapPos(0);
    ImGui::TextUnformatted(text("%u  %s", device.index, device.name.c_str()).c_str());
    ImGui::PopTextWrapPos();
    ImGui::PopStyleColor();
    mark("device row " + std::to_string(device.index));
    ImGui::SetItemTooltip("%s", device.uuid.c_str());
    ImGui::Indent(em(1));
    std::string words = device.type + ", " + device.driver;
    if (!device.api.empty()) words += ", Vulkan " + device.api;
    if (device.memory) words += ", " + mebibytes(device.memory);
    note(words);
    if (runs)
        note(tr("The model runs here."), theme().accent);
    else if (!device.reason.empty())
        note(device.reason, device.usable ? theme().muted : theme().warning);
    if (!runs && device.usable && snapshot.model) {
        const std::string index = std::to_string(device.index);
        if (ImGui::SmallButton((std::string(tr("Run here")) + "##" + index).c_str()))
            requests.push_back(
                LoadModel{snapshot.model->path, index, snapshot.model->n_ctx, snapshot.model->kv});
        mark("device use " + index);
    }
    ImGui::Unindent(em(1));
}

} // namespace

void draw_device(DevicePanel& state, const Snapshot& snapshot, Requests& requests) {
    if (snapshot.model) {
        draw_times(state, snapshot, requests);
        draw_budget(snapshot);
    } else {
        note(tr("Load a model, and see here where its time goes."));
    }
    ImGui::SeparatorText(tr("Devices"));
    if (snapshot.devices.empty())
        note(tr("No Vulkan device was found. Is a driver installed?"), theme().warning);
    for (const DeviceInfo& device : snapshot.devices) draw_device_row(device, snapshot, requests);
    tell_hover({}, snapshot, requests);
}

} // namespace kvasir::ui
