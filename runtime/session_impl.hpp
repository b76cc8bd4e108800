#pragma once

#include "runtime/error.hpp"
#include "runtime/forward.hpp"
#include "runtime/session.hpp"
#include "runtime/state.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace kvasir {

/// Keys a probe's rows are recorded for, so that one recording serves many tokens.
inline constexpr uint32_t probe_key_step = 256;
/// Bytes of one layer's probed rows of a chunk: longer chunks are cut while a layer is watched.
inline constexpr uint64_t probe_bytes = 32 << 20;
/// A survey reads all layers' rows for this many tokens at the end of a prompt, or fewer where they are long.
inline constexpr uint32_t survey_tokens = 32;
/// Steps that may be submitted before the host has seen the token of the first: the device never waits for
/// the host.
inline constexpr uint32_t run_ahead = 2;

/// What makes one recording serve another step too.
struct StepKey {
    uint32_t n_tokens = 1, n_splits = 1;
    uint32_t probe_keys = 0; ///< 0: no probes
    bool all_logits = false, samples = false;
    int slot = -1;                  ///< of what a decode step leaves for the host; -1: nothing
    std::vector<uint32_t> layers{}; ///< whose attention is probed, in the order of the buffers
    auto operator<=>(const StepKey&) const = default;
};

/// Positions that a session's cache is made for.
uint32_t context_of(const ModelSpec& m, const SessionOptions& options);

/// What a session has and does inside: session.cpp is what it offers, session_steps.cpp how a step runs.
struct Session::Impl {
    Device& device;
    const Model& model;
    const SessionOptions options;
    const ModelSpec m;
    const uint32_t n_ctx;
    const Tuning tuning;
    KvCache cache;
    Scratch scratch;
    Rows all_logits{};

    std::map<StepKey, std::unique_ptr<Commands>> recordings{};
    std::unique_ptr<Commands> sample_only{};
    double submit_macs;

    struct Running {
        uint64_t value;
        Commands* commands;
        uint32_t n_keys;
        int slot;
        std::vector<uint32_t> layers; ///< probed
    };
    std::deque<Running> running{}; ///< decode steps in flight, the oldest yields the token after the sequence
    std::optional<SamplerOptions> sampler{}; ///< of the steps in flight
    std::optional<uint32_t> logits_pos{};    ///< the position whose logits are in scratch.logits

    std::vector<uint32_t> watched{};
    bool survey = false;
    uint32_t surveyed = 0; ///< the layer that a survey read last
    std::vector<Buffer>
        probs{}; ///< one for each layer that a prompt can probe; the first are the watched ones'
    /// What a decode step leaves for the host, which reads it while the next step runs.
    struct ReadBack {
        Buffer logits;            ///< [n_vocab]
        std::vector<Buffer> rows; ///< of each layer that a step probes
    };
    std::array<ReadBack, run_ahead> read_back{};
    uint32_t n_submitted = 0; ///< decode steps that left something: they take the slots in turn
    Profile profile{};
    double longest_submit = 0;

    Impl(Device& device_, const Model& model_, const SessionOptions& options_)
        : device(device_), model(model_), options(options_), m(options_.spec.value_or(model_.spec)),
          n_ctx(context_of(m, options_)), tuning(tuning_for(device_.traits())),
          cache(device_, m, options_.kv, n_ctx),
          scratch(make_scratch(device_, m, tuning, n_ctx, std::min(tuning.chunk, n_ctx))),
          submit_macs(tuning.submit_macs) {}

    ~Impl() {
        try {
            drop_running();
        } catch (const Error&) { // the device is lost: there is nothing left to wait for
        }
    }

    State& state() { return *reinterpret_cast<State*>(scratch.state.mapped().data()); }
    int32_t* ids() { return reinterpret_cast<int32_t*>(scratch.ids.mapped().data()); }
    uint32_t length() const { return cache.table.length(); }
    bool probing() const { return survey || !watched.empty(); }
    uint32_t probe_row_keys(uint32_t n_keys) const {
        return (n_keys + probe_key_step - 1) / probe_key_step * probe_key_step;
    }
    uint64_t probe_row_bytes() const { return uint64_t(m.n_heads) * probe_row_keys(n_ctx) * 4; }
    uint32_t chunk_size() const {
        const uint64_t most = std::min(tuning.chunk, n_ctx);
        if (!probing()) return static_cast<uint32_t>(most);
        return static_cast<uint32_t>(std::clamp<uint64_t>(probe_bytes / probe_row_bytes(), 1, most));
    }
    /// Tokens at the end of a prompt that a survey reads all layers for.
    uint32_t survey_size() const {
        if (!survey) return 0;
        const uint64_t n = 2 * probe_bytes / (m.n_layers * probe_row_bytes());
        return static_cast<uint32_t>(std::clamp<uint64_t>(n, 1, std::min(survey_tokens, chunk_size())));
    }
    std::vector<uint32_t> all_layers() const;
    std::vector<uint32_t> layers_of_next_token();
    Step step(Commands& commands, uint32_t n_tokens) {
        return {commands, tuning, scratch.state, scratch.none, n_tokens};
    }

    Commands& recorded(const StepKey& key);
    /// A chunk of a longer run of tokens: how many, and the layers probed.
    struct Chunk {
        uint32_t n;
        std::vector<uint32_t> layers;
    };
    Chunk next_chunk(uint32_t n_left, uint32_t most) const;
    std::vector<AttentionRows> run_chunk(std::span<const int32_t> ids_, const std::vector<uint32_t>& layers,
                                         bool with_logits);
    std::vector<AttentionRows> read_rows(const std::vector<Buffer>& from, const std::vector<uint32_t>& layers,
                                         uint32_t first, uint32_t n_queries) const;
    std::vector<float> read_logits(const Buffer& from) const;
    void finish(const Running& step_);
    void drop_running();
    void make_probe_buffers();
    void set_sampler(const SamplerOptions& options_);
    void submit_decode_steps(bool logits_wanted);
    int32_t sample_now(const SamplerOptions& options_);
    void check_ids(std::span<const int32_t> list) const;
};

} // namespace kvasir
