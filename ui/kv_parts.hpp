#pragma once

#include "ui/draw.hpp"

namespace kvasir::ui {

// The sections of draw_kv().

/// The pool's pages as one bar, the sequence's as a strip. Each strip gives the position under the mouse.
std::optional<uint32_t> draw_pages(KvPanel& state, const PositionAxis& axis, const Snapshot& snapshot);
/// |k| and |v| of a layer by position, a row for each KV head.
std::optional<uint32_t> draw_norms(KvPanel& state, const PositionAxis& axis, const Snapshot& snapshot,
                                   Requests& requests);
/// How much each position is read by recent queries.
std::optional<uint32_t> draw_aging(KvPanel& state, const PositionAxis& axis, const Snapshot& snapshot);

} // namespace kvasir::ui
