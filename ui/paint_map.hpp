#pragma once

#include "ui/colors.hpp"
#include "ui/head_map.hpp"

#include <cstdint>
#include <span>

namespace kvasir::ui {

/// linear: from 0 to the largest value. log: four decades below it. row: linear, each row by its own largest.
enum class ColorScale { linear, log, row };

/// How values become colours.
struct MapStyle {
    ColorScale scale = ColorScale::log;
    const ColorMap* colors = nullptr;
    bool difference = false; ///< values have signs: colors is a diverging map with 0 in its middle
    float most = 1;          ///< the magnitude at the scale's end (not for `row`)

    uint32_t color(float value, float row_most) const;
};

/// Which part of a map is painted, and what of it.
struct MapPart {
    double cell = 1;        ///< pixels a cell
    double x = 0, y = 0;    ///< key and query at the picture's corner, in cells
    uint32_t n = 0;         ///< positions of the sequence; nothing (0) is painted beyond
    uint32_t n_rows = 0;    ///< rows from here on stay empty
    uint32_t first_key = 0; ///< keys before stay empty

    bool operator==(const MapPart&) const = default;
};

/// Paints the part into pixels, [height, width]: cells of a pixel and more as squares, smaller ones by the
/// value of the largest magnitude in a pixel, so that no peak is lost. With ColorScale::row a pixel of
/// several rows is measured by the largest of them. Keys after the query and rows that were not read are
/// theme().empty, what is no number theme().warning. Costs as many steps as there are pixels, about.
void paint_map(std::span<uint32_t> pixels, int width, int height, const HeadMap& map, const MapPart& part,
               const MapStyle& style);

} // namespace kvasir::ui
