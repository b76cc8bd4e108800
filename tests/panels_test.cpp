#include "tests/ui_harness.hpp"
#include "ui/colors.hpp"
#include "ui/marks.hpp"
#include "ui/panels.hpp"
#include "ui/words.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <vector>

namespace kvasir::ui {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// All panels over one snapshot, each with a window of its own size.
struct Panels {
    AttentionPanel attention;
    AlibiPanel alibi;
    KvPanel kv;
    DevicePanel device;
    InspectorPanel inspector;
    Snapshot snapshot;
    Requests requests;

    std::function<void()> draw(const std::string& name) {
        return [this, name] {
            if (name == "alibi") draw_alibi(alibi, attention, snapshot, requests);
            if (name == "kv") draw_kv(kv, snapshot, requests);
            if (name == "device") draw_device(device, snapshot, requests);
            if (name == "inspector") draw_inspector(inspector, snapshot, requests);
        };
    }
    template <class R>
    std::vector<R> asked() const {
        std::vector<R> found;
        for (const Request& request : requests)
            if (const R* r = std::get_if<R>(&request)) found.push_back(*r);
        return found;
    }
};

const std::vector<std::string> names{"alibi", "kv", "device", "inspector"};

void give_alibi(Snapshot& s, std::vector<float> slopes) {
    s.model->slopes = std::move(slopes);
    s.model->spec.rope = s.model->trained.rope = Rope::none;
    s.model->spec.alibi_max_bias = s.model->trained.alibi_max_bias = 8;
}

void watch(Snapshot& s, uint32_t layer, uint32_t n) {
    std::vector<int32_t> ids;
    for (const SequenceToken& token : s.sequence) ids.push_back(token.id);
    s.attention.keep_layer(layer);
    const uint32_t first = static_cast<uint32_t>(s.sequence.size()) - n;
    s.attention.add(synthetic_rows(layer, first, n, s.attention.n_heads()), ids);
}

KvNorms norms_of(uint32_t n_kv_heads, uint32_t n_keys) {
    KvNorms norms{n_kv_heads, n_keys, {}, {}};
    for (uint32_t i = 0; i < n_kv_heads * n_keys; ++i)
        norms.k.push_back(1 + float(i % 7)), norms.v.push_back(0.5f + float(i % 3));
    return norms;
}

TokenChoice a_choice(int32_t id) {
    TokenChoice choice{.id = id, .p = 0.5f, .entropy = 1.2f, .candidates = {}, .labels = {}};
    choice.candidates = {{id, 0.5f, 0.8f, Candidate::Fate::kept},
                         {900, 0.2f, 0.2f, Candidate::Fate::kept},
                         {901, 0.1f, 0, Candidate::Fate::top_p},
                         {902, nan, 0, Candidate::Fate::min_p},
                         {903, 0.01f, 0, Candidate::Fate::top_k}};
    choice.labels = {" chosen", " other", "100 %s\n", ""}; // one is missing
    return choice;
}

Timed some_times() {
    Timed times;
    for (int layer = -1; layer < 4; ++layer)
        for (const char* op : {"norm", "linear Q8_0 [256, 256]", "attention"})
            times.profile.push_back({op, layer, 3, 0.5, 1 << 20});
    times.seconds = 0.1, times.n_tokens = 3, times.copy_bytes_s = 1e10, times.submit_ms = 12;
    return times;
}

void drag(HeadlessUi& ui, const std::string& name, float to, const std::function<void()>& draw) {
    ui.frame(draw);
    const auto place = find_mark(name);
    REQUIRE_MESSAGE(place.has_value(), "there is no item " << name);
    ImGuiIO& io = ImGui::GetIO();
    const float y = (place->y + place->w) / 2;
    io.AddMousePosEvent(place->x + (place->z - place->x) * 0.5f, y);
    ui.frame(draw);
    io.AddMouseButtonEvent(0, true);
    ui.frame(draw);
    io.AddMousePosEvent(place->x + (place->z - place->x) * to, y);
    ui.frame(draw);
    io.AddMouseButtonEvent(0, false);
    ui.frame(draw);
}

void point_at(HeadlessUi& ui, const std::string& name, float x, float y, const std::function<void()>& draw) {
    ui.frame(draw);
    const auto place = find_mark(name);
    REQUIRE_MESSAGE(place.has_value(), "there is no item " << name);
    ImGui::GetIO().AddMousePosEvent(place->x + (place->z - place->x) * x,
                                    place->y + (place->w - place->y) * y);
    ui.frame(draw);
    ui.frame(draw);
}

/// Each panel once, at a small and at twice the font's size, in both themes and languages.
void draw_everywhere(Panels& panels) {
    for (const std::string& name : names)
        for (const float scale : {1.0f, 2.0f}) {
            CAPTURE(name);
            HeadlessUi ui(500 * scale, 1400 * scale);
            panels.alibi.turns = {};
            panels.kv.pages = panels.kv.keys = panels.kv.values = panels.kv.reads = {};
            apply_theme(scale == 1, scale);
            ImGui::GetStyle().FontScaleMain = scale;
            set_language(scale == 1 ? Language::english : Language::chinese);
            for (int i = 0; i < 3; ++i) CHECK(ui.frame(panels.draw(name)) > 0);
            for (int y = 40; y < 1400; y += 170) { // over whatever is there
                ImGui::GetIO().AddMousePosEvent(200 * scale, float(y) * scale);
                ui.frame(panels.draw(name));
            }
            panels.alibi.turns = {};
            panels.kv.pages = panels.kv.keys = panels.kv.values = panels.kv.reads = {};
        }
    set_language(Language::english);
}

} // namespace

TEST_CASE("panels: without a model each says what would fill it") {
    Panels panels;
    draw_everywhere(panels);
    for (const Request& request : panels.requests) CHECK(std::holds_alternative<Hover>(request));
}

TEST_CASE("panels: every length and position coding can be drawn") {
    for (const uint32_t n : {0u, 1u, 2000u, 32768u})
        for (const char* kind : {"rope", "alibi", "learned"}) {
            CAPTURE(n);
            CAPTURE(kind);
            Panels panels;
            panels.snapshot = synthetic_snapshot(n, 4, 12, 3);
            Snapshot& s = panels.snapshot;
            if (kind == std::string("alibi")) give_alibi(s, alibi_slopes(12, 8));
            if (kind == std::string("learned")) {
                s.model->spec.rope = s.model->trained.rope = Rope::none;
                s.model->spec.learned_positions = s.model->trained.learned_positions = true;
            }
            if (n > 0) {
                if (n < 10000) watch(s, 0, std::min(n, 60u));
                s.norms[0] = norms_of(3, n);
                s.sequence.back().choice = a_choice(s.sequence.back().id);
                s.selected = n - 1, s.hovered = n / 2;
            }
            s.times = some_times();
            s.timing = true, s.frame_ms = 4, s.probe_share = 0.02;
            s.memory.budget = s.memory.heap = 8ull << 30, s.memory.usage = 1 << 30;
            s.compared = Compared{{"a", "b"}, {"a", "c"}, {0, 0.5f}};
            draw_everywhere(panels);
        }
}

TEST_CASE("panels: what is no number is drawn, and named as such") {
    Panels panels;
    panels.snapshot = synthetic_snapshot(40, 2, 4, 2);
    Snapshot& s = panels.snapshot;
    give_alibi(s, {nan, INFINITY, -1, 0});
    s.attention.keep_layer(0);
    AttentionRows rows = synthetic_rows(0, 0, 40, 4);
    for (size_t i = 0; i < rows.p.size(); i += 3) rows.p[i] = nan;
    std::vector<int32_t> ids(40, 1);
    s.attention.add(rows, ids);
    KvNorms norms = norms_of(2, 40);
    std::fill(norms.k.begin(), norms.k.end(), nan);
    norms.v[5] = INFINITY;
    s.norms[0] = norms;
    s.times = some_times();
    s.times->profile[0].ms = double(nan);
    s.times->copy_bytes_s = 0, s.times->n_tokens = 0;
    s.probe_share = double(nan), s.frame_ms = double(nan);
    s.compared = Compared{{}, {"x"}, {nan, INFINITY}};
    s.sequence.back().choice = a_choice(3);
    s.sequence.back().choice.p = nan, s.sequence.back().choice.entropy = nan;
    s.selected = 39;
    s.pages.table.assign(1, PageTable::unused);
    draw_everywhere(panels);
}

TEST_CASE("panels: the cost of a frame does not grow with the sequence") {
    for (const std::string& name : names) {
        CAPTURE(name);
        std::vector<int> vertices;
        for (const uint32_t n : {2000u, 32768u}) {
            HeadlessUi ui;
            Panels panels;
            panels.snapshot = synthetic_snapshot(n, 4, 8, 2);
            give_alibi(panels.snapshot, alibi_slopes(8, 8));
            panels.snapshot.norms[0] = norms_of(2, n);
            for (int i = 0; i < 3; ++i) ui.frame(panels.draw(name));
            vertices.push_back(ui.frame(panels.draw(name)));
        }
        CHECK(vertices[1] < vertices[0] * 5 / 4 + 200);
        CHECK(vertices[1] < 100000);
    }
}

TEST_CASE("alibi: slopes are changed by head, together, to zero, and back") {
    HeadlessUi ui(700, 1400);
    Panels panels;
    panels.snapshot = synthetic_snapshot(100, 2, 12, 12);
    give_alibi(panels.snapshot, alibi_slopes(12, 8));
    panels.attention.head = 3;
    const auto draw = panels.draw("alibi");
    const std::vector<float> own = panels.snapshot.model->slopes;

    drag(ui, "alibi slope", 0.9f, draw);
    auto edits = panels.asked<EditPositions>();
    REQUIRE(!edits.empty());
    std::vector<float> slopes = edits.back().edit.slopes;
    REQUIRE(slopes.size() == 12);
    for (size_t h = 0; h < 12; ++h) CHECK((slopes[h] != own[h]) == (h == 3));

    panels.requests.clear();
    drag(ui, "alibi scale", 0.75f, draw);
    edits = panels.asked<EditPositions>();
    REQUIRE(!edits.empty());
    const float factor = edits.back().edit.slopes[0] / own[0];
    CHECK(factor > 1.5f);
    for (size_t h = 0; h < 12; ++h)
        CHECK(edits.back().edit.slopes[h] == doctest::Approx(slopes[h] * factor).epsilon(1e-4));

    panels.requests.clear();
    ui.click("alibi zero", draw);
    edits = panels.asked<EditPositions>();
    REQUIRE(edits.size() == 1);
    CHECK(edits[0].edit.slopes == std::vector<float>(12, 0.0f));

    panels.requests.clear();
    ui.click("alibi reset", draw);
    edits = panels.asked<EditPositions>();
    REQUIRE(edits.size() == 1);
    CHECK(edits[0].edit == PositionEdit{});
}

TEST_CASE("alibi: the table and the fan choose a head, the map takes the choice back") {
    HeadlessUi ui(700, 1400);
    Panels panels;
    panels.snapshot = synthetic_snapshot(100, 2, 8, 8);
    give_alibi(panels.snapshot, alibi_slopes(8, 8));
    const auto draw = panels.draw("alibi");
    ui.click("alibi head 4", draw);
    CHECK(panels.alibi.head == 4u);
    panels.attention.head = 6;
    ui.frame(draw);
    CHECK(!panels.alibi.head);
    ui.frame(draw);
    // Head 0 has slope 1/2: at distance 10 of 100 its line is half way down the plot, which ends at -10.
    const auto fan = find_mark("alibi fan");
    REQUIRE(fan);
    ImGuiIO& io = ImGui::GetIO();
    io.AddMousePosEvent(fan->x + (fan->z - fan->x) * 0.1f, fan->y + (fan->w - fan->y) * 0.5f);
    ui.frame(draw);
    io.AddMouseButtonEvent(0, true);
    ui.frame(draw);
    io.AddMouseButtonEvent(0, false);
    ui.frame(draw);
    CHECK(panels.alibi.head == 0u);
}

TEST_CASE("alibi: a model without it is given it, and told that it was not trained so") {
    HeadlessUi ui(700, 1400);
    Panels panels;
    panels.snapshot = synthetic_snapshot(10, 2, 12, 12);
    const auto draw = panels.draw("alibi");
    ui.click("alibi give", draw);
    auto edits = panels.asked<EditPositions>();
    REQUIRE(edits.size() == 1);
    CHECK(edits[0].edit.slopes == alibi_slopes(12, 8));
    panels.snapshot.model->edit = edits[0].edit;
    panels.snapshot.model->slopes = edits[0].edit.slopes;
    panels.requests.clear();
    ui.click("alibi reset", draw);
    edits = panels.asked<EditPositions>();
    REQUIRE(edits.size() == 1);
    CHECK(edits[0].edit == PositionEdit{});
}

TEST_CASE("alibi: an unwatched layer can be watched, a compared text is shown") {
    HeadlessUi ui(700, 1600);
    Panels panels;
    panels.snapshot = synthetic_snapshot(30, 4, 8, 8);
    give_alibi(panels.snapshot, alibi_slopes(8, 8));
    panels.snapshot.watch.survey = true;
    panels.attention.layer = 2;
    const auto draw = panels.draw("alibi");
    ui.click("alibi watch", draw);
    const auto watches = panels.asked<Watch>();
    REQUIRE(watches.size() == 1);
    CHECK(watches[0].layer == 2u);
    CHECK(watches[0].survey);
    ui.click("alibi compare", draw); // nothing is edited yet
    CHECK(panels.asked<ComparePositions>().empty());
    panels.snapshot.model->edit.slopes.assign(8, 0.0f);
    panels.snapshot.model->slopes.assign(8, 0.0f);
    ui.click("alibi compare", draw);
    CHECK(panels.asked<ComparePositions>().size() == 1);
    panels.snapshot.compared = Compared{{"a", "b"}, {"a", "c"}, {0.1f, 0.2f}};
    ui.frame(draw);
    CHECK(find_mark("compare kl").has_value());
}

TEST_CASE("alibi: hovering a cell of the three maps names its key") {
    HeadlessUi ui(900, 1600);
    Panels panels;
    panels.snapshot = synthetic_snapshot(200, 4, 8, 8);
    give_alibi(panels.snapshot, alibi_slopes(8, 8));
    watch(panels.snapshot, 0, 60);
    const auto draw = panels.draw("alibi");
    point_at(ui, "alibi maps", 0.002f, 0.99f, draw); // the lower left corner: the first key of the window
    const auto hovers = panels.asked<Hover>();
    REQUIRE(!hovers.empty());
    REQUIRE(hovers.back().position.has_value());
    CHECK(*hovers.back().position < 200);
    CHECK(*hovers.back().position >= 200 - 64);
    panels.requests.clear();
    panels.snapshot.hovered = hovers.back().position;
    point_at(ui, "alibi fan", 0.99f, 0.99f, draw);
    REQUIRE(!panels.asked<Hover>().empty());
    CHECK(!panels.asked<Hover>().back().position);
}

TEST_CASE("rope: base and scaling are asked for together, and taken back") {
    HeadlessUi ui(700, 1400);
    Panels panels;
    panels.snapshot = synthetic_snapshot(30, 2, 8, 8);
    const auto draw = panels.draw("alibi");
    ui.click("rope apply", draw); // nothing is changed yet
    CHECK(panels.asked<EditPositions>().empty());
    ui.click("rope scaling", draw);
    ui.click("rope scaling linear", draw);
    ui.click("rope factor", draw);
    ui.press(ImGuiKey_A | ImGuiMod_Ctrl, draw);
    ui.type("4", draw);
    ui.press(ImGuiKey_Enter, draw);
    ui.click("rope apply", draw);
    auto edits = panels.asked<EditPositions>();
    REQUIRE(edits.size() == 1);
    CHECK(edits[0].edit.rope_scaling == RopeScaling::linear);
    CHECK(edits[0].edit.rope_factor == 4);
    CHECK(edits[0].edit.slopes.empty());
    panels.requests.clear();
    ui.click("rope reset", draw);
    edits = panels.asked<EditPositions>();
    REQUIRE(edits.size() == 1);
    CHECK(edits[0].edit == PositionEdit{});
}

} // namespace kvasir::ui
