#include "runtime/numbers.hpp"
#include "ui/colors.hpp"
#include "ui/kv_numbers.hpp"
#include "ui/kv_parts.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvasir::ui {
namespace {

struct Share {
    const char* name;
    uint32_t pages;
    ImVec4 color;
};

void draw_pool(const PageTable::Statistics& s) {
    const uint32_t shared = std::min(s.shared, s.used);
    const Share shares[]{{tr("used"), s.used - shared, theme().accent},
                         {tr("shared"), shared, theme().good},
                         {tr("cached"), s.cached, theme().warning},
                         {tr("free"), s.free, theme().muted}};
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImVec2 size{std::max(ImGui::GetContentRegionAvail().x, em(4)), em(1)};
    ImGui::InvisibleButton("pool", size);
    mark("kv pool");
    ImGui::SetItemTooltip("%s",
                          tr("Used: by this text alone. Shared: other texts that are kept go on from "
                             "here. Cached: of texts that may come back; given up when room is needed."));
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, {at.x + size.x, at.y + size.y}, theme().empty);
    float x = at.x;
    for (const Share& share : shares) {
        const float w = s.pages ? size.x * static_cast<float>(share.pages) / static_cast<float>(s.pages) : 0;
        if (&share != &shares[3])
            list.AddRectFilled({x, at.y}, {x + w, at.y + size.y}, packed(share.color, 0.8f));
        x += w;
    }
    for (const Share& share : shares) {
        if (&share != shares) ImGui::SameLine(0, em(1));
        ImGui::TextColored(share.color, "%s %u", share.name, share.pages);
    }
    note(text(tr("%u pages of %u positions; %llu positions were taken over so far, %llu pages given up"),
              s.pages, PageTable::page_size, static_cast<unsigned long long>(s.reused),
              static_cast<unsigned long long>(s.evicted)));
}

/// A version of the table, to paint it only when it changed.
double sum_of(const std::vector<uint32_t>& table) {
    double sum = 0;
    for (size_t i = 0; i < table.size(); ++i) sum += (double(i) + 1) * table[i];
    return sum;
}

} // namespace

std::optional<uint32_t> draw_pages(KvPanel& state, const PositionAxis& axis, const Snapshot& snapshot) {
    ImGui::SeparatorText(tr("Pages"));
    draw_pool(snapshot.pages.statistics);
    if (axis.n == 0) {
        note(tr("The text's own pages appear here with its first token."));
        return {};
    }
    const auto& table = snapshot.pages.table;
    const auto released = static_cast<uint32_t>(std::count(table.begin(), table.end(), PageTable::unused));
    const auto hovered =
        strip("kv pages", axis, 1, em(0.8f), state.pages, {sum_of(table), double(table.size())}, snapshot,
              [&](int, uint32_t first, uint32_t last) {
                  const size_t page = first / PageTable::page_size;
                  if (page >= table.size()) return theme().empty;
                  if (table[page] == PageTable::unused) return packed(theme().bad, 0.5f);
                  const bool seam = (last - 1) / PageTable::page_size != page ||
                                    (first % PageTable::page_size == 0 && axis.n < 64 * 128);
                  return packed(theme().accent, seam ? 0.5f : 0.8f);
              });
    if (hovered && *hovered / PageTable::page_size < table.size()) {
        const uint32_t page = table[*hovered / PageTable::page_size];
        const std::string where = page == PageTable::unused
                                      ? std::string(tr("released: the window has passed it"))
                                      : text(tr("in page %u of the pool"), page);
        ImGui::SetTooltip("%s", text(tr("position %u, %s"), *hovered, where.c_str()).c_str());
    }
    if (released) note(text(tr("%u pages were released behind the window."), released));
    return hovered;
}

namespace {

/// The norms are asked for where they are of other text than is shown; once for each such state.
void ask_norms(KvPanel& state, const Snapshot& snapshot, Requests& requests) {
    const auto length = static_cast<uint32_t>(snapshot.sequence.size());
    if (length == 0) return;
    const auto apart = [&](uint32_t a, uint32_t b) { return a > b ? a - b : b - a; };
    const bool due = !state.asked || state.asked->layer != state.layer ||
                     state.asked->answer != snapshot.answer || apart(state.asked->length, length) >= 16 ||
                     (!snapshot.generating && state.asked->length != length);
    if (!due) return;
    state.asked = KvPanel::Asked{state.layer, length, snapshot.answer};
    requests.push_back(ReadNorms{state.layer});
}

struct Norms {
    float most = 0;
    uint32_t not_numbers = 0;
    double sum = 0; ///< tells one set from another
};

Norms look_at(const std::vector<float>& values) {
    Norms norms;
    for (const float value : values) {
        if (!std::isfinite(value)) {
            ++norms.not_numbers;
            continue;
        }
        norms.most = std::max(norms.most, value);
        norms.sum += value;
    }
    return norms;
}

std::optional<uint32_t> norm_strip(const char* id, const KvNorms& norms, const std::vector<float>& values,
                                   const PositionAxis& axis, Painted& painted, const Snapshot& snapshot) {
    const Norms n = look_at(values);
    const float row_height = std::clamp(em(5) / static_cast<float>(norms.n_kv_heads), em(0.12f), em(0.8f));
    const auto hovered = strip(id, axis, static_cast<int>(norms.n_kv_heads), row_height, painted,
                               {n.sum, double(n.most), double(norms.n_keys), double(n.not_numbers)}, snapshot,
                               [&](int head, uint32_t first, uint32_t last) {
                                   if (first >= norms.n_keys) return theme().empty;
                                   float most = 0;
                                   for (uint32_t i = first; i < std::min(last, norms.n_keys); ++i) {
                                       const float value = values[size_t(head) * norms.n_keys + i];
                                       if (!std::isfinite(value)) return packed(theme().bad);
                                       most = std::max(most, value);
                                   }
                                   if (most == 0) return theme().empty; // released behind a window
                                   return color_maps()[0].at(n.most > 0 ? most / n.most : 0);
                               });
    note(text(tr("%s: 0 to %.3g"), id + 3, double(n.most)));
    if (n.not_numbers)
        note(text(tr("%u norms are no numbers: the model computes wrongly here."), n.not_numbers),
             theme().bad);
    return hovered;
}

void tell_norms(const KvNorms& norms, uint32_t position) {
    if (position >= norms.n_keys) return;
    std::string words = text(tr("position %u"), position);
    for (uint32_t h = 0; h < std::min(norms.n_kv_heads, 16u); ++h) {
        const size_t at = size_t(h) * norms.n_keys + position;
        words += text(tr("\nKV head %u: |k| %.4g, |v| %.4g"), h, double(norms.k[at]), double(norms.v[at]));
    }
    ImGui::SetTooltip("%s", words.c_str());
}

} // namespace

std::optional<uint32_t> draw_norms(KvPanel& state, const PositionAxis& axis, const Snapshot& snapshot,
                                   Requests& requests) {
    ImGui::SeparatorText(tr("Norms of keys and values"));
    const uint32_t n_layers = snapshot.model->spec.n_layers;
    int layer = static_cast<int>(std::min(state.layer, n_layers - 1));
    label(tr("layer"));
    ImGui::SetNextItemWidth(em(10));
    ImGui::SliderInt("##layer", &layer, 0, static_cast<int>(n_layers) - 1, "%d",
                     ImGuiSliderFlags_AlwaysClamp);
    mark("kv layer");
    state.layer = static_cast<uint32_t>(layer);
    ask_norms(state, snapshot, requests);
    const auto found = snapshot.norms.find(state.layer);
    if (found == snapshot.norms.end()) {
        note(axis.n ? tr("The norms of this layer are being read.") : tr("There is no text yet."));
        return {};
    }
    const KvNorms& norms = found->second;
    const size_t n = size_t(norms.n_kv_heads) * norms.n_keys;
    if (n == 0 || norms.k.size() != n || norms.v.size() != n) {
        note(tr("There is no text yet."));
        return {};
    }
    auto hovered = norm_strip("kv |k|", norms, norms.k, axis, state.keys, snapshot);
    if (const auto over = norm_strip("kv |v|", norms, norms.v, axis, state.values, snapshot)) hovered = over;
    if (hovered) tell_norms(norms, *hovered);
    return hovered;
}

std::optional<uint32_t> draw_aging(KvPanel& state, const PositionAxis& axis, const Snapshot& snapshot) {
    ImGui::SeparatorText(tr("What recent tokens read"));
    const std::span<const float> reads = snapshot.attention.reads();
    if (reads.empty()) {
        note(tr("Watch a layer's attention, and see here which positions it still reads."));
        return {};
    }
    const Aging aging = aging_of(reads);
    const auto hovered =
        strip("kv reads", axis, 1, em(1.2f), state.reads,
              {double(snapshot.attention.version()), double(reads.size()), double(aging.mean)}, snapshot,
              [&](int, uint32_t first, uint32_t last) {
                  float most = -1;
                  for (uint32_t i = first; i < last && i < reads.size(); ++i) {
                      if (!std::isfinite(reads[i])) return packed(theme().bad);
                      most = std::max(most, reads[i]);
                  }
                  if (most < 0) return theme().empty;
                  // Four decades below the largest to the map's dark end: a sink would hide all else.
                  const float decades = aging.most > 0 && most > 0 ? std::log10(most / aging.most) : -4;
                  return color_maps()[2].at(1 + decades / 4);
              });
    const uint64_t bytes = aging.hardly_read * snapshot.model->spec.kv_bytes_per_token(snapshot.model->kv);
    note(text(tr("%u of %zu positions are hardly read (below a thousandth of the mean): %s of the cache"),
              aging.hardly_read, reads.size(), mebibytes(bytes).c_str()));
    if (aging.not_numbers)
        note(text(tr("%u values are no numbers: the model computes wrongly here."), aging.not_numbers),
             theme().bad);
    if (hovered && *hovered < reads.size())
        ImGui::SetTooltip("%s", text(tr("position %u: %.3g times the mean"), *hovered,
                                     aging.mean > 0 ? double(reads[*hovered] / aging.mean) : 0.0)
                                    .c_str());
    return hovered;
}

} // namespace kvasir::ui
