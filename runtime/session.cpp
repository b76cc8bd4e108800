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
/// A survey reads all layers' rows for this many tokens at the end of a prompt, or fewer where they are long.
constexpr uint32_t survey_tokens = 32;
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
    std::vector<uint32_t> layers{}; ///< whose attention is probed, in the order of the buffers
    auto operator<=>(const StepKey&) const = default;
};

} // namespace

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
        std::vector<uint32_t> layers; ///< probed
    };
    std::deque<Running> running{}; ///< decode steps in flight, the oldest yields the token after the sequence
    std::optional<SamplerOptions> sampler{}; ///< of the steps in flight
    std::optional<uint32_t> logits_pos{};    ///< the position whose logits are in scratch.logits

    std::vector<uint32_t> watched{};
    bool survey = false;
    uint32_t surveyed = 0; ///< the layer that a survey read last
    std::vector<Buffer>
        probs{}; ///< one for each layer that a step can probe; the first are the watched ones'
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
    std::vector<AttentionRows> read_rows(const std::vector<uint32_t>& layers, uint32_t first,
                                         uint32_t n_queries) const;
    std::vector<float> read_logits() const;
    void finish(const Running& step_);
    void drop_running();
    void set_sampler(const SamplerOptions& options_);
    void submit_decode_steps(bool read_back);
    int32_t sample_now(const SamplerOptions& options_);
    void check_ids(std::span<const int32_t> list) const;
};

Commands& Session::Impl::recorded(const StepKey& key) {
    if (const auto known = recordings.find(key); known != recordings.end()) return *known->second;
    if (recordings.size() >= 256 && running.empty()) recordings.clear(); // prompts of many lengths
    auto commands = std::make_unique<Commands>(device, options.profile, submit_macs);
    const Step s = step(*commands, key.n_tokens);
    std::vector<ProbeRequest> probes;
    for (size_t i = 0; i < key.layers.size(); ++i)
        probes.push_back({key.layers[i], &probs[i], key.probe_keys});
    forward(s, m, model.weights, scratch, cache,
            {key.n_splits, probes, key.all_logits ? &all_logits : nullptr});
    if (key.samples) ops::sample(s, scratch.logits, scratch.penalised, scratch.ids);
    commands->end();
    return *(recordings[key] = std::move(commands));
}

/// The watched layers and, after them, all others.
std::vector<uint32_t> Session::Impl::all_layers() const {
    std::vector<uint32_t> layers = watched;
    for (uint32_t layer = 0; layer < m.n_layers; ++layer)
        if (std::find(watched.begin(), watched.end(), layer) == watched.end()) layers.push_back(layer);
    return layers;
}

/// The watched layers and, in a survey, the next of the others.
std::vector<uint32_t> Session::Impl::layers_of_next_token() {
    std::vector<uint32_t> layers = watched;
    for (uint32_t i = 1; survey && i <= m.n_layers && layers.size() == watched.size(); ++i) {
        const uint32_t layer = (surveyed + i) % m.n_layers;
        if (std::find(watched.begin(), watched.end(), layer) == watched.end())
            layers.push_back(surveyed = layer);
    }
    return layers;
}

Session::Impl::Chunk Session::Impl::next_chunk(uint32_t n_left, uint32_t most) const {
    const uint32_t tail = survey_size(), n = std::min(most, n_left);
    if (n_left <= tail && n == n_left) return {n, all_layers()};
    if (tail && n_left > tail && n_left - n < tail) return {n_left - tail, watched};
    return {n, watched};
}

/// Computes a chunk of the sequence; its ids are appended. Nothing is in flight before or after. Gives the
/// probed layers' rows.
std::vector<AttentionRows> Session::Impl::run_chunk(std::span<const int32_t> chunk,
                                                    const std::vector<uint32_t>& layers, bool with_logits) {
    const uint32_t first = length(), n = static_cast<uint32_t>(chunk.size());
    cache.table.append(chunk);
    cache.upload_table();
    std::copy(chunk.begin(), chunk.end(), ids() + first);
    state().pos = first;
    Commands& commands =
        recorded({n, n == 1 ? attention_splits(tuning, std::bit_ceil(first + n)) : 1,
                  layers.empty() ? 0 : probe_row_keys(first + n), with_logits, false, layers});
    const auto start = std::chrono::steady_clock::now();
    device.wait(commands.submit());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    submit_macs = std::max(1e6, commands.macs() / seconds * submit_seconds);
    longest_submit = std::max(longest_submit, seconds / commands.submits());
    commands.read_times(profile, first + n);
    logits_pos = first + n - 1;
    return read_rows(layers, first, n);
}

/// Rows of positions [first, first + n_queries) that the last step left behind.
std::vector<AttentionRows> Session::Impl::read_rows(const std::vector<uint32_t>& layers, uint32_t first,
                                                    uint32_t n_queries) const {
    const uint32_t n_keys = first + n_queries, stride = probe_row_keys(n_keys);
    std::vector<AttentionRows> read;
    for (size_t i = 0; i < layers.size(); ++i) {
        const uint64_t n_rows = uint64_t(n_queries) * m.n_heads;
        const auto bytes = probs[i].download(0, n_rows * stride * 4);
        read.push_back({layers[i], first, n_queries, m.n_heads, n_keys, std::vector<float>(n_rows * n_keys)});
        AttentionRows& rows = read.back();
        for (uint64_t r = 0; r < n_rows; ++r)
            std::memcpy(&rows.p[r * n_keys], bytes.data() + r * stride * 4, n_keys * 4);
    }
    return read;
}

/// Row 0 of the logits, as the last step left them.
std::vector<float> Session::Impl::read_logits() const {
    const auto bytes = scratch.logits.buffer.download(0, uint64_t(m.n_vocab) * 4);
    std::vector<float> logits(m.n_vocab);
    std::memcpy(logits.data(), bytes.data(), bytes.size());
    return logits;
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
void Session::Impl::submit_decode_steps(bool read_back) {
    // What is read back of a step is read before the next step replaces it.
    const size_t most = read_back || probing() || options.profile ? 1 : run_ahead;
    const auto ahead = static_cast<uint32_t>(std::min<size_t>(most - 1, n_ctx - length()));
    cache.table.reserve(ahead);
    cache.upload_table();
    while (running.size() < ahead + 1) {
        const auto n_keys = length() + static_cast<uint32_t>(running.size());
        std::vector<uint32_t> layers = layers_of_next_token();
        Commands& commands = recorded({1, attention_splits(tuning, std::bit_ceil(n_keys)),
                                       layers.empty() ? 0 : probe_row_keys(n_keys), false, true, layers});
        running.push_back({commands.submit(), &commands, n_keys, std::move(layers)});
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
        Commands& commands =
            recorded({1, attention_splits(tuning, std::bit_ceil(last + 1)), 0, false, true, {}});
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
    : impl_(std::make_unique<Impl>(device, model, options)) {}

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
        const auto [n, layers] = s.next_chunk(total - done, s.chunk_size());
        for (AttentionRows& rows : s.run_chunk(ids.subspan(done, n), layers, false))
            if (on_attention) on_attention(std::move(rows));
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
    std::vector<AttentionRows> rows;
    if (!s.running.empty() && s.sampler == sampler) {
        const Impl::Running step = s.running.front();
        s.running.pop_front();
        s.finish(step);
        s.logits_pos = s.length() - 1;
        token = s.ids()[s.length()];
        rows = s.read_rows(step.layers, s.length() - 1, 1);
    } else {
        s.drop_running();
        token = s.sample_now(sampler);
    }
    const std::vector<float> logits = on_logits ? s.read_logits() : std::vector<float>{};
    s.cache.table.append(std::span(&token, 1));
    const uint32_t window = s.m.longest_window();
    if (window && s.length() > window + PageTable::page_size)
        s.cache.table.release_before(s.length() - window - PageTable::page_size);
    s.submit_decode_steps(on_logits != nullptr);
    // The device works on the next step while these are looked at.
    for (AttentionRows& one : rows)
        if (on_attention) on_attention(std::move(one));
    if (on_logits) on_logits(logits);
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
    return s.read_logits();
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
        const auto [n, layers] = s.next_chunk(static_cast<uint32_t>(ids.size()) - done, most);
        for (AttentionRows& one : s.run_chunk(ids.subspan(done, n), layers, true))
            if (on_attention) on_attention(std::move(one));
        const auto bytes = s.all_logits.buffer.download(0, uint64_t(n) * s.all_logits.stride * 4);
        const auto* rows = reinterpret_cast<const float*>(bytes.data());
        for (uint32_t i = 0; i < n; ++i)
            sink(done + i, {rows + uint64_t(i) * s.all_logits.stride, s.m.n_vocab});
        done += n;
    }
}

void Session::watch(std::vector<uint32_t> layers, bool survey) {
    Impl& s = *impl_;
    for (const uint32_t layer : layers)
        if (layer >= s.m.n_layers)
            throw Error("attention of layer " + std::to_string(layer),
                        "the model has layers 0 to " + std::to_string(s.m.n_layers - 1), "one of these");
    if (s.watched == layers && s.survey == survey) return;
    s.drop_running();
    s.recordings.clear(); // they write to the buffers of the layers watched so far
    s.watched = std::move(layers);
    s.survey = survey;
    s.probs.clear();
    for (const uint32_t layer : s.watched)
        s.probs.emplace_back(s.device, s.chunk_size() * s.probe_row_bytes(), Memory::host,
                             "attention rows of layer " + std::to_string(layer));
    while (survey && s.probs.size() < s.m.n_layers)
        s.probs.emplace_back(s.device, s.survey_size() * s.probe_row_bytes(), Memory::host,
                             "attention rows of a survey");
}

void Session::set_slopes(std::span<const float> slopes) {
    Impl& s = *impl_;
    if (!s.scratch.attention.slopes || slopes.size() != s.m.n_heads)
        throw Error("setting " + std::to_string(slopes.size()) + " ALiBi slopes",
                    s.scratch.attention.slopes ? "the model has " + std::to_string(s.m.n_heads) + " heads"
                                               : std::string("the session runs without ALiBi"),
                    "one for each head of a session with ALiBi");
    s.drop_running();
    s.scratch.attention.slopes.upload(std::as_bytes(slopes));
    s.logits_pos.reset(); // they came from the slopes before
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

const PageTable& Session::pages() const {
    return impl_->cache.table;
}

const ModelSpec& Session::spec() const {
    return impl_->m;
}

double Session::longest_submit() const {
    return impl_->longest_submit;
}

Profile Session::take_profile() {
    impl_->drop_running();
    return std::exchange(impl_->profile, {});
}

} // namespace kvasir
