#include "tests/ui_harness.hpp"
#include "ui/draw.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/panels.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <vector>

// What the KV, device and inspector panels ask for.

namespace kvasir::ui {
namespace {

template <class R>
std::vector<R> asked(const Requests& requests) {
    std::vector<R> found;
    for (const Request& request : requests)
        if (const R* r = std::get_if<R>(&request)) found.push_back(*r);
    return found;
}

void move_to(HeadlessUi& ui, const std::string& name, float x, const std::function<void()>& draw) {
    ui.frame(draw);
    const auto place = find_mark(name);
    REQUIRE_MESSAGE(place.has_value(), "there is no item " << name);
    ImGui::GetIO().AddMousePosEvent(place->x + (place->z - place->x) * x, (place->y + place->w) / 2);
    ui.frame(draw);
    ui.frame(draw);
}

} // namespace

TEST_CASE("kv: norms are asked for once, and again when text or layer has changed") {
    HeadlessUi ui(600, 1400);
    KvPanel state;
    Snapshot s = synthetic_snapshot(100, 4, 8, 2);
    s.generating = true;
    Requests requests;
    const auto draw = [&] { draw_kv(state, s, requests); };
    const auto count = [&] { return asked<ReadNorms>(requests).size(); };
    for (int i = 0; i < 5; ++i) ui.frame(draw);
    CHECK(count() == 1);
    for (int i = 0; i < 15; ++i) s.sequence.push_back({1, "x", true, {}});
    ui.frame(draw);
    CHECK(count() == 1);
    s.sequence.push_back({1, "x", true, {}});
    for (int i = 0; i < 5; ++i) ui.frame(draw);
    CHECK(count() == 2);
    s.sequence.push_back({1, "x", true, {}});
    s.generating = false; // the text is complete: its last tokens count too
    for (int i = 0; i < 5; ++i) ui.frame(draw);
    CHECK(count() == 3);
    move_to(ui, "kv layer", 0.99f, draw);
    ImGui::GetIO().AddMouseButtonEvent(0, true);
    ui.frame(draw);
    ImGui::GetIO().AddMouseButtonEvent(0, false);
    ui.frame(draw);
    CHECK(count() == 4);
    CHECK(asked<ReadNorms>(requests).back().layer == 3);
}

TEST_CASE("kv: the strips tell the position under the mouse") {
    HeadlessUi ui(600, 1400);
    KvPanel state;
    Snapshot s = synthetic_snapshot(1000, 4, 8, 2);
    s.norms[0] = {2, 1000, std::vector<float>(2000, 1.0f), std::vector<float>(2000, 2.0f)};
    Requests requests;
    const auto draw = [&] { draw_kv(state, s, requests); };
    for (const char* name : {"kv pages", "kv |k|", "kv |v|"}) {
        CAPTURE(name);
        requests.clear();
        move_to(ui, name, 0.75f, draw);
        const auto hovers = asked<Hover>(requests);
        REQUIRE(!hovers.empty());
        REQUIRE(hovers.back().position);
        CHECK(*hovers.back().position >= 740);
        CHECK(*hovers.back().position <= 760);
    }
    s.hovered = asked<Hover>(requests).back().position;
    requests.clear();
    ImGui::GetIO().AddMousePosEvent(-1, -1);
    ui.frame(draw);
    ui.frame(draw);
    CHECK(asked<Hover>(requests).empty()); // outside: another panel's matter
}

TEST_CASE("kv: another type keeps the path, the device and the length") {
    HeadlessUi ui(600, 1400);
    KvPanel state;
    Snapshot s = synthetic_snapshot(10, 4, 8, 2);
    s.model->device.index = 3;
    Requests requests;
    const auto draw = [&] { draw_kv(state, s, requests); };
    ui.click("kv change", draw); // nothing is changed yet
    CHECK(asked<LoadModel>(requests).empty());
    ui.click("kv type", draw);
    ui.click("kv type q8_0", draw);
    ui.click("kv change", draw);
    const auto loads = asked<LoadModel>(requests);
    REQUIRE(loads.size() == 1);
    CHECK(loads[0].path == "model.gguf");
    CHECK(loads[0].device == "3");
    CHECK(loads[0].n_ctx == 2048);
    CHECK(loads[0].kv == KvType::q8_0);
}

TEST_CASE("device: timing is switched, another device is chosen") {
    HeadlessUi ui(600, 1400);
    DevicePanel state;
    Snapshot s = synthetic_snapshot(10);
    DeviceInfo other = s.devices[0];
    other.index = 1, other.name = "another", other.uuid = "01";
    DeviceInfo useless = other;
    useless.index = 2, useless.usable = false, useless.reason = "it has no memory";
    s.devices.push_back(other);
    s.devices.push_back(useless);
    Requests requests;
    const auto draw = [&] { draw_device(state, s, requests); };
    ui.click("time operations", draw);
    REQUIRE(asked<TimeOperations>(requests).size() == 1);
    CHECK(asked<TimeOperations>(requests)[0].on);
    CHECK(find_mark("device use 1").has_value());
    CHECK(!find_mark("device use 0").has_value()); // runs there
    CHECK(!find_mark("device use 2").has_value());
    ui.click("device use 1", draw);
    REQUIRE(asked<LoadModel>(requests).size() == 1);
    CHECK(asked<LoadModel>(requests)[0].device == "1");
    s.times = Timed{{{"norm", 0, 1, 1, 10}, {"norm", -1, 1, 2, 10}}, 1, 1, 1e9, 60};
    ui.frame(draw);
    CHECK(find_mark("time layer 0").has_value());
    CHECK(find_mark("time outside").has_value());
    ui.click("time by layer", draw);
    CHECK(!state.by_layer);
    ui.frame(draw);
    CHECK(find_mark("time op 0").has_value());
}

TEST_CASE("inspector: a click on a token shows it, a candidate branches there") {
    HeadlessUi ui(900, 900);
    InspectorPanel state;
    Snapshot s = synthetic_snapshot(20);
    Requests requests;
    const auto draw = [&] { draw_inspector(state, s, requests); };
    ui.click("token 15", draw);
    REQUIRE(asked<ShowToken>(requests).size() == 1);
    CHECK(asked<ShowToken>(requests)[0].position == 15);
    REQUIRE(!asked<Hover>(requests).empty());
    CHECK(asked<Hover>(requests)[0].position == 15u);
    s.selected = 15;
    s.sequence[15].choice = {15,
                             0.6f,
                             1,
                             {{15, 0.6f, 1, Candidate::Fate::kept},
                              {77, 0.3f, 0, Candidate::Fate::top_p},
                              {78, 0.1f, 0, Candidate::Fate::top_k}},
                             {"a", "b", "c"}};
    for (int i = 0; i < 3; ++i) ui.frame(draw); // the table finds its widths
    ui.click("candidate 2", draw);
    ui.click("candidate 0", draw); // the one that came
    const auto branches = asked<BranchHere>(requests);
    REQUIRE(branches.size() == 1);
    CHECK(branches[0].position == 15);
    CHECK(branches[0].id == 78);
    s.selected = 2; // of the prompt
    ui.frame(draw);
    ui.frame(draw);
    ui.frame(draw);
    CHECK(!find_mark("candidate 1").has_value());
}

TEST_CASE("inspector: the scrubber goes through the generated tokens") {
    HeadlessUi ui(900, 900);
    InspectorPanel state;
    Snapshot s = synthetic_snapshot(21); // positions 11 to 20 are generated
    Requests requests;
    const auto draw = [&] { draw_inspector(state, s, requests); };
    const auto travels = [&] { return asked<TravelTo>(requests); };
    ui.click("live", draw); // it is live already
    CHECK(travels().empty());
    ui.click("travel back", draw);
    REQUIRE(travels().size() == 1);
    CHECK(travels()[0].length == 20u);
    s.travel = 12;
    ui.click("travel back", draw);
    CHECK(travels().back().length == 11u); // before the first
    s.travel = 11;
    ui.frame(draw);
    ui.click("travel back", draw); // no further
    CHECK(travels().size() == 2);
    ui.click("travel forward", draw);
    CHECK(travels().back().length == 12u);
    s.travel = 20;
    ui.click("travel forward", draw);
    CHECK(!travels().back().length);
    move_to(ui, "scrubber", 0.01f, draw);
    ImGui::GetIO().AddMouseButtonEvent(0, true);
    ui.frame(draw);
    ImGui::GetIO().AddMouseButtonEvent(0, false);
    ui.frame(draw);
    CHECK(travels().back().length == 11u);
    s.travel = 14;
    ui.click("live", draw);
    CHECK(!travels().back().length);
}

TEST_CASE("inspector: an answer is paused, stepped and let go on") {
    HeadlessUi ui(900, 900);
    InspectorPanel state;
    Snapshot s = synthetic_snapshot(20);
    Requests requests;
    const auto draw = [&] { draw_inspector(state, s, requests); };
    ui.frame(draw);
    CHECK(!find_mark("pause").has_value());
    s.generating = true;
    ui.click("pause", draw);
    CHECK(asked<Pause>(requests).size() == 1);
    s.paused = true;
    ui.click("step", draw);
    ui.click("resume", draw);
    CHECK(asked<StepToken>(requests).size() == 1);
    CHECK(asked<Resume>(requests).size() == 1);
}

TEST_CASE("a line is broken at words, and not before what closes") {
    CHECK(may_break("one ", "two"));
    CHECK(may_break("well-", "known"));
    CHECK(!may_break("one", "two"));
    CHECK(!may_break("one", " two")); // the space ends the line
    CHECK(!may_break("one", "."));
    CHECK(!may_break("one ", ")"));
    CHECK(!may_break("(", "one"));
    CHECK(may_break("因", "果"));
    CHECK(may_break("a", "果"));
    CHECK(!may_break("码", "。"));
    CHECK(!may_break("码", "，则"));
    CHECK(!may_break("（", "码"));
    CHECK(may_break("码。", "在"));
}

TEST_CASE("inspector: the flow of tokens follows what changes") {
    HeadlessUi ui(500, 900);
    InspectorPanel state;
    Snapshot s = synthetic_snapshot(300);
    Requests requests;
    const auto draw = [&] { draw_inspector(state, s, requests); };
    const auto fresh = [&] { // laid out from nothing
        InspectorPanel other;
        Requests ignored;
        ui.frame([&] { draw_inspector(other, s, ignored); });
        return other.lines;
    };
    ui.frame(draw);
    CHECK(state.ids.size() == 300);
    CHECK(state.lines == fresh());
    s.sequence[150] = {999, "a much longer token than before", true, {}};
    ui.frame(draw);
    CHECK(state.lines == fresh());
    s.sequence.resize(120);
    ui.frame(draw);
    CHECK(state.ids.size() == 120);
    CHECK(state.lines == fresh());
    for (int i = 0; i < 50; ++i) s.sequence.push_back({i, i % 9 ? " word" : "end\n", true, {}});
    ui.frame(draw);
    CHECK(state.lines == fresh());

    const char* const pieces[] = {" inter", "nation", "ally", ".", " 是", "的", "。", " a"};
    s.sequence.resize(120);
    for (int i = 0; i < 400; ++i) {
        s.sequence.push_back({i, pieces[i % 8], true, {}});
        ui.frame(draw);
    }
    CHECK(state.lines == fresh());
    REQUIRE(state.lines.size() > 20);
    for (const uint32_t line : state.lines) { // whole words, and nothing that closes
        if (line < 121) continue;
        const std::string& begins = s.sequence[line].label;
        CHECK((begins.starts_with(' ') || begins == "的"));
    }
    for (uint32_t i = 0; i < 60; ++i)
        s.sequence.push_back({int(i), i ? "m" : " m", true, {}}); // longer than a line
    ui.frame(draw);
    CHECK(state.lines == fresh());
    for (size_t line = 0; line < state.lines.size(); ++line) {
        const size_t end = line + 1 < state.lines.size() ? state.lines[line + 1] : state.ids.size();
        float width = 0;
        for (size_t i = state.lines[line]; i < end; ++i)
            width += ImGui::CalcTextSize(visible_label(s.sequence[i].label, s.sequence[i].id).c_str()).x +
                     em(0.3f);
        CHECK((end - state.lines[line] == 1 || width <= state.width));
    }
    for (uint32_t i = 130; i < 160; ++i) {
        s.sequence[i] = {1000, "x", true, {}}; // room where there was none
        ui.frame(draw);
        CHECK(state.lines == fresh());
    }
    s.sequence.clear();
    ui.frame(draw);
    s.sequence.push_back({1, "one", false, {}});
    ui.frame(draw);
    CHECK(state.lines == std::vector<uint32_t>{0});
    CHECK(state.ids == std::vector<int32_t>{1});
}

} // namespace kvasir::ui
