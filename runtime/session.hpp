#pragma once

#include "runtime/kv_cache.hpp"
#include "runtime/model.hpp"
#include "runtime/probe.hpp"
#include "runtime/profile.hpp"
#include "runtime/sampler.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvasir {

struct SessionOptions {
    uint32_t n_ctx = 0; ///< positions of the cache; 0: the trained length, at most 4096
    KvType kv = KvType::f16;
    bool profile = false; ///< a timestamp around every dispatch
    /// Instead of the model's: another position coding (ALiBi, RoPE) for the same weights.
    std::optional<ModelSpec> spec = {};
};

/// One running model: its KV cache, its scratch memory and its recorded steps. Used from one thread; the
/// model it runs must outlive it. Throws Error where the device has too little memory for n_ctx, naming both
/// sizes.
class Session {
  public:
    Session(Device& device, const Model& model, const SessionOptions& options);
    ~Session();

    uint32_t n_ctx() const;
    uint32_t length() const; ///< positions in the cache now

    /// done and total in tokens; returning false stops before the next chunk.
    using PromptProgress = std::function<bool(uint32_t done, uint32_t total)>;

    /// Makes ids the sequence. Pages of any earlier sequence with the same prefix are taken over; the rest is
    /// computed in chunks. Returns the number of positions that were reused. Throws Error where ids is empty
    /// or longer than n_ctx. Stopped by progress, the sequence is what was done.
    uint32_t prompt(std::span<const int32_t> ids, const PromptProgress& progress = {});

    /// The next token after the sequence, chosen on the device. It belongs to the sequence at once (its keys
    /// and values are computed by the following step, which already runs). Nothing where the context is full.
    std::optional<int32_t> next(const SamplerOptions& sampler);

    /// Forgets the tokens from position n on (a step that runs ahead included).
    void rewind(uint32_t n);

    /// Ids of the sequence, prompt and generated.
    std::vector<int32_t> ids() const;

    /// Logits [n_vocab] after the last token of the sequence.
    std::vector<float> logits();

    /// Appends ids and gives the logits after each: sink(i, row [n_vocab]) in order. In chunks of `chunk`
    /// tokens (0: as prompt() does).
    void evaluate(std::span<const int32_t> ids,
                  const std::function<void(uint32_t, std::span<const float>)>& sink, uint32_t chunk = 0);

    /// Attention rows to read from now on: of each of these layers, all heads. survey: also of one other
    /// layer in turn for each generated token, and of all layers for the last tokens of a prompt. They do not
    /// change any result.
    void watch(std::vector<uint32_t> layers, bool survey = false);

    /// Called after each chunk or step, for each watched layer.
    std::function<void(AttentionRows&&)> on_attention;

    /// Called for each token that next() chose, with the logits [n_vocab] it was chosen from.
    std::function<void(std::span<const float>)> on_logits;

    /// Replaces ALiBi's slopes [n_heads] for all that is computed from now on. Throws Error where the
    /// session's positions have no ALiBi.
    void set_slopes(std::span<const float> slopes);

    /// |k| and |v| of layer `layer`, each [n_kv_heads, length].
    KvNorms kv_norms(uint32_t layer);

    uint64_t kv_bytes() const; ///< of the cache as allocated
    const PageTable& pages() const;
    const ModelSpec& spec() const; ///< as it runs
    double longest_submit() const; ///< seconds that one submit kept the device so far, as prompts measure it

    /// Times of every operation since the last call (empty without SessionOptions::profile).
    Profile take_profile();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace kvasir
