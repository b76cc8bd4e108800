#include "runtime/attention_map.hpp"
#include "runtime/png.hpp"
#include "ui/attention_parts.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <limits>

namespace kvasir::ui {
namespace {

/// What is saved: queries and keys before n_rows.
AttentionMap values_of(const AttentionPanel& state, const Snapshot& s, const HeadMap& map, uint32_t n) {
    AttentionMap out;
    out.layer = state.layer;
    const MapChoice c = map_choice(state, s);
    for (uint32_t head = c.first; head < c.last; ++head) out.heads.push_back(head);
    for (uint32_t i = 0; i < n; ++i) {
        out.ids.push_back(s.sequence[i].id);
        out.tokens.push_back(s.sequence[i].label);
    }
    out.p.assign(size_t(n) * n, 0);
    for (uint32_t i = 0; i < n; ++i) {
        const std::span<const float> row = i < map.n() ? map.row(i) : std::span<const float>();
        const auto to = out.p.begin() + ptrdiff_t(i) * n;
        if (row.empty()) // not read: no number, and not "no attention"
            std::fill_n(to, i + 1, std::numeric_limits<float>::quiet_NaN());
        else
            std::copy(row.begin(), row.end(), to);
    }
    return out;
}

std::string picture_of(const HeadMap& map, const MapStyle& style, uint32_t n, uint32_t first_key) {
    // As `kvasir attention` draws: whole pixels a cell, at least 512 a side; of a long text the largest that
    // a viewer opens without trouble, a pixel for several cells.
    constexpr uint32_t most = 8192, least = 512;
    const uint32_t cell = std::max(1u, (least + n - 1) / n), side = std::min(most, cell * n);
    std::vector<uint32_t> pixels(size_t(side) * side);
    const MapPart part{.cell = double(side) / n, .n = n, .n_rows = n, .first_key = first_key};
    paint_map(pixels, int(side), int(side), map, part, style);
    return to_png({reinterpret_cast<const uint8_t*>(pixels.data()), pixels.size() * 4}, side, side, 4);
}

} // namespace

void draw_export(const AttentionPanel& state, const Snapshot& s, const HeadMap* map, const MapStyle& style,
                 const std::string& name, Requests& requests) {
    const uint32_t n = map ? std::min(s.shown(), map->n()) : 0;
    ImGui::BeginDisabled(n == 0 || state.busy);
    std::string file = name;
    std::replace(file.begin(), file.end(), ' ', '-');
    const auto too_long = [&](uint32_t limit) {
        if (n <= limit) return false;
        requests.push_back(
            Tell{text(tr("%u tokens are too many for this file (at most %u): PNG holds more."), n, limit)});
        return true;
    };
    if (ImGui::SmallButton("PNG"))
        requests.push_back(SaveFile{file + ".png", picture_of(*map, style, n, state.masked_sinks)});
    mark("export png");
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", tr("Saves the map as a picture, in these colours."));
    ImGui::SameLine();
    std::string bytes;
    const auto sink = [&bytes](std::string_view more) { bytes += more; };
    if (ImGui::SmallButton("npy") && !too_long(16384)) {
        AttentionMap values = values_of(state, s, *map, n);
        values.heads.resize(1); // one map, of however many heads
        write_npy(sink, values);
        requests.push_back(SaveFile{file + ".npy", std::move(bytes)});
    }
    mark("export npy");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip(
            "%s", tr("Saves the map's numbers for NumPy: float32 [n, n], NaN where a row was not read."));
    ImGui::SameLine();
    if (ImGui::SmallButton("JSON") && !too_long(4096)) {
        AttentionMap values = values_of(state, s, *map, n);
        values.heads.resize(1);
        write_json(sink, values);
        requests.push_back(SaveFile{file + ".json", std::move(bytes)});
    }
    mark("export json");
    if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", tr("Saves the map's numbers with the tokens."));
    ImGui::EndDisabled();
}

} // namespace kvasir::ui
