#pragma once

#include "ui/panels.hpp"
#include "ui/position_numbers.hpp"

namespace kvasir::ui {

// The sections of draw_alibi().

/// The lines -slope * distance of all heads; a click chooses a head.
void draw_fan(AlibiPanel& state, std::span<const HeadSlope> slopes, uint32_t head, uint32_t length);
/// Heads by slope, with the distance at which their bias is -ln 1000; a click chooses one.
void draw_reach(AlibiPanel& state, std::span<const HeadSlope> slopes, uint32_t head, uint32_t length);
/// Score, content and bias of the head's last positions. Gives the position under the mouse.
std::optional<uint32_t> draw_scores(uint32_t layer, uint32_t head, float slope, const Snapshot& snapshot,
                                    Requests& requests);
/// RoPE: rotation by pair and distance, wavelengths, base and scaling.
void draw_rotation(AlibiPanel& state, const Snapshot& snapshot, Requests& requests);
/// The button that compares, and the two texts.
void draw_comparison(const Snapshot& snapshot, Requests& requests);

} // namespace kvasir::ui
