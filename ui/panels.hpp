#pragma once

#include "ui/snapshot.hpp"

#include <imgui.h>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace kvasir::ui {

/// A picture that the GPU draws from; ours to fill with RGBA bytes.
class Picture;

enum class ColorScale { linear, log, row };
enum class HeadOrder { position, entropy, sink, distance, previous, induction };
enum class Average { none, group, layer };

/// State of the attention panel: what is shown, not what is computed.
struct AttentionPanel {
    uint32_t layer = 0, head = 0;
    ColorScale scale = ColorScale::log;
    int color_map = 0;
    uint32_t masked_sinks = 0; ///< first keys left out, rows renormalised
    HeadOrder order = HeadOrder::position;
    Average average = Average::none;
    double zoom = 1, center_x = 0.5, center_y = 0.5; ///< 1: the whole sequence
    bool follow = true;                              ///< the newest rows, when zoomed in
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
