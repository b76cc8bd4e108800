#pragma once

#include "ui/paint_map.hpp"
#include "ui/picture.hpp"

#include <imgui.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace kvasir::ui {

/// Which part of a map is looked at.
struct MapView {
    double span = 0;     ///< cells across the shorter side of the picture; 0: the whole sequence
    double x = 0, y = 0; ///< key and query at the upper left corner, in cells; clamped when it is drawn
    bool follow = true;  ///< an edge of the view that is at the sequence's end stays there as it grows
    uint32_t seen = 0;   ///< length of the sequence when it was last drawn
};

struct MapCell {
    uint32_t query = 0, key = 0;
    bool operator==(const MapCell&) const = default;
};

/// What a Heatmap draws.
struct HeatmapInput {
    const HeadMap* map = nullptr; ///< nullptr: only axes
    MapStyle style;
    uint32_t n = 0;         ///< positions of the sequence, >= 1
    uint32_t n_rows = 0;    ///< rows from here on are not there yet
    uint32_t first_key = 0; ///< keys before are left out
    std::function<std::string(uint32_t)> label;
    std::optional<uint32_t> hovered, selected; ///< positions drawn as lines, as query and as key
    double reach = 0; ///< a line through the cells whose key lies so far back; 0: none
};

struct HeatmapOutput {
    std::optional<MapCell> hovered; ///< also above the diagonal
    bool clicked = false;           ///< on `hovered`
};

/// A map with its axes: tokens along both where they have room, else positions. Wheel, + and - zoom about the
/// mouse, dragging and arrows move, Home or a double click shows the whole, End the newest rows.
class Heatmap {
  public:
    /// Draws an item of that size; `name` is its mark, and its plot's without the axes is `name` + " cells".
    HeatmapOutput draw(const char* name, ImVec2 size, MapView& view, const HeatmapInput& input);

  private:
    struct Shown { ///< what the picture shows
        const HeadMap* map = nullptr;
        uint64_t version = 0;
        MapPart part;
        int width = 0, height = 0;
        ColorScale scale = ColorScale::log;
        const ColorMap* colors = nullptr;
        float most = 0;
        bool dark = true;
        bool operator==(const Shown&) const = default;
    };

    void paint(const HeatmapInput& input, const MapPart& part, int width, int height);

    Picture picture_;
    Shown shown_;
    float dragged_ = 0;
};

} // namespace kvasir::ui
