#pragma once

#include "runtime/candidates.hpp"
#include "runtime/gpu/device.hpp"
#include "runtime/model_spec.hpp"
#include "runtime/page_table.hpp"
#include "runtime/probe.hpp"
#include "runtime/profile.hpp"
#include "ui/request.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kvasir::ui {

/// A generated token and what it was chosen from.
struct TokenChoice {
    int32_t id = 0;
    float p = 1;                       ///< softmax of the logits, before the sampler
    float entropy = 0;                 ///< of the same, in nats
    std::vector<Candidate> candidates; ///< the likeliest, in order
    std::vector<std::string> labels;   ///< of each candidate
};

/// A model as it runs.
struct RunningModel {
    std::string path, name, description;
    ModelSpec spec;    ///< as it runs: with the edit of positions
    ModelSpec trained; ///< as the file has it
    PositionEdit edit;
    std::vector<float> slopes; ///< ALiBi's in use; empty: none
    DeviceInfo device;
    uint32_t n_ctx = 0;
    KvType kv = KvType::f16;
    uint64_t weight_bytes = 0, kv_bytes = 0;
    SamplerChoice sampler;            ///< what its makers advise
    std::vector<std::string> notices; ///< lines for the user: a template that cannot be used, ...
};

/// The cache's pages: those of the sequence in order, and the pool.
struct Pages {
    PageTable::Statistics statistics;
    std::vector<uint32_t>
        table; ///< physical page of each logical one of the sequence; PageTable::unused: released
};

// --- what the inference thread tells the window
// ---------------------------------------------------------------

struct Loading {
    std::string path;
    uint64_t done = 0, total = 0; ///< bytes
};
struct Loaded {
    RunningModel model;
};
struct SequenceBegun {
    uint64_t answer = 0;
    std::vector<int32_t> ids; ///< of the prompt
    std::vector<std::string> labels;
    uint32_t reused = 0; ///< positions that were in the cache
};
struct PromptProgressed {
    uint32_t done = 0, total = 0;
};
struct TokenMade {
    uint64_t answer = 0;
    uint32_t position = 0;
    std::string label; ///< the token's own text
    std::string text;  ///< what the answer grows by, whole characters
    TokenChoice choice;
};
struct AnswerEnded {
    uint64_t answer = 0;
    std::string text; ///< what was kept back
    std::string why;  ///< "end", "stop string", "context", "stopped", "error"
    uint32_t prompt_tokens = 0, reused = 0, tokens = 0;
    double prompt_seconds = 0, seconds = 0;
};
struct RowsRead {
    AttentionRows rows;
};
struct NormsRead {
    uint32_t layer = 0;
    KvNorms norms;
};
struct PagesChanged {
    Pages pages;
    DeviceMemory memory;
    uint32_t length = 0;
};
struct Timed {
    Profile profile;
    double seconds = 0;      ///< of wall clock it was taken over
    uint32_t n_tokens = 0;   ///< made or read meanwhile
    double copy_bytes_s = 0; ///< the device's copy bandwidth
    double submit_ms = 0;    ///< the longest submit so far
};
struct Compared {
    std::vector<std::string> trained, edited; ///< texts of the tokens, greedy from the same place
    std::vector<float> kl; ///< of each step of `edited`: KL(edited || trained) of the next token, in nats
};
struct Failed {
    std::string message;
    bool unloaded = false;              ///< no model runs any more
    bool lost = false;                  ///< because the device is gone
    std::optional<LoadModel> kept = {}; ///< what runs on, where something else was to be loaded
};

using Event = std::variant<Loading, Loaded, SequenceBegun, PromptProgressed, TokenMade, AnswerEnded, RowsRead,
                           NormsRead, PagesChanged, Timed, Compared, Failed>;

} // namespace kvasir::ui
