#include "ui/attention_parts.hpp"
#include "ui/draw.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

constexpr uint32_t computed_by_itself = 512; // tokens: a moment on any device
constexpr uint64_t cells_a_frame = 2 << 20;  // of averages and differences: some milliseconds

/// A line in the middle of the room that is left.
void empty_state(const std::string& words) {
    const ImVec2 room = ImGui::GetContentRegionAvail();
    const float width = std::min(room.x, em(26));
    const ImVec2 size = ImGui::CalcTextSize(words.c_str(), nullptr, false, width);
    const ImVec2 at = ImGui::GetCursorPos();
    ImGui::SetCursorPos({at.x + std::max(0.0f, (room.x - size.x) / 2), at.y + std::max(0.0f, room.y / 3)});
    ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + width);
    ImGui::TextColored(theme().muted, "%s", words.c_str());
    ImGui::PopTextWrapPos();
    mark("attention empty");
}

/// Asks that the chosen layer be read, once.
void watch(const AttentionPanel& state, const Snapshot& s, Requests& requests) {
    const Watch wanted{state.layer, state.grid, state.head};
    if (s.watch == wanted) {
        state.parts->asked.reset();
        return;
    }
    if (state.parts->asked == wanted) return;
    state.parts->asked = wanted;
    requests.push_back(wanted);
}

/// Rows of the chosen head are missing: from the newest token none can be there yet.
bool incomplete(const HeadMap* map, uint32_t n) {
    return !map || map->n_read() + 1 < n;
}

/// Offers to compute what is missing; does so by itself where it takes a moment. Gives whether it said
/// anything.
bool complete(const AttentionPanel& state, const Snapshot& s, const HeadMap* map, Requests& requests) {
    const auto n = static_cast<uint32_t>(s.sequence.size());
    if (!incomplete(map, n)) return false;
    if (s.prompt && s.prompt->done < s.prompt->total) {
        note(text(tr("Reading the text: %u of %u tokens"), s.prompt->done, s.prompt->total));
        return true;
    }
    if (s.generating) {
        note(text(tr("Rows of layer %u come with the tokens that are made now; earlier ones can be computed "
                     "afterwards."),
                  state.layer));
        return true;
    }
    const AttentionParts::Replayed now{state.layer, map ? 0 : state.head, n, s.answer};
    const bool asked = state.parts->replayed == now;
    if (n <= computed_by_itself && !asked) {
        state.parts->replayed = now;
        requests.push_back(Replay{});
    }
    if (ImGui::Button(tr("Compute this layer's maps"))) requests.push_back(Replay{});
    mark("compute maps");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s", tr("Reads the text once more, for the rows that were not read."));
    const std::string have = text(tr("%u of %u rows"), map ? map->n_read() : 0, n);
    same_line_if_fits(ImGui::CalcTextSize(have.c_str()).x);
    ImGui::AlignTextToFramePadding();
    ImGui::TextColored(theme().muted, "%s", have.c_str());
    return true;
}

void choose_number(const char* label, const char* name, uint32_t& value, uint32_t n) {
    int v = static_cast<int>(value);
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(label);
    ImGui::SameLine();
    ImGui::SetNextItemWidth(em(5));
    ImGui::PushID(name);
    ImGui::InputInt("##number", &v, 1, 4);
    ImGui::PopID();
    mark(name);
    value = static_cast<uint32_t>(std::clamp(v, 0, static_cast<int>(n) - 1));
}

void tell_metrics(const HeadMetrics& m) {
    std::string words;
    for (int i = 1; i <= static_cast<int>(HeadOrder::induction); ++i)
        words += metric_value(HeadOrder(i), m) + "   " + tr(metric_text(HeadOrder(i)).meaning) + "\n";
    words += text(tr("mean over %llu rows"), static_cast<unsigned long long>(m.n_rows));
    ImGui::SetTooltip("%s", words.c_str());
}

/// Metrics of the chosen head, as many as one line holds, the heads' order first; all are in the tool-tip.
void draw_metrics(const AttentionPanel& state, const Snapshot& s) {
    const HeadMetrics& m = s.attention.metrics(state.layer, state.head);
    if (m.n_rows == 0) return;
    std::string line;
    const auto add = [&](HeadOrder order) {
        const std::string more =
            line + (line.empty() ? "" : "   ") + tr(metric_text(order).name) + " " + metric_value(order, m);
        if (ImGui::CalcTextSize(more.c_str()).x <= ImGui::GetContentRegionAvail().x) line = more;
    };
    if (state.order != HeadOrder::position) add(state.order);
    for (int i = 1; i <= static_cast<int>(HeadOrder::induction); ++i)
        if (HeadOrder(i) != state.order) add(HeadOrder(i));
    ImGui::TextColored(theme().muted, "%s", line.c_str());
    mark("metrics");
    if (ImGui::IsItemHovered()) tell_metrics(m);
}

/// Layer and head by number.
void draw_head_line(AttentionPanel& state, const Snapshot& s) {
    choose_number(tr("Layer"), "layer", state.layer, s.attention.n_layers());
    same_line_if_fits(em(8));
    choose_number(tr("Head"), "head", state.head, s.attention.n_heads());
    const std::string cost = text(tr("probes %.1f %%"), s.probe_share * 100);
    same_line_if_fits(ImGui::CalcTextSize(cost.c_str()).x, 1);
    ImGui::AlignTextToFramePadding();
    ImGui::TextColored(s.probe_share > 0.05 ? theme().warning : theme().muted, "%s", cost.c_str());
    mark("probe share");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s", tr("What reading attention takes of the device's time."));
}

void tell_cell(const AttentionPanel& state, const Snapshot& s, const HeadMap* map, MapCell cell) {
    const auto token = [&](uint32_t i) { return visible_label(s.sequence[i].label, s.sequence[i].id); };
    std::string words = text(tr("query %u  %s"), cell.query, token(cell.query).c_str()) + "\n" +
                        text(tr("key %u  %s"), cell.key, token(cell.key).c_str()) + "\n";
    const std::span<const float> row =
        map && cell.query < std::min(map->n(), s.shown()) ? map->row(cell.query) : std::span<const float>();
    if (cell.key > cell.query) {
        words += tr("a key after the query: it is not looked at");
    } else if (row.empty()) {
        words += tr("this row was not read");
    } else if (cell.key < state.masked_sinks) {
        words += tr("masked");
    } else if (const float p = row[cell.key]; !std::isfinite(p)) {
        words += tr("no number: the model or the device computed nonsense here");
    } else {
        const bool signs = state.difference != Difference::none;
        const auto above =
            std::count_if(row.begin(), row.end(), [p](float x) { return std::abs(x) > std::abs(p); });
        const float most = std::abs(map->row_peak(cell.query));
        words += text(signs ? tr("difference %+.6f") : tr("probability %.6f"), double(p));
        words +=
            "\n" + text(tr("%.1f %% of the row's largest, place %d of %d"),
                        most > 0 ? double(std::abs(p) / most) * 100 : 0, int(above) + 1, int(row.size()));
    }
    ImGui::SetTooltip("%s", words.c_str());
}

/// Which colour means how much.
void draw_legend(const MapStyle& style) {
    const float height = em(0.7f), width = em(5);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList* list = ImGui::GetWindowDrawList();
    constexpr int steps = 64;
    for (int i = 0; i < steps; ++i) {
        const float x0 = at.x + width * float(i) / steps, x1 = at.x + width * float(i + 1) / steps;
        list->AddRectFilled({x0, at.y + em(0.2f)}, {x1, at.y + em(0.2f) + height},
                            style.colors->at(float(i) / (steps - 1)));
    }
    ImGui::Dummy({width, em(1)});
    ImGui::SameLine();
    const double most = double(style.most);
    std::string words = style.scale == ColorScale::row   ? tr("0 to the row's largest")
                        : style.difference               ? text("%+.3g .. %+.3g", -most, most)
                        : style.scale == ColorScale::log ? text("%.1g .. %.3g", most * 1e-4, most)
                                                         : text("0 .. %.3g", most);
    ImGui::TextColored(theme().muted, "%s", words.c_str());
}

MapStyle style_of(const AttentionPanel& state, const HeadMap* map) {
    MapStyle style;
    style.scale = state.scale;
    style.difference = state.difference != Difference::none;
    style.colors = style.difference ? &diverging_map() : &color_maps()[size_t(state.color_map)];
    const float most = map ? std::abs(map->peak()) : 0;
    style.most = std::isfinite(most) && most > 0 ? most : 1;
    return style;
}

/// How far back the shown head's ALiBi bias reaches -ln 1000; 0 where there is none, or several heads are
/// shown.
double reach_of(const AttentionPanel& state, const Snapshot& s) {
    const std::vector<float>& slopes = s.model->slopes;
    const bool alone = state.average == Average::none && state.difference == Difference::none;
    if (!alone || state.head >= slopes.size() || slopes[state.head] <= 0) return 0;
    return std::log(1000.0) / double(slopes[state.head]);
}

/// Gives the key under the mouse.
std::optional<uint32_t> draw_map(AttentionPanel& state, const Snapshot& s, Requests& requests) {
    AttentionParts& parts = *state.parts;
    const HeadMap* head = s.attention.map(state.layer, state.head);
    const HeadMap* map = parts.shown.update(s.attention, map_choice(state, s), cells_a_frame);
    state.busy = !parts.shown.done();
    draw_scale(state);
    const MapStyle style = style_of(state, map);
    same_line_if_fits(em(12), 1);
    draw_legend(style);
    if (state.options) {
        draw_map_options(state, s, map);
        same_line_if_fits(em(8), 1.2f);
        draw_export(state, s, map, style, map_name(state, s.model->spec), requests);
    }
    complete(state, s, head, requests);
    if (head && !map)
        note(
            text(
                tr("The maps of all heads take more than %.0f MiB; this mean needs some that were left out."),
                double(s.attention.limit()) / (1 << 20)),
            theme().warning);

    HeatmapInput input{
        .map = map,
        .style = style,
        .n = static_cast<uint32_t>(s.sequence.size()),
        .n_rows = s.shown(),
        .first_key = state.masked_sinks,
        .label = [&s](uint32_t i) { return visible_label(s.sequence[i].label, s.sequence[i].id); },
        .hovered = s.hovered,
        .selected = s.selected,
        .reach = reach_of(state, s)};
    ImVec2 room = ImGui::GetContentRegionAvail();
    room.x = std::clamp(room.x, em(8), 4096.0f), room.y = std::clamp(room.y, em(7), 4096.0f);
    const HeatmapOutput out = parts.heatmap.draw("attention map", room, state.view, input);
    if (!out.hovered) return {};
    tell_cell(state, s, map, *out.hovered);
    if (out.clicked) requests.push_back(ShowToken{out.hovered->query});
    return out.hovered->key;
}

void draw_order(AttentionPanel& state) {
    ImGui::SetNextItemWidth(em(11));
    const auto name = [](HeadOrder order) {
        return order == HeadOrder::position ? tr("by layer and head") : tr(metric_text(order).name);
    };
    constexpr const char* marks[] = {"position", "entropy", "sink", "distance", "previous", "induction"};
    if (ImGui::BeginCombo("##order", name(state.order))) {
        for (int i = 0; i <= static_cast<int>(HeadOrder::induction); ++i) {
            const auto order = static_cast<HeadOrder>(i);
            if (ImGui::Selectable(name(order), order == state.order)) state.order = order;
            mark(std::string("order ") + marks[i]);
            if (i > 0 && ImGui::IsItemHovered()) ImGui::SetTooltip("%s", tr(metric_text(order).meaning));
        }
        ImGui::EndCombo();
    }
    mark("order");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s", tr("What colours the frames of the heads, and sorts them."));
    if (state.order == HeadOrder::position) return;
    ImGui::SameLine();
    ImGui::Checkbox(tr("Sort"), &state.sorted);
    mark("sort heads");
}

/// The grid beside the map where there is room, else above it.
std::optional<uint32_t> draw_grid_and_map(AttentionPanel& state, const Snapshot& s, Requests& requests) {
    const ImVec2 room = ImGui::GetContentRegionAvail();
    const bool beside = room.x > em(44);
    if (state.grid) {
        const ImVec2 size = beside ? ImVec2(std::min(room.x * 0.4f, em(32)), 0) : ImVec2(0, room.y * 0.3f);
        ImGui::BeginChild("grid", size);
        draw_order(state);
        draw_head_grid(state, s);
        ImGui::EndChild();
        if (beside) ImGui::SameLine();
    }
    ImGui::BeginChild("map", {0, 0});
    const std::optional<uint32_t> key = draw_map(state, s, requests);
    ImGui::EndChild();
    return key;
}

} // namespace

const MetricText& metric_text(HeadOrder order) {
    static constexpr MetricText texts[] = {
        {"entropy", "Entropy: mean over rows of -sum p ln p, in nats. 0: one key; ln n: all alike.",
         &HeadMetrics::entropy, "%.2f", false},
        {"sink", "Sink: mean share of the first key, where a head rests what it does not use.",
         &HeadMetrics::sink, "%.1f %%", true},
        {"distance", "Distance: mean over rows of the sum of p times the tokens between key and query.",
         &HeadMetrics::distance, "%.1f", false},
        {"previous token", "Previous token: mean share of the key just before the query.",
         &HeadMetrics::previous, "%.1f %%", true},
        {"induction",
         "Induction: mean share of keys that follow an earlier occurrence of the query's token; below 0.01 "
         "nothing is counted.",
         &HeadMetrics::induction, "%.1f %%", true}};
    return texts[std::max(0, static_cast<int>(order) - 1)];
}

std::string metric_value(HeadOrder order, const HeadMetrics& metrics) {
    const MetricText& t = metric_text(order);
    return text(t.format, double(metrics.*t.value) * (t.share ? 100 : 1));
}

void draw_attention(AttentionPanel& state, const Snapshot& s, Requests& requests) {
    if (!state.parts) state.parts = std::make_shared<AttentionParts>();
    state.busy = false;
    if (!s.model || s.attention.n_heads() == 0)
        return empty_state(
            tr("Here you will see what each head of the model looks at, while it reads and writes. "
               "Choose a model first."));
    state.layer = std::min(state.layer, s.attention.n_layers() - 1);
    state.head = std::min(state.head, s.attention.n_heads() - 1);
    state.other_head = std::min(state.other_head, s.attention.n_heads() - 1);
    state.color_map = std::clamp(state.color_map, 0, static_cast<int>(color_maps().size()) - 1);
    if (s.sequence.empty()) {
        watch(state, s, requests);
        return empty_state(
            tr("No text yet: write a message, and a map grows here by a row with each token."));
    }
    ImGui::Checkbox(tr("All heads"), &state.grid);
    mark("all heads");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip(
            "%s", tr("Thumbnails of every head. While they are shown, one more layer is read with each "
                     "token, in turn."));
    same_line_if_fits(em(8), 1);
    draw_head_line(state, s);
    draw_metrics(state, s);
    const size_t asked = requests.size();
    const std::optional<uint32_t> key = draw_grid_and_map(state, s, requests);
    tell_hover(key, s, requests);
    // Before what was asked for while drawing: a layer is watched first and then computed.
    Requests first;
    watch(state, s, first);
    requests.insert(requests.begin() + ptrdiff_t(asked), first.begin(), first.end());
}

} // namespace kvasir::ui
