#include "runtime/session_impl.hpp"

#include <bit>
#include <chrono>
#include <cstring>

namespace kvasir {
namespace {

/// The longest that one submit should keep the device, in seconds.
constexpr double submit_seconds = 0.05;

} // namespace

Commands& Session::Impl::recorded(const StepKey& key) {
    if (const auto known = recordings.find(key); known != recordings.end()) return *known->second;
    if (recordings.size() >= 256) // prompts of many lengths, surveys of many layers
        std::erase_if(recordings, [&](const auto& known) {
            return std::none_of(running.begin(), running.end(),
                                [&](const Running& r) { return r.commands == known.second.get(); });
        });
    auto commands = std::make_unique<Commands>(device, options.profile, submit_macs);
    const Step s = step(*commands, key.n_tokens);
    ReadBack* const left = key.slot < 0 ? nullptr : &read_back[size_t(key.slot)];
    std::vector<ProbeRequest> probes;
    for (size_t i = 0; i < key.layers.size(); ++i)
        probes.push_back({key.layers[i], left ? &left->rows[i] : &probs[i], key.probe_keys});
    forward(s, m, model.weights, scratch, cache,
            {key.n_splits, probes, key.all_logits ? &all_logits : nullptr});
    if (key.samples) ops::sample(s, scratch.logits, scratch.penalised, scratch.ids);
    if (left) commands->copy(scratch.logits.buffer, 0, left->logits, 0, uint64_t(m.n_vocab) * 4);
    commands->end();
    return *(recordings[key] = std::move(commands));
}

/// For what `watched` and `survey` say.
void Session::Impl::make_probe_buffers() {
    for (const uint32_t layer : watched)
        probs.emplace_back(device, chunk_size() * probe_row_bytes(), Memory::host,
                           "attention rows of layer " + std::to_string(layer));
    while (survey && probs.size() < m.n_layers)
        probs.emplace_back(device, survey_size() * probe_row_bytes(), Memory::host,
                           "attention rows of a survey");
    for (ReadBack& left : read_back)
        while (left.rows.size() < watched.size() + survey)
            left.rows.emplace_back(device, probe_row_bytes(), Memory::host, "attention rows of a token");
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
                  layers.empty() ? 0 : probe_row_keys(first + n), with_logits, false, -1, layers});
    const auto start = std::chrono::steady_clock::now();
    device.wait(commands.submit());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    submit_macs = std::max(1e6, commands.macs() / seconds * submit_seconds);
    longest_submit = std::max(longest_submit, seconds / commands.submits());
    commands.read_times(profile, first + n);
    logits_pos = first + n - 1;
    return read_rows(probs, layers, first, n);
}

/// Rows of positions [first, first + n_queries) that a step left in `from`, a buffer a layer.
std::vector<AttentionRows> Session::Impl::read_rows(const std::vector<Buffer>& from,
                                                    const std::vector<uint32_t>& layers, uint32_t first,
                                                    uint32_t n_queries) const {
    const uint32_t n_keys = first + n_queries, stride = probe_row_keys(n_keys);
    std::vector<AttentionRows> read;
    for (size_t i = 0; i < layers.size(); ++i) {
        const uint64_t n_rows = uint64_t(n_queries) * m.n_heads;
        const auto bytes = from[i].download(0, n_rows * stride * 4);
        read.push_back({layers[i], first, n_queries, m.n_heads, n_keys, std::vector<float>(n_rows * n_keys)});
        AttentionRows& rows = read.back();
        for (uint64_t r = 0; r < n_rows; ++r)
            std::memcpy(&rows.p[r * n_keys], bytes.data() + r * stride * 4, n_keys * 4);
    }
    return read;
}

std::vector<float> Session::Impl::read_logits(const Buffer& from) const {
    const auto bytes = from.download(0, uint64_t(m.n_vocab) * 4);
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
void Session::Impl::submit_decode_steps(bool logits_wanted) {
    const uint32_t most = options.profile ? 1 : run_ahead; // a step's times are read before it is replayed
    const uint32_t ahead = std::min(most - 1, n_ctx - length());
    cache.table.reserve(ahead);
    cache.upload_table();
    while (running.size() < ahead + 1) {
        const auto n_keys = length() + static_cast<uint32_t>(running.size());
        std::vector<uint32_t> layers = layers_of_next_token();
        const bool leaves = logits_wanted || !layers.empty();
        const int slot = leaves ? static_cast<int>(n_submitted++ % run_ahead) : -1;
        if (leaves && !read_back[size_t(slot)].logits)
            read_back[size_t(slot)].logits =
                Buffer(device, uint64_t(m.n_vocab) * 4, Memory::host, "logits for the host");
        Commands& commands =
            recorded({1, attention_splits(tuning, std::bit_ceil(n_keys)),
                      layers.empty() ? 0 : probe_row_keys(n_keys), false, true, slot, layers});
        running.push_back({commands.submit(), &commands, n_keys, slot, std::move(layers)});
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
            recorded({1, attention_splits(tuning, std::bit_ceil(last + 1)), 0, false, true, -1, {}});
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

} // namespace kvasir
