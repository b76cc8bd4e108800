#pragma once

#include "ui/heatmap.hpp"
#include "ui/snapshot.hpp"

#include <imgui.h>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace kvasir::ui {

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
    MapView view;
    bool busy = false; ///< work is left: draw another frame soon
    std::shared_ptr<AttentionParts> parts;
};

struct AlibiPanel {
    PositionEdit edit;
    std::optional<uint32_t> head;
    double scale_all = 1;
};

struct KvPanel {
    uint32_t layer = 0;
    KvType type = KvType::f16; ///< asked about
    int n_ctx = 0;
};

struct DevicePanel {
    bool by_layer = true;
};

/// Each draws the inside of its window and adds what the user asks for. A panel without anything to show says
/// what would fill it.
void draw_attention(AttentionPanel& state, const Snapshot& snapshot, Requests& requests);
void draw_alibi(AlibiPanel& state, const AttentionPanel& attention, const Snapshot& snapshot,
                Requests& requests);
void draw_kv(KvPanel& state, const Snapshot& snapshot, Requests& requests);
void draw_device(DevicePanel& state, const Snapshot& snapshot, Requests& requests);
/// The sequence as tokens, the selected one's candidates, and the scrubber.
void draw_inspector(const Snapshot& snapshot, Requests& requests);

} // namespace kvasir::ui
