#pragma once

#include "ui/derived_map.hpp"
#include "ui/panels.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvasir::ui {

struct AttentionParts {
    Heatmap heatmap;
    Painted grid;
    DerivedMap shown;
    std::shared_ptr<const HeadMap> pinned;
    std::string pinned_name;
    std::optional<Watch> asked; ///< until the snapshot says that it is so
    /// The sequence that was computed again by itself, so that it happens once.
    struct Replayed {
        uint32_t layer = 0, head = 0, n = 0;
        uint64_t answer = 0;
        bool operator==(const Replayed&) const = default;
    };
    std::optional<Replayed> replayed;
};

/// Heads of a layer that share a key head with this one: [first, last).
struct HeadRange {
    uint32_t first = 0, last = 1;
};
HeadRange group_of(const ModelSpec& spec, uint32_t head);

/// A metric's name, its value of a head as words, and what it says: the tool-tip's text.
struct MetricText {
    const char *name, *meaning;
    float HeadMetrics::*value;
    const char* format; ///< of the value; shares are shown in percent
    bool share;
};
const MetricText& metric_text(HeadOrder order); ///< not of HeadOrder::position
std::string metric_value(HeadOrder order, const HeadMetrics& metrics);

/// Thumbnails of all heads; a click chooses one.
void draw_head_grid(AttentionPanel& state, const Snapshot& snapshot);

void draw_scale(AttentionPanel& state);
/// Colours, masking, average, difference.
void draw_map_options(AttentionPanel& state, const Snapshot& snapshot, const HeadMap* map);
/// Buttons that save the map as it is shown. `name` says what it is.
void draw_export(const AttentionPanel& state, const Snapshot& snapshot, const HeadMap* map,
                 const MapStyle& style, const std::string& name, Requests& requests);
/// What the choices ask for.
MapChoice map_choice(const AttentionPanel& state, const Snapshot& snapshot);
/// "layer 3 head 5", as file names and the pinned map have it.
std::string map_name(const AttentionPanel& state, const ModelSpec& spec);

} // namespace kvasir::ui
