// How long a frame of the whole window takes, drawn by a device. A figure, not a test: it runs only when it
// is asked for,
//   kvasir_ui_tests -ns -tc="frame time*"
// with VK_DRIVER_FILES naming a driver.
#include "tests/scratch_folder.hpp"
#include "tests/ui_harness.hpp"
#include "ui/canvas.hpp"
#include "ui/fonts.hpp"
#include "ui/marks.hpp"
#include "ui/ui.hpp"

#include <doctest/doctest.h>
#include <imgui.h>
#include <imgui_impl_vulkan.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

namespace kvasir::ui {
namespace {

constexpr uint32_t n_tokens = 32768;
constexpr int n_frames = 60;

struct Context {
    Context() {
        ImGui::CreateContext();
        ImGui::GetIO().IniFilename = nullptr;
        ImGui::GetIO().DisplaySize = {1280, 800};
        load_fonts();
    }
    ~Context() { ImGui::DestroyContext(); }
};

struct Times {
    double median, longest, layout; ///< of a frame; median of its part before the device draws
};

/// In milliseconds.
Times measure(Ui& ui, Canvas& canvas, const std::function<void(int)>& before) {
    using Clock = std::chrono::steady_clock;
    auto since = [](Clock::time_point start) {
        return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    };
    std::vector<double> ms, layout;
    for (int i = 0; i < n_frames; ++i) {
        before(i);
        const auto start = Clock::now();
        ImGui::GetIO().DeltaTime = 1.0f / 60;
        ImGui_ImplVulkan_NewFrame();
        ImGui::NewFrame();
        ui.draw();
        ImGui::Render();
        layout.push_back(since(start));
        canvas.draw(1280, 800);
        ms.push_back(since(start));
    }
    std::sort(ms.begin(), ms.end());
    std::sort(layout.begin(), layout.end());
    return {ms[n_frames / 2], ms.back(), layout[n_frames / 2]};
}

TEST_CASE("frame time: the whole window with a map of 32768 tokens" * doctest::skip()) {
    const ScratchFolder folder;
    const Context context;
    Canvas canvas(nullptr);
    Ui ui({folder.path / "conversations", folder.path / "settings.json", folder.path, {}}, "", "");
    RunningModel model = *synthetic_snapshot(n_tokens, 1, 1, 1).model;
    ui.apply(Loaded{model});
    SequenceBegun begun;
    for (uint32_t i = 0; i < n_tokens; ++i)
        begun.ids.push_back(int32_t(i % 50)), begun.labels.push_back(" t" + std::to_string(i % 50));
    ui.apply(std::move(begun));
    auto row = [&](uint32_t at) {
        AttentionRows rows{0, at, 1, 1, at + 1, {}};
        rows.p.assign(at + 1, 0.5f / float(at + 1));
        rows.p[at - at % 97] += 0.3f, rows.p[0] += 0.2f;
        ui.apply(RowsRead{std::move(rows)});
    };
    for (uint32_t at = 0; at + n_frames < n_tokens; ++at) row(at);
    while (ui.wants_frame()) measure(ui, canvas, [](int) {});
    measure(ui, canvas, [](int) {});
    std::printf("%s, 1280 x 800, %u tokens: ms a frame, median and longest of %d, median of the layout\n",
                canvas.device_name().c_str(), n_tokens, n_frames);
    auto tell = [&](const char* what, const std::function<void(int)>& before) {
        const Times t = measure(ui, canvas, before);
        std::printf("%-24s %6.1f %6.1f %6.1f\n", what, t.median, t.longest, t.layout);
    };
    tell("nothing changes", [](int) {});
    tell("a row a frame", [&](int i) { row(n_tokens - n_frames + uint32_t(i)); });
    const auto map = find_mark("attention map");
    REQUIRE(map);
    ImGui::GetIO().AddMousePosEvent(map->x + (map->z - map->x) * 0.3f, map->y + (map->w - map->y) * 0.7f);
    tell("the mouse over the map", [&](int i) {
        ImGui::GetIO().AddMousePosEvent(map->x + (map->z - map->x) * 0.3f + float(i), map->w - 100);
    });
    tell("zooming", [](int i) { ImGui::GetIO().AddMouseWheelEvent(0, i < n_frames / 2 ? 1.0f : -1.0f); });
}

} // namespace
} // namespace kvasir::ui
