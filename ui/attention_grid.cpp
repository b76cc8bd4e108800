#include "ui/attention_parts.hpp"
#include "ui/draw.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

struct HeadPlace {
    uint32_t layer = 0, head = 0;
};

/// Where thumbnails stand: columns of squares with a frame each.
struct Layout {
    std::vector<HeadPlace> heads;
    uint32_t columns = 1;
    float side = 0, frame = 0, pitch = 0, left = 0;

    uint32_t rows() const { return (static_cast<uint32_t>(heads.size()) + columns - 1) / columns; }
    ImVec2 at(size_t i) const {
        return {left + static_cast<float>(i % columns) * pitch, static_cast<float>(i / columns) * pitch};
    }
};

float metric(const Snapshot& s, HeadOrder order, HeadPlace at) {
    return s.attention.metrics(at.layer, at.head).*metric_text(order).value;
}

Layout lay_out(const AttentionPanel& state, const Snapshot& s, float width) {
    const uint32_t n_layers = s.attention.n_layers(), n_heads = s.attention.n_heads();
    Layout l;
    for (uint32_t layer = 0; layer < n_layers; ++layer)
        for (uint32_t head = 0; head < n_heads; ++head) l.heads.push_back({layer, head});
    l.frame = std::max(2.0f, std::round(em(0.15f)));
    const bool sorted = state.sorted && state.order != HeadOrder::position;
    l.left = sorted ? 0 : em(2);
    const float fit = (width - l.left) / static_cast<float>(n_heads) - 2 * l.frame;
    l.side = std::floor(std::clamp(fit, em(1), em(3)));
    l.pitch = l.side + 2 * l.frame;
    l.columns = sorted ? std::max(1u, static_cast<uint32_t>(width / l.pitch)) : n_heads;
    if (sorted)
        std::stable_sort(l.heads.begin(), l.heads.end(), [&](HeadPlace a, HeadPlace b) {
            const bool has_a = s.attention.metrics(a.layer, a.head).n_rows > 0,
                       has_b = s.attention.metrics(b.layer, b.head).n_rows > 0;
            if (has_a != has_b) return has_a;
            return metric(s, state.order, a) > metric(s, state.order, b);
        });
    return l;
}

/// A square picture, [side, side].
struct Square {
    uint32_t side = 1;
    std::vector<uint32_t> colors;
};

/// The thumbnail's first `used` x `used` squares, pooled to at most `most` a side. Rows that no survey has
/// read yet show the last one before that was. Colours by the square root, which shows weak ones beside
/// strong ones.
Square picture_of(const Thumbnail& t, uint32_t used, uint32_t most, uint32_t n_rows, const ColorMap& colors) {
    const uint32_t pooled = (used + most - 1) / most, each = t.n_keys / Thumbnail::size;
    const uint32_t side = (used + pooled - 1) / pooled;
    std::vector<float> values(size_t(side) * side, HeadMap::unread);
    uint32_t read = used;
    for (uint32_t r = 0; r < used && r * each < n_rows; ++r) {
        if (!std::isnan(t.p[size_t(r) * Thumbnail::size])) read = r;
        for (uint32_t c = 0; read < used && c <= read; ++c) {
            float& value = values[size_t(r / pooled) * side + c / pooled];
            value = stronger(value, t.p[size_t(read) * Thumbnail::size + c]);
        }
    }
    Square out{side, {}};
    for (const float p : values)
        out.colors.push_back(std::isnan(p)          ? theme().empty
                             : p == HeadMap::broken ? packed(theme().warning)
                                                    : colors.at(std::sqrt(p)));
    return out;
}

/// A canvas of the part of the grid that is in view.
struct Canvas {
    std::span<uint32_t> pixels;
    int width, height;
    void fill(int x0, int y0, int side, uint32_t color) const {
        for (int y = std::max(y0, 0); y < std::min(y0 + side, height); ++y)
            for (int x = std::max(x0, 0); x < std::min(x0 + side, width); ++x)
                pixels[size_t(y) * size_t(width) + size_t(x)] = color;
    }
    void square(int x0, int y0, int side, const Square& from) const {
        const auto source = [&](int i) { return size_t(i) * from.side / size_t(side); };
        for (int y = std::max(y0, 0); y < std::min(y0 + side, height); ++y)
            for (int x = std::max(x0, 0); x < std::min(x0 + side, width); ++x)
                pixels[size_t(y) * size_t(width) + size_t(x)] =
                    from.colors[source(y - y0) * from.side + source(x - x0)];
    }
};

void paint_grid(const AttentionPanel& state, const Snapshot& s, const Layout& l, ImVec2 scroll,
                Canvas canvas) {
    std::fill(canvas.pixels.begin(), canvas.pixels.end(), 0);
    const ColorMap& colors = color_maps()[size_t(state.color_map)];
    const auto n = static_cast<uint32_t>(s.sequence.size());
    float least = INFINITY, most = 0; // of the metric: frames tell heads apart, whatever its range
    if (state.order != HeadOrder::position)
        for (const HeadPlace& head : l.heads)
            if (s.attention.metrics(head.layer, head.head).n_rows) {
                least = std::min(least, metric(s, state.order, head));
                most = std::max(most, metric(s, state.order, head));
            }
    for (size_t i = 0; i < l.heads.size(); ++i) {
        const ImVec2 at{l.at(i).x - scroll.x, l.at(i).y - scroll.y};
        if (at.y + l.pitch < 0 || at.y > static_cast<float>(canvas.height)) continue;
        const HeadPlace head = l.heads[i];
        const int x = static_cast<int>(at.x), y = static_cast<int>(at.y), side = static_cast<int>(l.side),
                  frame = static_cast<int>(l.frame);
        if (state.order != HeadOrder::position && s.attention.metrics(head.layer, head.head).n_rows)
            canvas.fill(
                x, y, side + 2 * frame - 1,
                colors.at(most > least ? (metric(s, state.order, head) - least) / (most - least) : 0.5f));
        const Thumbnail& t = s.attention.thumbnail(head.layer, head.head);
        const uint32_t each = t.n_keys / Thumbnail::size;
        const uint32_t used = std::clamp((n + each - 1) / each, 1u, Thumbnail::size);
        canvas.square(x + frame, y + frame, side - 1,
                      picture_of(t, used, static_cast<uint32_t>(side), s.shown(), colors));
    }
}

void tell_head(const Snapshot& s, HeadPlace at) {
    const HeadMetrics& m = s.attention.metrics(at.layer, at.head);
    std::string words = text(tr("layer %u, head %u"), at.layer, at.head);
    if (m.n_rows == 0) words += std::string("\n") + tr("no row was read yet");
    for (int i = 1; i <= static_cast<int>(HeadOrder::induction) && m.n_rows; ++i) {
        const auto order = static_cast<HeadOrder>(i);
        words += std::string("\n") + tr(metric_text(order).name) + ": " + metric_value(order, m);
    }
    if (m.n_rows) words += "\n" + text(tr("mean over %llu rows"), static_cast<unsigned long long>(m.n_rows));
    ImGui::SetTooltip("%s", words.c_str());
}

/// An item a head, of those in view.
void head_items(AttentionPanel& state, const Snapshot& s, const Layout& l) {
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    ImDrawList* list = ImGui::GetWindowDrawList();
    for (size_t i = 0; i < l.heads.size(); ++i) {
        const HeadPlace head = l.heads[i];
        const ImVec2 at{corner.x + l.at(i).x, corner.y + l.at(i).y};
        const ImVec2 end{at.x + l.pitch - 1, at.y + l.pitch - 1};
        if (!ImGui::IsRectVisible(at, end)) continue;
        ImGui::SetCursorScreenPos(at);
        ImGui::PushID(static_cast<int>(size_t(head.layer) * s.attention.n_heads() + head.head));
        if (ImGui::InvisibleButton("head", {l.pitch - 1, l.pitch - 1}, ImGuiButtonFlags_EnableNav))
            state.layer = head.layer, state.head = head.head;
        mark("head " + std::to_string(head.layer) + " " + std::to_string(head.head));
        ImGui::PopID();
        const bool chosen = head.layer == state.layer && head.head == state.head;
        if (chosen || ImGui::IsItemHovered() || ImGui::IsItemFocused())
            list->AddRect(at, end, packed(theme().accent, chosen ? 1 : 0.6f), 0, 0, chosen ? l.frame : 1);
        if (ImGui::IsItemHovered()) tell_head(s, head);
        if (l.left > 0 && head.head == 0)
            list->AddText({corner.x, at.y + (l.pitch - em(1)) / 2}, packed(theme().muted),
                          std::to_string(head.layer).c_str());
    }
}

} // namespace

void draw_head_grid(AttentionPanel& state, const Snapshot& s) {
    if (!ImGui::BeginChild("heads", {0, 0}, ImGuiChildFlags_None, ImGuiWindowFlags_HorizontalScrollbar)) {
        ImGui::EndChild();
        return;
    }
    const ImVec2 room = ImGui::GetContentRegionAvail();
    const Layout l = lay_out(state, s, room.x);
    const ImVec2 corner = ImGui::GetCursorScreenPos(), scroll{ImGui::GetScrollX(), ImGui::GetScrollY()};
    const ImVec2 start{corner.x + scroll.x, corner.y + scroll.y};
    const int width = std::clamp(static_cast<int>(room.x), 1, 4096),
              height = std::clamp(static_cast<int>(room.y), 1, 4096);
    repaint(state.parts->grid, width, height,
            {double(s.attention.version()), double(s.shown()), double(s.sequence.size()), scroll.x, scroll.y,
             double(state.order), double(state.sorted), double(state.color_map), l.side, double(l.columns)},
            [&](std::span<uint32_t> pixels) {
                paint_grid(state, s, l, scroll, {pixels, width, height});
            });
    ImGui::GetWindowDrawList()->AddImage(
        state.parts->grid.picture->texture(), start,
        {start.x + static_cast<float>(width), start.y + static_cast<float>(height)});
    head_items(state, s, l);
    ImGui::SetCursorScreenPos(corner);
    ImGui::Dummy({l.left + static_cast<float>(l.columns) * l.pitch, static_cast<float>(l.rows()) * l.pitch});
    ImGui::EndChild();
}

} // namespace kvasir::ui
