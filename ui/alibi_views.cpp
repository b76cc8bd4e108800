#include "ui/alibi_parts.hpp"
#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kvasir::ui {
namespace {

constexpr float deepest = 10; // of the fan: a bias of -10 leaves a weight of 0.00005

std::string shown_reach(double reach) {
    return std::isfinite(reach) ? text("%.1f", reach) : std::string(tr("without end"));
}

std::string describe_head(const HeadSlope& h) {
    return text(tr("head %u: slope %.5g, bias -ln 1000 at distance %s"), h.head, double(h.slope),
                shown_reach(h.reach).c_str());
}

/// The plot's corner, size and range.
struct Fan {
    ImVec2 at, size;
    float far = 1; ///< the largest distance

    ImVec2 point(float distance, float bias) const {
        return {at.x + size.x * distance / far, at.y + size.y * -bias / deepest};
    }
    /// Where the line of a slope leaves the plot.
    ImVec2 end(float slope) const {
        const float distance = slope * far > deepest ? deepest / slope : far;
        return point(distance, -slope * distance);
    }
};

float distance_to_line(ImVec2 p, ImVec2 a, ImVec2 b) {
    const ImVec2 d{b.x - a.x, b.y - a.y};
    const float length = d.x * d.x + d.y * d.y;
    const float t = length > 0 ? std::clamp(((p.x - a.x) * d.x + (p.y - a.y) * d.y) / length, 0.0f, 1.0f) : 0;
    return std::hypot(p.x - a.x - t * d.x, p.y - a.y - t * d.y);
}

const HeadSlope* nearest(const Fan& fan, std::span<const HeadSlope> slopes, ImVec2 mouse) {
    const HeadSlope* found = nullptr;
    float best = em(0.5f);
    for (const HeadSlope& h : slopes) {
        const float d = distance_to_line(mouse, fan.at, fan.end(h.slope));
        if (d < best) best = d, found = &h;
    }
    return found;
}

void draw_frame(const Fan& fan) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 end{fan.at.x + fan.size.x, fan.at.y + fan.size.y};
    list.AddRectFilled(fan.at, end, theme().empty);
    const float ln_1000 = std::log(1000.0f), y = fan.point(0, -ln_1000).y;
    const uint32_t muted = packed(theme().muted);
    list.AddLine({fan.at.x, y}, {end.x, y}, theme().grid);
    list.AddText({end.x - ImGui::CalcTextSize("-ln 1000").x - em(0.3f), y - em(1.1f)}, muted, "-ln 1000");
    const std::string far = text("%.0f", double(fan.far));
    list.AddText({end.x - ImGui::CalcTextSize(far.c_str()).x - em(0.3f), fan.at.y + em(0.1f)}, muted,
                 far.c_str());
    const std::string deep = text("-%.0f", double(deepest));
    list.AddText({fan.at.x + em(0.3f), end.y - em(1.2f)}, muted, deep.c_str());
}

} // namespace

void draw_fan(AlibiPanel& state, std::span<const HeadSlope> slopes, uint32_t head, uint32_t length) {
    const Fan fan{ImGui::GetCursorScreenPos(),
                  {std::max(ImGui::GetContentRegionAvail().x, em(8)), em(9)},
                  static_cast<float>(std::max(length, 64u))};
    ImGui::InvisibleButton("alibi fan", fan.size);
    mark("alibi fan");
    if (!ImGui::IsItemVisible()) return;
    const HeadSlope* under = ImGui::IsItemHovered() ? nearest(fan, slopes, ImGui::GetIO().MousePos) : nullptr;
    draw_frame(fan);
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const auto n = static_cast<float>(slopes.size());
    for (size_t rank = 0; rank < slopes.size(); ++rank) {
        const HeadSlope& h = slopes[rank];
        // The light end of the map would be lost on a light ground.
        const float at = (static_cast<float>(rank) + 1) / (n + 1) * (theme().dark ? 1 : 0.75f);
        const bool chosen = h.head == head || &h == under;
        const uint32_t color = chosen   ? packed(theme().accent)
                               : h.tail ? packed(theme().warning)
                                        : color_maps()[0].at(at);
        list.AddLine(fan.at, fan.end(h.slope), color, em(chosen ? 0.2f : 0.08f));
    }
    if (under) {
        ImGui::SetTooltip("%s", describe_head(*under).c_str());
        if (ImGui::IsItemClicked()) state.head = under->head;
    }
    const bool tail = std::any_of(slopes.begin(), slopes.end(), [](const HeadSlope& h) { return h.tail; });
    note(tail ? tr("Bias of each head by distance. The other colour: heads beyond the largest power of two, "
                   "whose "
                   "slopes lie between the others'.")
              : tr("Bias of each head by distance."));
}

void draw_reach(AlibiPanel& state, std::span<const HeadSlope> slopes, uint32_t head, uint32_t length) {
    const auto rows = std::min(slopes.size() + 1, size_t(8));
    const float height = ImGui::GetTextLineHeightWithSpacing() * static_cast<float>(rows) + em(0.5f);
    if (!ImGui::BeginTable("reach", 3, ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY, {0, height})) return;
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableSetupColumn(tr("head"));
    ImGui::TableSetupColumn(tr("slope"));
    ImGui::TableSetupColumn(tr("reach"));
    ImGui::TableHeadersRow();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(slopes.size()));
    while (clipper.Step())
        for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
            const HeadSlope& h = slopes[size_t(i)];
            ImGui::TableNextRow();
            ImGui::TableNextColumn();
            if (h.tail) ImGui::PushStyleColor(ImGuiCol_Text, theme().warning);
            const std::string name = std::to_string(h.head);
            if (ImGui::Selectable(name.c_str(), h.head == head, ImGuiSelectableFlags_SpanAllColumns))
                state.head = h.head;
            mark("alibi head " + name);
            if (h.tail) ImGui::PopStyleColor();
            ImGui::TableNextColumn();
            ImGui::Text("%.5g", double(h.slope));
            ImGui::TableNextColumn();
            const std::string reach = shown_reach(h.reach);
            if (h.reach > length) // further back than there is text: this head is not held back yet
                ImGui::TextDisabled("%s", reach.c_str());
            else
                ImGui::TextUnformatted(reach.c_str());
        }
    ImGui::EndTable();
}

namespace {

/// Three triangles beside each other.
struct Maps {
    ImVec2 at;
    float cell = 0, gap = 0, side = 0;

    ImVec2 corner(int map) const { return {at.x + static_cast<float>(map) * (side + gap), at.y}; }
};

struct Cell {
    uint32_t i = 0, j = 0;
};

std::optional<Cell> cell_at(const Maps& maps, uint32_t n, ImVec2 mouse) {
    for (int map = 0; map < 3; ++map) {
        const ImVec2 corner = maps.corner(map);
        const float x = (mouse.x - corner.x) / maps.cell, y = (mouse.y - corner.y) / maps.cell;
        if (x < 0 || y < 0 || x >= static_cast<float>(n) || y >= static_cast<float>(n)) continue;
        const Cell cell{static_cast<uint32_t>(y), static_cast<uint32_t>(x)};
        if (cell.j <= cell.i) return cell;
    }
    return {};
}

void draw_triangle(const Maps& maps, int map, const ScoreParts& parts, const std::vector<float>& values,
                   float range, float reach) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 at = maps.corner(map);
    const float side = static_cast<float>(parts.n) * maps.cell;
    list.AddRectFilled(at, {at.x + side, at.y + side}, theme().empty);
    for (uint32_t i = 0; i < parts.n; ++i)
        for (uint32_t j = 0; j <= i; ++j) {
            const float value = values[parts.cell(i, j)];
            if (!std::isfinite(value)) continue;
            const ImVec2 low{at.x + static_cast<float>(j) * maps.cell,
                             at.y + static_cast<float>(i) * maps.cell};
            list.AddRectFilled(low, {low.x + maps.cell, low.y + maps.cell},
                               diverging_map().at(range > 0 ? 0.5f + value / (2 * range) : 0.5f));
        }
    if (reach < static_cast<float>(parts.n)) // from here on to the lower left the bias is below -ln 1000
        list.AddLine({at.x, at.y + reach * maps.cell}, {at.x + side - reach * maps.cell, at.y + side},
                     packed(theme().warning), em(0.12f));
}

void draw_marks(const Maps& maps, const ScoreParts& parts, std::optional<Cell> cell,
                std::optional<uint32_t> hovered) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const uint32_t color = ImGui::GetColorU32(ImGuiCol_Text);
    for (int map = 0; map < 3; ++map) {
        const ImVec2 at = maps.corner(map);
        const auto box = [&](float x, float y, float w, float h) {
            const float c = maps.cell;
            list.AddRect({at.x + x * c, at.y + y * c}, {at.x + (x + w) * c, at.y + (y + h) * c}, color);
        };
        if (cell) box(static_cast<float>(cell->j), static_cast<float>(cell->i), 1, 1);
        if (!cell && hovered && *hovered >= parts.first && *hovered < parts.first + parts.n) {
            const auto i = static_cast<float>(*hovered - parts.first);
            box(0, i, i + 1, 1);
            box(i, i, 1, static_cast<float>(parts.n) - i);
        }
    }
}

void tell_cell(const ScoreParts& parts, Cell cell, const Snapshot& snapshot) {
    const uint32_t query = parts.first + cell.i, key = parts.first + cell.j;
    const auto label = [&](uint32_t i) {
        return i < snapshot.sequence.size()
                   ? visible_label(snapshot.sequence[i].label, snapshot.sequence[i].id)
                   : std::string();
    };
    const size_t at = parts.cell(cell.i, cell.j);
    std::string words = text(tr("%u \"%s\" reads %u \"%s\", distance %u"), query, label(query).c_str(), key,
                             label(key).c_str(), query - key);
    words += "\n";
    if (std::isfinite(parts.score[at]))
        words += text(tr("score %.3f = content %.3f + bias %.3f"), double(parts.score[at]),
                      double(parts.content[at]), double(parts.bias[at]));
    else
        words += tr("not read, or too small a probability to tell the score from");
    ImGui::SetTooltip("%s", words.c_str());
}

/// The positions that fit, with the rows that were read.
ScoreParts last_parts(const HeadMap& map, uint32_t n_shown, float slope, uint32_t n_fit) {
    const uint32_t n = std::min(n_shown, n_fit), first = n_shown - n;
    std::vector<std::span<const float>> rows(n);
    for (uint32_t i = 0; i < n; ++i)
        if (first + i < map.n()) rows[i] = map.row(first + i);
    return score_parts(rows, first, slope);
}

} // namespace

std::optional<uint32_t> draw_scores(uint32_t layer, uint32_t head, float slope, const Snapshot& snapshot,
                                    Requests& requests) {
    const HeadMap* map = snapshot.attention.map(layer, head);
    if (!map) {
        note(text(tr("The rows of layer %u are not read."), layer));
        if (ImGui::Button(tr("Watch this layer"))) requests.push_back(Watch{layer, snapshot.watch.survey});
        mark("alibi watch");
        return {};
    }
    if (snapshot.shown() == 0 || map->n() == 0) {
        note(tr("Rows appear here as the model reads and writes text."));
        return {};
    }
    const float width = ImGui::GetContentRegionAvail().x;
    Maps maps{.at = {}, .gap = em(1)};
    const float third = std::max((width - 2 * maps.gap) / 3, em(3));
    maps.cell = std::max(2.0f, std::floor(third / 48));
    const ScoreParts parts =
        last_parts(*map, snapshot.shown(), slope, std::min(static_cast<uint32_t>(third / maps.cell), 64u));
    if (parts.n < 16) maps.cell = std::floor(third / 16); // the first few tokens as cells that can be hit
    maps.side = static_cast<float>(parts.n) * maps.cell;
    const char* titles[] = {tr("score"), tr("content"), tr("bias")};
    maps.at = ImGui::GetCursorScreenPos();
    for (int i = 0; i < 3; ++i)
        ImGui::GetWindowDrawList()->AddText(maps.corner(i), packed(theme().muted), titles[i]);
    ImGui::Dummy({0, em(1)});
    maps.at = ImGui::GetCursorScreenPos();
    ImGui::InvisibleButton("alibi maps", {3 * maps.side + 2 * maps.gap, maps.side});
    mark("alibi maps");
    const std::optional<Cell> cell =
        ImGui::IsItemHovered() ? cell_at(maps, parts.n, ImGui::GetIO().MousePos) : std::nullopt;
    if (!ImGui::IsItemVisible()) return {};
    const float range = parts.largest(), reach = slope > 0 ? std::log(1000.0f) / slope : INFINITY;
    draw_triangle(maps, 0, parts, parts.score, range, reach);
    draw_triangle(maps, 1, parts, parts.content, range, reach);
    draw_triangle(maps, 2, parts, parts.bias, range, reach);
    draw_marks(maps, parts, cell, snapshot.hovered);
    note(
        text(tr("Layer %u, head %u, positions %u to %u; colours from -%.1f to %.1f. Scores are ln p, up to a "
                "constant of each row; the line: bias -ln 1000."),
             layer, head, parts.first, parts.first + parts.n - 1, double(range), double(range)));
    if (!cell) return {};
    tell_cell(parts, *cell, snapshot);
    return parts.first + cell->j;
}

} // namespace kvasir::ui
