#pragma once

#include "ui/attention_view.hpp"
#include "ui/event.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kvasir::ui {

/// A position of the sequence.
struct SequenceToken {
    int32_t id = 0;
    std::string label; ///< the token's own text
    bool generated = false;
    TokenChoice choice; ///< of a generated one
};

/// What the window knows, gathered from the inference thread's events. Panels read it and change nothing.
struct Snapshot {
    std::vector<DeviceInfo> devices;
    std::optional<RunningModel> model;
    std::optional<Loading> loading;
    std::optional<PromptProgressed> prompt;

    std::vector<SequenceToken> sequence;
    std::optional<uint32_t> travel; ///< a length of the sequence in the past, which is shown
    uint32_t shown() const {
        const auto n = static_cast<uint32_t>(sequence.size());
        return travel ? std::min(*travel, n) : n;
    }
    std::optional<uint32_t> hovered;  ///< position under the mouse, in whichever panel
    std::optional<uint32_t> selected; ///< position that was clicked

    bool generating = false, paused = false;
    uint64_t answer = 0; ///< the one that runs or ran last
    double tokens_per_second = 0, prompt_tokens_per_second = 0;

    AttentionView attention;
    Watch watch;
    Pages pages;
    DeviceMemory memory;
    std::map<uint32_t, KvNorms> norms; ///< by layer, as last read
    std::optional<Timed> times;
    bool timing = false;
    double probe_share = 0; ///< of the device's time
    double frame_ms = 0;    ///< of the window's last frames
    std::optional<Compared> compared;
};

} // namespace kvasir::ui
