#include "runtime/numbers.hpp"
#include "ui/colors.hpp"
#include "ui/kv_numbers.hpp"
#include "ui/kv_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>

namespace kvasir::ui {
namespace {

constexpr KvType types[] = {KvType::f16, KvType::f32, KvType::q8_0};

const char* type_name(KvType type) {
    switch (type) {
    case KvType::f16: return "f16";
    case KvType::f32: return "f32";
    case KvType::q8_0: return "q8_0";
    }
    return "";
}

void follow(KvPanel& state, const RunningModel& model) {
    if (state.model == model.path && state.n_ctx > 0) return;
    if (state.model != model.path) state.asked.reset(), state.layer = 0;
    state.model = model.path;
    state.type = model.kv;
    state.n_ctx = static_cast<int>(model.n_ctx);
}

std::string cost_name(const KvCost& cost) {
    if (cost.name == "as it is") return tr("as it is");
    if (cost.name == "with a window of 1024") return tr("with a window of 1024");
    return cost.name.starts_with("as ") ? text(tr("as %s"), cost.name.c_str() + 3) : cost.name;
}

void draw_costs(const RunningModel& model, uint32_t length) {
    ImGui::SeparatorText(tr("What it takes, and would take"));
    if (!ImGui::BeginTable("costs", 4, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp)) return;
    ImGui::TableSetupColumn("##as");
    ImGui::TableSetupColumn(tr("KV heads"));
    ImGui::TableSetupColumn((text(tr("at %u"), length) + "##now").c_str());
    ImGui::TableSetupColumn((text(tr("at %u"), model.n_ctx) + "##full").c_str());
    ImGui::TableHeadersRow();
    bool first = true;
    for (const KvCost& cost : kv_costs(model.spec, model.kv, length, model.n_ctx)) {
        ImGui::TableNextRow();
        const auto cell = [&](const std::string& words) {
            ImGui::TableNextColumn();
            if (first)
                ImGui::TextColored(theme().accent, "%s", words.c_str());
            else
                ImGui::TextUnformatted(words.c_str());
        };
        cell(cost_name(cost));
        cell(std::to_string(cost.n_kv_heads));
        cell(mebibytes(cost.now));
        cell(mebibytes(cost.at_full));
        first = false;
    }
    ImGui::EndTable();
    if (model.spec.latent())
        note(
            tr("Keys and values come from one latent vector a position, so there are no KV heads to share."));
}

void row(const char* name, const std::string& value, const char* hint) {
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(name);
    ImGui::SetItemTooltip("%s", hint);
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(value.c_str());
}

void draw_memory(const Snapshot& snapshot) {
    const RunningModel& model = *snapshot.model;
    const auto& memory = snapshot.memory;
    ImGui::SeparatorText(tr("Memory"));
    const KvPlan plan = plan_kv(model, 0, 0, model.kv, model.n_ctx);
    if (ImGui::BeginTable("memory", 2, ImGuiTableFlags_SizingStretchProp)) {
        row(tr("cache, estimated"), mebibytes(plan.bytes), tr("Bytes a position times positions"));
        row(tr("cache, allocated"), mebibytes(model.kv_bytes), tr("What its buffers really are"));
        row(tr("weights"), mebibytes(model.weight_bytes), tr("As they lie on the device"));
        const bool told = memory.budget > 0;
        row(tr("in use, says the driver"), told ? mebibytes(memory.usage) : std::string(tr("not told")),
            tr("By this program (VK_EXT_memory_budget)"));
        row(tr("budget, says the driver"), told ? mebibytes(memory.budget) : std::string(tr("not told")),
            tr("What this program can have before others suffer (VK_EXT_memory_budget)"));
        row(tr("largest heap of the device"),
            memory.heap ? mebibytes(memory.heap) : std::string(tr("not told")),
            tr("All there is, whoever uses it"));
        ImGui::EndTable();
    }
    if (memory.heap && memory.budget > memory.heap)
        note(tr("The driver's budget is larger than the heap: do not trust it."), theme().warning);
    if (memory.budget && memory.usage > memory.budget)
        note(tr("More is in use than the budget: the driver may move memory away, which is slow."),
             theme().warning);
}

void draw_change(KvPanel& state, const Snapshot& snapshot, Requests& requests) {
    const RunningModel& model = *snapshot.model;
    ImGui::SeparatorText(tr("Another type or length"));
    label(tr("type"));
    ImGui::SetNextItemWidth(em(9));
    const bool open = ImGui::BeginCombo("##type", type_name(state.type));
    if (!open) mark("kv type");
    if (open) {
        for (const KvType type : types) {
            if (ImGui::Selectable(type_name(type), type == state.type)) state.type = type;
            mark(std::string("kv type ") + type_name(type));
        }
        ImGui::EndCombo();
    }
    label(tr("positions"));
    ImGui::SetNextItemWidth(em(9));
    ImGui::InputInt("##positions", &state.n_ctx, PageTable::page_size, 1024);
    mark("kv context");
    state.n_ctx = std::clamp(state.n_ctx, 1, 1 << 24);
    const auto n_ctx = static_cast<uint32_t>(state.n_ctx);
    const uint64_t budget = snapshot.memory.heap && snapshot.memory.budget > snapshot.memory.heap
                                ? snapshot.memory.heap
                                : snapshot.memory.budget;
    const KvPlan plan = plan_kv(model, budget, snapshot.memory.usage, state.type, n_ctx);
    note(text(tr("The cache would take %s (now %s)."), mebibytes(plan.bytes).c_str(),
              mebibytes(model.kv_bytes).c_str()));
    if (plan.available == 0)
        note(tr("The driver does not say how much is left: whether it fits shows when it is tried."),
             theme().warning);
    else if (!plan.fits())
        note(text(tr("It does not fit: about %s are left for it."), mebibytes(plan.available).c_str()),
             theme().bad);
    else
        note(text(tr("It fits: about %s are left for it."), mebibytes(plan.available).c_str()), theme().good);
    if (n_ctx > model.trained.n_ctx)
        note(text(tr("The model was trained for %u positions; beyond them it may write nonsense."),
                  model.trained.n_ctx),
             theme().warning);
    ImGui::BeginDisabled(state.type == model.kv && n_ctx == model.n_ctx);
    if (ImGui::Button(tr("Change, keep the conversation")))
        requests.push_back(LoadModel{model.path, std::to_string(model.device.index), n_ctx, state.type});
    mark("kv change");
    ImGui::EndDisabled();
}

} // namespace

void draw_kv(KvPanel& state, const Snapshot& snapshot, Requests& requests) {
    if (!snapshot.model)
        return note(tr("Load a model, and see here what its memory of the text is made of."));
    follow(state, *snapshot.model);
    const PositionAxis axis(snapshot.shown());
    std::optional<uint32_t> hovered = draw_pages(state, axis, snapshot);
    if (const auto over = draw_norms(state, axis, snapshot, requests)) hovered = over;
    if (const auto over = draw_aging(state, axis, snapshot)) hovered = over;
    draw_costs(*snapshot.model, snapshot.shown());
    draw_memory(snapshot);
    draw_change(state, snapshot, requests);
    tell_hover(hovered, snapshot, requests);
}

} // namespace kvasir::ui
