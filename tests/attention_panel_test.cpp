#include "tests/ui_harness.hpp"
#include "ui/marks.hpp"
#include "ui/panels.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace kvasir::ui {
namespace {

/// Four layers of eight heads, the rows of one layer read for n tokens.
Snapshot read_snapshot(uint32_t n, uint32_t layer = 1) {
    Snapshot s = synthetic_snapshot(n);
    s.watch = {layer, true, 0};
    s.attention.keep_layer(layer);
    if (n == 0) return s;
    std::vector<int32_t> ids;
    for (const SequenceToken& token : s.sequence) ids.push_back(token.id);
    s.attention.add(synthetic_rows(layer, 0, n, 8), ids);
    return s;
}

AttentionPanel panel_of_layer(uint32_t layer) {
    AttentionPanel state;
    state.layer = layer;
    return state;
}

/// Draws until nothing is left to do; what was asked for.
struct Drawn {
    AttentionPanel& state;
    const Snapshot& snapshot;
    Requests requests;
    void operator()() { draw_attention(state, snapshot, requests); }
};

template <class T>
std::vector<T> asked(const Requests& requests) {
    std::vector<T> out;
    for (const Request& request : requests)
        if (const T* one = std::get_if<T>(&request)) out.push_back(*one);
    return out;
}

/// The point of the plot where the middle of a cell lies, of the view as it was last drawn.
ImVec2 place_of(const AttentionPanel& state, uint32_t n, double query, double key) {
    const ImVec4 plot = *find_mark("attention map");
    const double side = std::min(plot.z - plot.x, plot.w - plot.y);
    const double cell =
        state.view.span > 0 ? side / state.view.span : std::min(side / n, 4.0 * ImGui::GetFontSize());
    return {plot.x + static_cast<float>((key + 0.5 - state.view.x) * cell),
            plot.y + static_cast<float>((query + 0.5 - state.view.y) * cell)};
}

void move_mouse(HeadlessUi& ui, ImVec2 to, const std::function<void()>& draw) {
    ImGui::GetIO().AddMousePosEvent(to.x, to.y);
    ui.frame(draw);
    ui.frame(draw);
}

std::optional<uint32_t> hovered_key(const Requests& requests) {
    const auto hovers = asked<Hover>(requests);
    return hovers.empty() ? std::nullopt : hovers.back().position;
}

} // namespace

TEST_CASE("attention panel: a line where the bias of a head reaches -ln 1000, if the text is as long") {
    const auto vertices = [](std::vector<float> slopes, Average average = Average::none) {
        HeadlessUi ui;
        Snapshot s = read_snapshot(100);
        s.model->slopes = std::move(slopes);
        AttentionPanel state = panel_of_layer(1);
        state.average = average;
        Drawn draw{state, s, {}};
        for (int i = 0; i < 3; ++i) ui.frame([&] { draw(); });
        return ui.frame([&] { draw(); });
    };
    const int none = vertices({});
    CHECK(vertices(std::vector<float>(8, 0.1f)) > none);   // 69 positions
    CHECK(vertices(std::vector<float>(8, 0.05f)) == none); // 138
    CHECK(vertices(std::vector<float>(8, 0)) == none);
    CHECK(vertices(std::vector<float>(8, 0.1f), Average::layer) == vertices({}, Average::layer));
}

TEST_CASE("attention panel: every state is drawn") {
    HeadlessUi ui;
    AttentionPanel state;
    Snapshot s;
    Drawn none{state, s, {}};
    ui.frame(std::ref(none));
    CHECK(find_mark("attention empty"));
    CHECK(none.requests.empty());

    s = synthetic_snapshot(0);
    Drawn no_text{state, s, {}};
    ui.frame(std::ref(no_text));
    CHECK(find_mark("attention empty"));
    CHECK(asked<Watch>(no_text.requests) == std::vector<Watch>{{0u, true, 0}});

    for (const uint32_t n : {1u, 2u, 31u, 700u}) {
        CAPTURE(n);
        s = read_snapshot(n);
        state = panel_of_layer(1);
        Drawn drawn{state, s, {}};
        for (int i = 0; i < 3; ++i) CHECK(ui.frame(std::ref(drawn)) > 100);
        CHECK(find_mark("attention map"));
        CHECK(find_mark("head 1 7"));
        CHECK(asked<Replay>(drawn.requests).empty());
        CHECK(asked<Watch>(drawn.requests).empty());
        for (const ColorScale scale : {ColorScale::linear, ColorScale::log, ColorScale::row})
            for (const Average average : {Average::none, Average::group, Average::layer})
                for (const uint32_t masked : {0u, 3u}) {
                    state.scale = scale, state.average = average, state.masked_sinks = masked;
                    ui.frame(std::ref(drawn));
                }
        state.options = true;
        for (int order = 0; order <= int(HeadOrder::induction); ++order) {
            state.order = HeadOrder(order);
            ui.frame(std::ref(drawn));
        }
    }
}

TEST_CASE("attention panel: rows that hold no numbers, and rows that are missing") {
    HeadlessUi ui;
    Snapshot s = synthetic_snapshot(40);
    s.watch = {1u, true, 0};
    s.attention.keep_layer(1);
    std::vector<int32_t> ids;
    for (const SequenceToken& token : s.sequence) ids.push_back(token.id);
    AttentionRows rows = synthetic_rows(1, 20, 20, 8);
    for (size_t i = 0; i < rows.p.size(); i += 7) rows.p[i] = std::nanf("");
    s.attention.add(rows, ids);
    AttentionPanel state = panel_of_layer(1);
    Drawn drawn{state, s, {}};
    for (const ColorScale scale : {ColorScale::linear, ColorScale::log, ColorScale::row})
        for (const uint32_t masked : {0u, 2u}) {
            state.scale = scale, state.masked_sinks = masked;
            ui.frame(std::ref(drawn));
            move_mouse(ui, place_of(state, 40, 30, 4), std::ref(drawn));
            CHECK(hovered_key(drawn.requests) == 4);
        }
    CHECK(find_mark("compute maps")); // the first twenty
}

TEST_CASE("attention panel: a click on a head chooses it, watches its layer, and computes what is missing") {
    HeadlessUi ui;
    const Snapshot s = read_snapshot(60);
    AttentionPanel state = panel_of_layer(1);
    Drawn drawn{state, s, {}};
    ui.click("head 1 5", std::ref(drawn));
    CHECK(state.head == 5);
    CHECK(asked<Watch>(drawn.requests) == std::vector<Watch>{{1u, true, 5}});
    CHECK(asked<Replay>(drawn.requests).empty());
    drawn.requests.clear();
    ui.click("head 3 2", std::ref(drawn));
    CHECK(state.layer == 3);
    CHECK(asked<Watch>(drawn.requests) == std::vector<Watch>{{3u, true, 2}});
    CHECK(asked<Replay>(drawn.requests).size() == 1); // sixty tokens take a moment: by itself, once
    const auto watch = std::find_if(drawn.requests.begin(), drawn.requests.end(),
                                    [](const Request& r) { return std::holds_alternative<Watch>(r); });
    const auto replay = std::find_if(drawn.requests.begin(), drawn.requests.end(),
                                     [](const Request& r) { return std::holds_alternative<Replay>(r); });
    CHECK(watch < replay);
    ui.click("compute maps", std::ref(drawn));
    CHECK(asked<Replay>(drawn.requests).size() == 2);
    ui.click("all heads", std::ref(drawn));
    CHECK(asked<Watch>(drawn.requests).back() == Watch{3u, false, 2});
    for (int i = 0; i < 2; ++i) ui.frame(std::ref(drawn)); // marks last a frame longer
    CHECK(!find_mark("head 1 5"));
}

TEST_CASE("attention panel: a long text is computed when it is asked for, and not while it is made") {
    HeadlessUi ui;
    Snapshot s = read_snapshot(700);
    AttentionPanel state = panel_of_layer(2);
    Drawn drawn{state, s, {}};
    for (int i = 0; i < 3; ++i) ui.frame(std::ref(drawn));
    CHECK(asked<Replay>(drawn.requests).empty());
    ui.click("compute maps", std::ref(drawn));
    CHECK(asked<Replay>(drawn.requests).size() == 1);
    s.generating = true;
    for (int i = 0; i < 3; ++i) ui.frame(std::ref(drawn));
    CHECK(!find_mark("compute maps"));
}

TEST_CASE("attention panel: controls do what they say") {
    HeadlessUi ui;
    const Snapshot s = read_snapshot(60);
    AttentionPanel state = panel_of_layer(1);
    Drawn drawn{state, s, {}};
    ui.click("scale linear", std::ref(drawn));
    CHECK(state.scale == ColorScale::linear);
    ui.click("scale row", std::ref(drawn));
    CHECK(state.scale == ColorScale::row);
    CHECK(!find_mark("average group"));
    ui.click("map options", std::ref(drawn));
    CHECK(state.options);
    ui.click("average group", std::ref(drawn));
    CHECK(state.average == Average::group);
    ui.click("average layer", std::ref(drawn));
    CHECK(state.average == Average::layer);
    ui.click("color map", std::ref(drawn));
    ui.click("color map magma", std::ref(drawn));
    CHECK(state.color_map == 1);
    ui.click("order", std::ref(drawn));
    ui.click("order entropy", std::ref(drawn));
    CHECK(state.order == HeadOrder::entropy);
    ui.click("sort heads", std::ref(drawn));
    CHECK(!state.sorted);
    ui.click("pin", std::ref(drawn));
    CHECK(state.difference == Difference::pinned);
    ui.click("difference", std::ref(drawn));
    ui.click("difference head 3", std::ref(drawn));
    CHECK(state.difference == Difference::head);
    CHECK(state.other_head == 3);
    CHECK(find_mark("probe share"));
    ui.click("map options", std::ref(drawn));
    CHECK(!state.options);
}

TEST_CASE("attention panel: the mouse tells the key, a click shows the query") {
    HeadlessUi ui;
    const Snapshot s = read_snapshot(60);
    AttentionPanel state = panel_of_layer(1);
    Drawn drawn{state, s, {}};
    ui.frame(std::ref(drawn));
    move_mouse(ui, place_of(state, 60, 41, 17), std::ref(drawn));
    CHECK(hovered_key(drawn.requests) == 17);
    ImGui::GetIO().AddMouseButtonEvent(0, true);
    ui.frame(std::ref(drawn));
    ImGui::GetIO().AddMouseButtonEvent(0, false);
    ui.frame(std::ref(drawn));
    const auto shown = asked<ShowToken>(drawn.requests);
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].position == 41);
}

TEST_CASE("attention panel: zooming and dragging keep the cell under the mouse") {
    HeadlessUi ui;
    const Snapshot s = read_snapshot(700);
    AttentionPanel state = panel_of_layer(1);
    Drawn drawn{state, s, {}};
    ui.frame(std::ref(drawn));
    const ImVec2 at = place_of(state, 700, 400, 300);
    move_mouse(ui, at, std::ref(drawn));
    const std::optional<uint32_t> key = hovered_key(drawn.requests); // a pixel is more than a cell here
    REQUIRE(key);
    CHECK(std::abs(int(*key) - 300) <= 2);
    for (const float wheel : {3.0f, 4.0f, 5.0f, -2.0f, 1.0f}) {
        ImGui::GetIO().AddMouseWheelEvent(0, wheel);
        ui.frame(std::ref(drawn));
        ui.frame(std::ref(drawn));
        CHECK(hovered_key(drawn.requests) == key);
    }
    CHECK(state.view.span > 0);
    const double span = state.view.span;
    ImGui::GetIO().AddMouseButtonEvent(0, true);
    ui.frame(std::ref(drawn));
    for (int i = 1; i <= 5; ++i) move_mouse(ui, {at.x - 11.0f * i, at.y - 7.0f * i}, std::ref(drawn));
    CHECK(hovered_key(drawn.requests) == key);
    ImGui::GetIO().AddMouseButtonEvent(0, false);
    ui.frame(std::ref(drawn));
    CHECK(asked<ShowToken>(drawn.requests).empty()); // it was dragged, not clicked
    CHECK(state.view.span == span);

    const double x = state.view.x, y = state.view.y;
    ui.press(ImGuiKey_RightArrow, std::ref(drawn));
    ui.press(ImGuiKey_UpArrow, std::ref(drawn));
    CHECK(state.view.x > x);
    CHECK(state.view.y < y);
    ui.press(ImGuiKey_Equal, std::ref(drawn));
    CHECK(state.view.span < span);
    ui.press(ImGuiKey_End, std::ref(drawn));
    CHECK(state.view.y + state.view.span <= 700.001);
    CHECK(state.view.y > 600);
    ui.press(ImGuiKey_Home, std::ref(drawn));
    CHECK(state.view.span == 0);
    CHECK(state.view.x == 0);
    CHECK(state.view.y == 0);
}

TEST_CASE("attention panel: a view at the end follows the text, another stays") {
    HeadlessUi ui;
    AttentionPanel state = panel_of_layer(1);
    Snapshot s = read_snapshot(300);
    Drawn drawn{state, s, {}};
    state.view.span = 40, state.view.x = state.view.y = 1e9;
    ui.frame(std::ref(drawn));
    const double y = state.view.y;
    CHECK(y == doctest::Approx(300 - 40.0).epsilon(0.05));
    s = read_snapshot(310);
    ui.frame(std::ref(drawn));
    CHECK(state.view.y == doctest::Approx(y + 10));
    state.view.y -= 50;
    ui.frame(std::ref(drawn));
    s = read_snapshot(320);
    ui.frame(std::ref(drawn));
    CHECK(state.view.y == doctest::Approx(y + 10 - 50));
    state.view.y = 1e9, state.view.follow = false;
    ui.frame(std::ref(drawn));
    const double still = state.view.y;
    s = read_snapshot(330);
    ui.frame(std::ref(drawn));
    CHECK(state.view.y == doctest::Approx(still));
}

TEST_CASE("attention panel: many layers and heads") {
    HeadlessUi ui;
    Snapshot s = synthetic_snapshot(8, 64, 128, 8);
    AttentionPanel state;
    Drawn drawn{state, s, {}};
    ui.frame(std::ref(drawn));
    ui.click("head 2 3", std::ref(drawn));
    CHECK(state.layer == 2);
    CHECK(state.head == 3);
    CHECK(!find_mark("head 63 127")); // reached by scrolling
    state.order = HeadOrder::entropy;
    ui.frame(std::ref(drawn));
}

TEST_CASE("attention panel: exports hold what is shown") {
    HeadlessUi ui;
    Snapshot s = read_snapshot(33);
    s.travel = 31; // two rows are not there yet
    AttentionPanel state = panel_of_layer(1);
    state.head = 2, s.watch.head = 2, state.options = true;
    Drawn drawn{state, s, {}};
    for (const char* kind : {"png", "npy", "json"}) ui.click(std::string("export ") + kind, std::ref(drawn));
    const auto files = asked<SaveFile>(drawn.requests);
    REQUIRE(files.size() == 3);
    CHECK(files[0].name == "layer-1-head-2.png");
    CHECK(files[0].bytes.starts_with("\x89PNG\r\n\x1a\n"));
    const auto big_endian = [&](size_t at) {
        uint32_t value = 0;
        for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<uint8_t>(files[0].bytes[i]);
        return value;
    };
    CHECK(big_endian(16) == big_endian(20)); // IHDR: width, height
    CHECK(big_endian(16) % 31 == 0);
    CHECK(big_endian(16) >= 512);

    const std::string& npy = files[1].bytes;
    CHECK(files[1].name == "layer-1-head-2.npy");
    REQUIRE(npy.starts_with(std::string("\x93NUMPY\x01\0", 8)));
    const size_t header = static_cast<uint8_t>(npy[8]) | static_cast<size_t>(static_cast<uint8_t>(npy[9]))
                                                             << 8;
    CHECK((10 + header) % 64 == 0);
    CHECK(npy.substr(10, header).find("'shape': (31, 31)") != std::string::npos);
    CHECK(npy.substr(10, header).find("'<f4'") != std::string::npos);
    REQUIRE(npy.size() == 10 + header + 31 * 31 * 4);
    const HeadMap& map = *s.attention.map(1, 2);
    for (uint32_t q = 0; q < 31; ++q)
        for (uint32_t j = 0; j < 31; ++j) {
            float value;
            std::memcpy(&value, &npy[10 + header + (size_t(q) * 31 + j) * 4], 4);
            CHECK(value == (j <= q ? map.row(q)[j] : 0));
        }

    const std::string& json = files[2].bytes;
    CHECK(json.find("\"layer\":1") != std::string::npos);
    CHECK(json.find("\"heads\":[2]") != std::string::npos);
    size_t at = json.find("\"rows\":[[");
    REQUIRE(at != std::string::npos);
    at += 9;
    for (uint32_t q = 0; q < 31; ++q) // [n][n] numbers, which are the same floats
        for (uint32_t j = 0; j < 31; ++j) {
            at = json.find_first_of("-0123456789", at);
            REQUIRE(at != std::string::npos);
            size_t used = 0;
            CHECK(std::stof(json.substr(at, 32), &used) == (j <= q ? map.row(q)[j] : 0));
            at += used;
        }
    CHECK(json.find_first_of("0123456789", at) == std::string::npos);
}

} // namespace kvasir::ui
