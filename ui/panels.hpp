#pragma once

#include "ui/heatmap.hpp"
#include "ui/snapshot.hpp"

#include <imgui.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kvasir::ui {

/// A picture that is painted again only when what it shows has changed.
struct Painted {
    std::shared_ptr<Picture> picture;
    std::vector<double> key; ///< what it was painted from
};

enum class HeadOrder { position, entropy, sink, distance, previous, induction };
enum class Average { none, group, layer };
/// What is taken away from the map that is shown.
enum class Difference { none, pinned, head };

/// What the attention panel has computed: pictures, averages.
struct AttentionParts;

/// State of the attention panel.
struct AttentionPanel {
    uint32_t layer = 0, head = 0;
    ColorScale scale = ColorScale::log;
    int color_map = 0;
    uint32_t masked_sinks = 0;             ///< first keys left out, rows renormalised
    HeadOrder order = HeadOrder::position; ///< the metric that colours the heads' frames
    bool sorted = true;                    ///< heads by that metric, not by layer
    bool grid = true;                      ///< all heads are shown, and surveyed
    Average average = Average::none;
    Difference difference = Difference::none;
    uint32_t other_head = 0; ///< Difference::head: of the same layer
    bool options = false;    ///< the controls beside the scale are shown
    MapView view;
    bool busy = false; ///< work is left: draw another frame soon
    std::shared_ptr<AttentionParts> parts;
};

struct AlibiPanel {
    PositionEdit edit;            ///< as asked for last
    PositionEdit rotation;        ///< RoPE as set in the panel, before it is asked for
    std::optional<uint32_t> head; ///< chosen here; nothing: the map's
    double scale_all = 1;
    std::string model;              ///< whose edit this is
    PositionEdit seen;              ///< the model's, as last taken over
    uint32_t map_head = UINT32_MAX; ///< the map's, as last seen
    Painted turns;
};

struct KvPanel {
    uint32_t layer = 0;
    KvType type = KvType::f16; ///< asked about
    int n_ctx = 0;             ///< 0: as it runs
    std::string model;         ///< whose type and n_ctx these are
    struct Asked {
        uint32_t layer = 0, length = 0;
        uint64_t answer = 0;
    };
    std::optional<Asked> asked; ///< norms
    Painted pages, keys, values, reads;
};

struct DevicePanel {
    bool by_layer = true;
};

/// Where the sequence's tokens stand, so that a long one is laid out once and drawn in part.
struct InspectorPanel {
    std::string model;
    float width = 0, font_size = 0;
    std::vector<int32_t> ids;      ///< laid out so far
    std::vector<uint32_t> lines;   ///< the first token of each line
    float line_end = 0;            ///< where the last line ends
    std::optional<uint32_t> shown; ///< token that was scrolled to last
};

/// Each draws the inside of its window and adds what the user asks for. A panel without anything to show says
/// what would fill it.
void draw_attention(AttentionPanel& state, const Snapshot& snapshot, Requests& requests);
void draw_alibi(AlibiPanel& state, const AttentionPanel& attention, const Snapshot& snapshot,
                Requests& requests);
void draw_kv(KvPanel& state, const Snapshot& snapshot, Requests& requests);
void draw_device(DevicePanel& state, const Snapshot& snapshot, Requests& requests);
/// The sequence as tokens, the selected one's candidates, and the scrubber.
void draw_inspector(InspectorPanel& state, const Snapshot& snapshot, Requests& requests);

} // namespace kvasir::ui
