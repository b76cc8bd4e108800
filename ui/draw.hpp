#pragma once

#include "ui/panels.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::ui {

// --- what panels are drawn with; every size is a multiple of the font's
// -------------------------------------------

/// n times the font's height, in pixels.
float em(float n);
/// As printf; of a translated pattern.
std::string text(const char* pattern, ...) IM_FMTARGS(1);
/// Text that wraps, in the muted colour: what a panel shows where it has nothing else.
void note(const std::string& words);
void note(const std::string& words, ImVec4 color);
uint32_t packed(ImVec4 color, float alpha = 1);
/// The colour behind text that a bar of this colour lies under.
uint32_t bar_color(ImVec4 color);

/// Whether a line may end between two pieces of text that follow each other: after a space or a hyphen and
/// beside characters of scripts without spaces, but not before what closes or after what opens. Source: The
/// Unicode Standard, Annex 14, rules LB7, LB13, LB14, LB18, LB21 and LB31, in short.
bool may_break(std::string_view before, std::string_view after);

/// The next item on this line where it fits, else on the next; gap: before it, in heights of the font.
void same_line_if_fits(float width, float gap = 0.5f);
/// The width of a button with this label.
float button_width(const char* label);

/// The name of the next item, before it, so that the item alone is what a mark names.
void label(const char* words);

/// A bar of a share of the width that is left, with words on it; an item that can be hovered.
void bar(double share, ImVec4 color, const std::string& words);

/// Which position of the sequence the mouse is over, told where a panel's drawing ends; nothing: over the
/// panel, but none of its positions.
void tell_hover(std::optional<uint32_t> position, const Snapshot& snapshot, Requests& requests);

/// Makes the picture anew where its size, the theme or the key has changed; paint fills width x height
/// pixels.
void repaint(Painted& painted, int width, int height, std::vector<double> key,
             const std::function<void(std::span<uint32_t>)>& paint);

/// Positions 0..n along the width that is left: strips one above the other share it.
struct PositionAxis {
    float x0 = 0, width = 0;
    uint32_t n = 0;

    explicit PositionAxis(uint32_t n_positions);
    float x(double position) const { return n ? x0 + width * static_cast<float>(position / n) : x0; }
    std::optional<uint32_t> at(float mouse_x) const;
    /// The positions that pixel column `column` of a picture of `columns` stands for: [first, last), not
    /// empty.
    std::pair<uint32_t, uint32_t> of_column(int column, int columns) const;
};

/// A picture of rows over positions: color(row, first, last) of each pixel column. Cursor lines mark the
/// hovered and the selected position; gives the position under the mouse.
std::optional<uint32_t> strip(const char* id, const PositionAxis& axis, int rows, float row_height,
                              Painted& painted, std::vector<double> key, const Snapshot& snapshot,
                              const std::function<uint32_t(int, uint32_t, uint32_t)>& color);

} // namespace kvasir::ui
