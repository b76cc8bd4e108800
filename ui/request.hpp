#pragma once

#include "runtime/sampler.hpp"
#include "runtime/session.hpp"
#include "runtime/text/turn.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kvasir::ui {

/// What a model's positions are changed to, beside what it was trained with.
struct PositionEdit {
    /// ALiBi's slope of each head; empty: the model's own (none where it has no ALiBi).
    std::vector<float> slopes;
    double rope_base = 0; ///< 0: the model's own
    std::optional<RopeScaling> rope_scaling;
    double rope_factor = 1; ///< with rope_scaling

    bool operator==(const PositionEdit&) const = default;
};

// --- what the window asks of the inference thread
// -------------------------------------------------------------

/// Loads a model on a device; the one that runs goes first. Empty: as it is now.
struct LoadModel {
    std::string path, device;
    uint32_t n_ctx = 0; ///< 0: the trained length, at most 4096
    KvType kv = KvType::f16;
};

/// Answers a conversation.
struct Answer {
    uint64_t answer = 0; ///< names the answer in what comes back
    std::vector<Turn> turns;
    /// What the answer begins with: ids of an earlier one, up to a token chosen instead.
    std::vector<int32_t> begin;
    SamplerOptions sampler;
    bool paused = false; ///< one token for each StepToken
};
struct Stop {};      ///< ends the answer that runs
struct StepToken {}; ///< one token of a paused answer
struct Resume {};    ///< the rest of a paused answer
struct Pause {};

/// Reads attention rows of `layer` for every token and, where `survey` is set, of one other layer in turn.
struct Watch {
    std::optional<uint32_t> layer;
    bool survey = false;
    uint32_t head = 0; ///< of the layer, which is looked at: AttentionView::focus

    bool operator==(const Watch&) const = default;
};
/// Computes the sequence again, for the rows of a layer that was not watched when it was made.
struct Replay {};
/// Asks for |k| and |v| of a layer.
struct ReadNorms {
    uint32_t layer = 0;
};
/// Changes the position coding. Slopes change the token that comes next; RoPE begins the sequence anew.
struct EditPositions {
    PositionEdit edit;
};
/// Continues the sequence greedily for n tokens, with the model as it was trained and with the edit.
struct ComparePositions {
    uint32_t n = 48;
};
/// Times every operation from now on, or no longer.
struct TimeOperations {
    bool on = false;
};

// --- what the window asks of itself
// ---------------------------------------------------------------------------

struct ShowToken {
    uint32_t position = 0; ///< in the sequence: the inspector, the map and the chat show it
};
/// The mouse is over this position in a panel, in this frame; without one it is over none.
struct Hover {
    std::optional<uint32_t> position; ///< nothing: over the panel, but none of its positions
};
struct TravelTo {
    std::optional<uint32_t> length; ///< the sequence as it was at this length; nothing: live again
};
struct BranchHere {
    uint32_t position = 0; ///< of an answer's token
    int32_t id = 0;        ///< written there instead
};
struct SaveFile {
    std::string name, bytes; ///< proposed file name, contents
};
struct Tell {
    std::string text; ///< a line for the user
};

using Request =
    std::variant<LoadModel, Answer, Stop, StepToken, Resume, Pause, Watch, Replay, ReadNorms, EditPositions,
                 ComparePositions, TimeOperations, ShowToken, Hover, TravelTo, BranchHere, SaveFile, Tell>;
using Requests = std::vector<Request>;

} // namespace kvasir::ui
