#include "tests/ui_harness.hpp"

#include "ui/colors.hpp"
#include "ui/marks.hpp"
#include "ui/picture.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <cmath>
#include <random>

namespace kvasir::ui {
namespace {

void take_textures() {
    for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
        if (texture->Status == ImTextureStatus_WantCreate) texture->SetTexID(1);
        if (texture->Status == ImTextureStatus_WantDestroy) {
            texture->SetTexID(ImTextureID_Invalid);
            texture->SetStatus(ImTextureStatus_Destroyed);
        } else if (texture->Status != ImTextureStatus_Destroyed) {
            texture->SetStatus(ImTextureStatus_OK);
        }
    }
}

} // namespace

HeadlessUi::HeadlessUi(float width, float height, bool whole) : whole_(whole) {
    ImGui::CreateContext();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = {width, height};
    io.DeltaTime = 1.0f / 60;
    io.BackendFlags |= ImGuiBackendFlags_RendererHasTextures | ImGuiBackendFlags_RendererHasVtxOffset;
    io.ConfigInputTrickleEventQueue = false;
    apply_theme(true, 1);
}

HeadlessUi::~HeadlessUi() {
    for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
        texture->SetTexID(ImTextureID_Invalid);
        texture->SetStatus(ImTextureStatus_Destroyed);
    }
    sweep_pictures();
    ImGui::DestroyContext();
}

int HeadlessUi::frame(const std::function<void()>& draw) {
    if (!whole_) next_marks(), sweep_pictures();
    ImGui::NewFrame();
    if (!whole_) {
        ImGui::SetNextWindowPos({0, 0});
        ImGui::SetNextWindowSize(ImGui::GetIO().DisplaySize);
        ImGui::Begin("test", nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove);
    }
    draw();
    if (!whole_) ImGui::End();
    ImGui::Render();
    take_textures();
    return ImGui::GetDrawData()->TotalVtxCount;
}

void HeadlessUi::drag(float x0, float y0, float x1, float y1, const std::function<void()>& draw) {
    ImGuiIO& io = ImGui::GetIO();
    io.AddMousePosEvent(x0, y0);
    frame(draw);
    io.AddMouseButtonEvent(0, true);
    frame(draw);
    io.AddMousePosEvent((x0 + x1) / 2, (y0 + y1) / 2);
    frame(draw);
    io.AddMousePosEvent(x1, y1);
    frame(draw);
    io.AddMouseButtonEvent(0, false);
    frame(draw);
}

void HeadlessUi::click(const std::string& name, const std::function<void()>& draw) {
    frame(draw);
    const auto place = find_mark(name);
    REQUIRE_MESSAGE(place.has_value(), "there is no item " << name);
    ImGuiIO& io = ImGui::GetIO();
    io.AddMousePosEvent((place->x + place->z) / 2, (place->y + place->w) / 2);
    frame(draw);
    io.AddMouseButtonEvent(0, true);
    frame(draw);
    io.AddMouseButtonEvent(0, false);
    frame(draw);
}

void HeadlessUi::type(const std::string& text, const std::function<void()>& draw) {
    ImGui::GetIO().AddInputCharactersUTF8(text.c_str());
    frame(draw);
}

void HeadlessUi::press(int key, const std::function<void()>& draw) {
    ImGuiIO& io = ImGui::GetIO();
    const auto only = static_cast<ImGuiKey>(key & ~ImGuiMod_Mask_);
    const int modifiers = key & ImGuiMod_Mask_;
    for (const ImGuiKey modifier : {ImGuiMod_Ctrl, ImGuiMod_Shift, ImGuiMod_Alt})
        if (modifiers & modifier) io.AddKeyEvent(modifier, true);
    io.AddKeyEvent(only, true);
    frame(draw);
    io.AddKeyEvent(only, false);
    for (const ImGuiKey modifier : {ImGuiMod_Ctrl, ImGuiMod_Shift, ImGuiMod_Alt})
        if (modifiers & modifier) io.AddKeyEvent(modifier, false);
    frame(draw);
}

Snapshot synthetic_snapshot(uint32_t n_tokens, uint32_t n_layers, uint32_t n_heads, uint32_t n_kv_heads) {
    Snapshot s;
    DeviceInfo device;
    device.name = "a device", device.type = "CPU", device.driver = "a driver",
    device.usable = device.chosen = true;
    s.devices = {device};
    RunningModel model;
    model.path = "model.gguf", model.name = "A model", model.device = device;
    ModelSpec& m = model.spec;
    m.family = "llama", m.n_layers = n_layers, m.n_heads = n_heads, m.n_kv_heads = n_kv_heads,
    m.head_dim = 32;
    m.d_model = n_heads * 32, m.d_ff = m.d_model * 2, m.n_vocab = 1000, m.n_ctx = 2048, m.rope = Rope::pairs,
    m.rope_dim = 32;
    model.trained = m;
    model.n_ctx = std::max(2048u, n_tokens);
    model.weight_bytes = 10 << 20;
    model.kv_bytes = m.kv_bytes_per_token(KvType::f16) * model.n_ctx;
    s.model = model;
    for (uint32_t i = 0; i < n_tokens; ++i)
        s.sequence.push_back({int32_t(i % 50), " token" + std::to_string(i % 50), i > n_tokens / 2, {}});
    s.attention.reset(n_layers, n_heads);
    const uint32_t n_pages = PageTable::pages_for(model.n_ctx), used = PageTable::pages_for(n_tokens);
    s.pages.statistics = {
        .pages = n_pages, .used = used, .shared = used / 2, .cached = 2, .free = n_pages - used - 2};
    for (uint32_t i = 0; i < used; ++i) s.pages.table.push_back(i);
    return s;
}

AttentionRows synthetic_rows(uint32_t layer, uint32_t first, uint32_t n, uint32_t n_heads) {
    AttentionRows rows{layer, first, n, n_heads, first + n, {}};
    rows.p.assign(size_t(n) * n_heads * rows.n_keys, 0);
    for (uint32_t q = 0; q < n; ++q)
        for (uint32_t h = 0; h < n_heads; ++h) {
            float* row = &rows.p[(size_t(q) * n_heads + h) * rows.n_keys];
            const uint32_t at = first + q;
            double sum = 0;
            for (uint32_t j = 0; j <= at; ++j)
                sum += row[j] = std::exp(-float(at - j) / float(1 + h * (layer + 2)));
            for (uint32_t j = 0; j <= at; ++j) row[j] = static_cast<float>(row[j] / sum);
        }
    return rows;
}

AttentionRows random_rows(uint32_t layer, uint32_t first, uint32_t n, uint32_t n_heads, uint32_t seed) {
    std::mt19937 random(seed);
    AttentionRows rows{layer, first, n, n_heads, first + n, {}};
    rows.p.assign(size_t(n) * n_heads * rows.n_keys, 0);
    for (uint32_t q = 0; q < n; ++q)
        for (uint32_t h = 0; h < n_heads; ++h) {
            float* row = &rows.p[(size_t(q) * n_heads + h) * rows.n_keys];
            double sum = 0;
            for (uint32_t j = 0; j <= first + q; ++j)
                sum += row[j] = std::exp(6 * static_cast<float>(random()) / 4294967296.0f);
            for (uint32_t j = 0; j <= first + q; ++j) row[j] = static_cast<float>(row[j] / sum);
        }
    return rows;
}

std::vector<int32_t> some_ids(uint32_t n) {
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(i * i % 23));
    return ids;
}

std::span<const float> row_of(const AttentionRows& rows, uint32_t q, uint32_t head) {
    return {&rows.p[(size_t(q) * rows.n_heads + head) * rows.n_keys], size_t(rows.first) + q + 1};
}

} // namespace kvasir::ui
