#include "runtime/session.hpp"

#include "runtime/error.hpp"
#include "runtime/forward.hpp"
#include "runtime/needs.hpp"
#include "runtime/state.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <utility>

namespace kvasir {
namespace {

/// Steps that may be submitted before the host has seen the token of the first: the device never waits for
/// the host.
constexpr size_t run_ahead = 2;
/// Keys a probe's rows are recorded for, so that one recording serves many tokens.
constexpr uint32_t probe_key_step = 256;
/// Bytes of one layer's probed rows of a chunk: longer chunks are cut while a layer is watched.
constexpr uint64_t probe_bytes = 32 << 20;
/// The longest that one submit should keep the device, in seconds.
constexpr double submit_seconds = 0.05;

uint32_t context_of(const ModelSpec& m, const SessionOptions& options) {
    const uint32_t n_ctx = options.n_ctx ? options.n_ctx : default_context(m);
    // Learned positions end with their table; RoPE and ALiBi go on beyond what the model was trained for.
    if (m.learned_positions && n_ctx > m.n_ctx)
        throw Error("a context of " + std::to_string(n_ctx) + " tokens",
                    "the model has learned positions for " + std::to_string(m.n_ctx),
                    "--context " + std::to_string(m.n_ctx));
    return n_ctx;
}

/// What makes one recording serve another step too.
struct StepKey {
    uint32_t n_tokens = 1, n_splits = 1;
    uint32_t probe_keys = 0; ///< 0: no probes
    bool all_logits = false, samples = false;
    auto operator<=>(const StepKey&) const = default;
};

} // namespace

struct Session::Impl {
    Device& device;
    const Model& model;
    const ModelSpec& m;
    const SessionOptions options;
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
    };
    std::deque<Running> running{}; ///< decode steps in flight, the oldest yields the token after the sequence
    std::optional<SamplerOptions> sampler{}; ///< of the steps in flight
    std::optional<uint32_t> logits_pos{};    ///< the position whose logits are in scratch.logits

    std::vector<uint32_t> watched{};
    std::vector<Buffer> probs{}; ///< a buffer a watched layer
    const std::function<void(const AttentionRows&)>* listener = nullptr;
    Profile profile{};

    Impl(Device& device_, const Model& model_, const SessionOptions& options_)
        : device(device_), model(model_), m(model_.spec), options(options_), n_ctx(context_of(m, options_)),
          tuning(tuning_for(device_.traits())), cache(device_, m, options_.kv, n_ctx),
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
    uint32_t probe_row_keys(uint32_t n_keys) const {
        return watched.empty() ? 0 : (n_keys + probe_key_step - 1) / probe_key_step * probe_key_step;
    }
    uint32_t chunk_size() const {
        const uint64_t most = std::min(tuning.chunk, n_ctx);
        if (watched.empty()) return static_cast<uint32_t>(most);
        const uint64_t row = uint64_t(m.n_heads) * probe_row_keys(n_ctx) * 4;
        return static_cast<uint32_t>(std::clamp<uint64_t>(probe_bytes / row, 1, most));
    }
    Step step(Commands& commands, uint32_t n_tokens) {
        return {commands, tuning, scratch.state, scratch.none, n_tokens};
    }

    Commands& recorded(const StepKey& key);
    void run_chunk(std::span<const int32_t> chunk, bool with_logits);
    void publish_rows(uint32_t first, uint32_t n_queries);
    void finish(const Running& step_);
    void drop_running();
    void set_sampler(const SamplerOptions& options_);
    void submit_decode_steps();
    int32_t sample_now(const SamplerOptions& options_);
    void check_ids(std::span<const int32_t> list) const;
};

Commands& Session::Impl::recorded(const StepKey& key) {
    if (const auto known = recordings.find(key); known != recordings.end()) return *known->second;
    if (recordings.size() >= 64 && running.empty()) recordings.clear(); // prompts of many lengths
    auto commands = std::make_unique<Commands>(device, options.profile, submit_macs);
    const Step s = step(*commands, key.n_tokens);
    std::vector<ProbeRequest> probes;
    if (key.probe_keys)
        for (size_t i = 0; i < watched.size(); ++i) probes.push_back({watched[i], &probs[i], key.probe_keys});
    forward(s, m, model.weights, scratch, cache,
            {key.n_splits, probes, key.all_logits ? &all_logits : nullptr});
    if (key.samples) ops::sample(s, scratch.logits, scratch.penalised, scratch.ids);
    commands->end();
    return *(recordings[key] = std::move(commands));
}

/// Computes a chunk of the sequence; its ids are appended. Nothing is in flight before or after.
void Session::Impl::run_chunk(std::span<const int32_t> chunk, bool with_logits) {
    const uint32_t first = length(), n = static_cast<uint32_t>(chunk.size());
    cache.table.append(chunk);
    cache.upload_table();
    std::copy(chunk.begin(), chunk.end(), ids() + first);
    state().pos = first;
    Commands& commands = recorded({n, n == 1 ? attention_splits(tuning, std::bit_ceil(first + n)) : 1,
                                   probe_row_keys(first + n), with_logits, false});
    const auto start = std::chrono::steady_clock::now();
    device.wait(commands.submit());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    submit_macs = std::max(1e6, commands.macs() / seconds * submit_seconds);
    commands.read_times(profile, first + n);
    logits_pos = first + n - 1;
    publish_rows(first, n);
}

/// Hands the watched layers' rows of positions [first, first + n_queries) to the listener.
void Session::Impl::publish_rows(uint32_t first, uint32_t n_queries) {
    const uint32_t n_keys = first + n_queries, stride = probe_row_keys(n_keys);
    for (size_t i = 0; i < watched.size(); ++i) {
        const uint64_t n_rows = uint64_t(n_queries) * m.n_heads;
        const auto bytes = probs[i].download(0, n_rows * stride * 4);
        AttentionRows rows{watched[i], first,  n_queries,
                           m.n_heads,  n_keys, std::vector<float>(n_rows * n_keys)};
        for (uint64_t r = 0; r < n_rows; ++r)
            std::memcpy(&rows.p[r * n_keys], bytes.data() + r * stride * 4, n_keys * 4);
        if (listener && *listener) (*listener)(rows);
    }
}

void Session::Impl::finish(const Running& step_) {
    device.wait(step_.value);
    step_.commands->read_times(profile, step_.n_keys);
}

/// Waits for the steps that run ahead; what they computed beyond the sequence is forgotten.
void Session::Impl::drop_running() {
    while (!running.empty()) {
        const Running step_ = running.front();
        running.pop_front();
        finish(step_);
        logits_pos = state().pos - 1;
    }
}

void Session::Impl::set_sampler(const SamplerOptions& o) {
    sampler = o;
    State& s = state();
    s.seed = o.seed;
    s.temperature = o.temperature;
    s.top_k = o.top_k;
    s.top_p = o.top_p;
    s.min_p = o.min_p;
    s.repeat_penalty = o.repeat_penalty;
}

/// Keeps the device busy: the step of the sequence's last token, and those that the device feeds itself.
void Session::Impl::submit_decode_steps() {
    // A probe's rows and a profile's times are read before the next step replaces them.
    const size_t most = watched.empty() && !options.profile ? run_ahead : 1;
    const auto ahead = static_cast<uint32_t>(std::min<size_t>(most - 1, n_ctx - length()));
    cache.table.reserve(ahead);
    cache.upload_table();
    while (running.size() < ahead + 1) {
        const auto n_keys = length() + static_cast<uint32_t>(running.size());
        Commands& commands = recorded(
            {1, attention_splits(tuning, std::bit_ceil(n_keys)), probe_row_keys(n_keys), false, true});
        running.push_back({commands.submit(), &commands, n_keys});
    }
}

/// The token after the sequence with nothing in flight: from its last token's logits, computed again if they
/// are gone.
int32_t Session::Impl::sample_now(const SamplerOptions& o) {
    set_sampler(o);
    const uint32_t last = length() - 1;
    state().pos = last;
    if (logits_pos == last) {
        if (!sample_only) {
            sample_only = std::make_unique<Commands>(device, options.profile);
            ops::sample(step(*sample_only, 1), scratch.logits, scratch.penalised, scratch.ids);
            sample_only->end();
        }
        device.wait(sample_only->submit());
        sample_only->read_times(profile, 0);
    } else {
        Commands& commands = recorded({1, attention_splits(tuning, std::bit_ceil(last + 1)), 0, false, true});
        device.wait(commands.submit());
        commands.read_times(profile, last + 1);
        logits_pos = last;
    }
    return ids()[last + 1];
}

void Session::Impl::check_ids(std::span<const int32_t> list) const {
    for (const int32_t id : list)
        if (id < 0 || static_cast<uint32_t>(id) >= m.n_vocab)
            throw Error("token id " + std::to_string(id),
                        "the model has ids 0 to " + std::to_string(m.n_vocab - 1),
                        "ids of this model's own vocabulary");
}

Session::Session(Device& device, const Model& model, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(device, model, options)) {
    impl_->listener = &on_attention;
}

Session::~Session() = default;

uint32_t Session::n_ctx() const {
    return impl_->n_ctx;
}
uint32_t Session::length() const {
    return impl_->length();
}

uint32_t Session::prompt(std::span<const int32_t> ids, const PromptProgress& progress) {
    Impl& s = *impl_;
    s.check_ids(ids);
    s.drop_running();
    const uint32_t reused = s.cache.table.open(ids);
    std::copy_n(ids.begin(), reused, s.ids()); // pages of another sequence may have been taken over
    s.logits_pos.reset();
    const auto total = static_cast<uint32_t>(ids.size());
    for (uint32_t done = reused; done < total;) {
        if (progress && !progress(done, total)) return reused;
        const uint32_t n = std::min(s.chunk_size(), total - done);
        s.run_chunk(ids.subspan(done, n), false);
        done += n;
    }
    if (progress) progress(total, total);
    return reused;
}

std::optional<int32_t> Session::next(const SamplerOptions& sampler) {
    Impl& s = *impl_;
    if (s.length() == 0)
        throw Error("the next token", "the sequence is empty", "a prompt of at least one token");
    if (s.length() >= s.n_ctx) return {};
    int32_t token;
    if (!s.running.empty() && s.sampler == sampler) {
        const Impl::Running step = s.running.front();
        s.running.pop_front();
        s.finish(step);
        s.logits_pos = s.length() - 1;
        token = s.ids()[s.length()];
        if (!s.watched.empty()) s.publish_rows(s.length() - 1, 1);
    } else {
        s.drop_running();
        token = s.sample_now(sampler);
    }
    s.cache.table.append(std::span(&token, 1));
    const uint32_t window = s.m.longest_window();
    if (window && s.length() > window + PageTable::page_size)
        s.cache.table.release_before(s.length() - window - PageTable::page_size);
    s.submit_decode_steps();
    return token;
}

void Session::rewind(uint32_t n) {
    Impl& s = *impl_;
    s.drop_running();
    if (n >= s.length()) return;
    const std::vector<int32_t> kept(s.cache.table.ids().begin(), s.cache.table.ids().begin() + n);
    if (n == 0)
        s.cache.table.rewind(0);
    else
        prompt(kept);
}

std::vector<int32_t> Session::ids() const {
    const auto ids = impl_->cache.table.ids();
    return {ids.begin(), ids.end()};
}

std::vector<float> Session::logits() {
    Impl& s = *impl_;
    if (s.length() == 0) throw Error("the logits", "the sequence is empty", "a prompt of at least one token");
    s.drop_running();
    if (s.logits_pos != s.length() - 1) s.sample_now(s.sampler.value_or(SamplerOptions{}));
    const auto bytes = s.scratch.logits.buffer.download(0, uint64_t(s.m.n_vocab) * 4);
    std::vector<float> logits(s.m.n_vocab);
    std::memcpy(logits.data(), bytes.data(), bytes.size());
    return logits;
}

void Session::evaluate(std::span<const int32_t> ids,
                       const std::function<void(uint32_t, std::span<const float>)>& sink, uint32_t chunk) {
    Impl& s = *impl_;
    s.check_ids(ids);
    s.drop_running();
    const uint32_t most = std::min(chunk ? chunk : s.chunk_size(), s.chunk_size());
    if (!s.all_logits.width)
        s.all_logits = make_rows(s.device, s.chunk_size(), s.m.n_vocab, "logits of a chunk");
    for (uint32_t done = 0; done < ids.size();) {
        const uint32_t n = std::min(most, static_cast<uint32_t>(ids.size()) - done);
        s.run_chunk(ids.subspan(done, n), true);
        const auto bytes = s.all_logits.buffer.download(0, uint64_t(n) * s.all_logits.stride * 4);
        const auto* rows = reinterpret_cast<const float*>(bytes.data());
        for (uint32_t i = 0; i < n; ++i)
            sink(done + i, {rows + uint64_t(i) * s.all_logits.stride, s.m.n_vocab});
        done += n;
    }
}

void Session::watch(std::vector<uint32_t> layers) {
    Impl& s = *impl_;
    for (const uint32_t layer : layers)
        if (layer >= s.m.n_layers)
            throw Error("attention of layer " + std::to_string(layer),
                        "the model has layers 0 to " + std::to_string(s.m.n_layers - 1), "one of these");
    s.drop_running();
    s.recordings.clear(); // they write to the buffers of the layers watched so far
    s.watched = std::move(layers);
    s.probs.clear();
    const uint64_t row = uint64_t(s.m.n_heads) * s.probe_row_keys(s.n_ctx) * 4;
    for (const uint32_t layer : s.watched)
        s.probs.emplace_back(s.device, s.chunk_size() * row, Memory::host,
                             "attention rows of layer " + std::to_string(layer));
}

KvNorms Session::kv_norms(uint32_t layer) {
    Impl& s = *impl_;
    if (layer >= s.m.n_layers)
        throw Error("the cache of layer " + std::to_string(layer),
                    "the model has layers 0 to " + std::to_string(s.m.n_layers - 1), "one of these");
    const uint32_t n_keys = s.length(), n = s.m.n_kv_heads * n_keys;
    if (n == 0) return {s.m.n_kv_heads, 0, {}, {}};
    const Buffer norms(s.device, uint64_t(n) * 8, Memory::host, "KV norms");
    Commands commands(s.device, false);
    ops::kv_norms(s.step(commands, 1), norms, s.cache, layer, s.m, n_keys);
    commands.end();
    s.device.wait(commands.submit());
    const auto* values = reinterpret_cast<const float*>(norms.mapped().data());
    return {s.m.n_kv_heads, n_keys, {values, values + n}, {values + n, values + 2 * n}};
}

uint64_t Session::kv_bytes() const {
    return impl_->cache.bytes();
}

Profile Session::take_profile() {
    impl_->drop_running();
    return std::exchange(impl_->profile, {});
}

} // namespace kvasir
