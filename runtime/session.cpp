#include "runtime/needs.hpp"
#include "runtime/session_impl.hpp"

namespace kvasir {

uint32_t context_of(const ModelSpec& m, const SessionOptions& options) {
    const uint32_t n_ctx = options.n_ctx ? options.n_ctx : default_context(m);
    // Learned positions end with their table; RoPE and ALiBi go on beyond what the model was trained for.
    if (m.learned_positions && n_ctx > m.n_ctx)
        throw Error("a context of " + std::to_string(n_ctx) + " tokens",
                    "the model has learned positions for " + std::to_string(m.n_ctx),
                    "--context " + std::to_string(m.n_ctx));
    return n_ctx;
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
    std::vector<float> logits;
    if (!s.running.empty() && s.sampler == sampler && (!on_logits || s.running.front().slot >= 0)) {
        const Impl::Running step = s.running.front();
        s.running.pop_front();
        s.finish(step);
        s.logits_pos = s.length() - 1;
        token = s.ids()[s.length()];
        if (step.slot >= 0) {
            const Impl::ReadBack& left = s.read_back[size_t(step.slot)];
            rows = s.read_rows(left.rows, step.layers, s.length() - 1, 1);
            if (on_logits) logits = s.read_logits(left.logits);
        }
    } else {
        s.drop_running();
        token = s.sample_now(sampler);
        if (on_logits) logits = s.read_logits(s.scratch.logits.buffer);
    }
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
    return s.read_logits(s.scratch.logits.buffer);
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
    const auto forget = [&s] {
        s.watched.clear(), s.survey = false, s.probs.clear();
        for (Impl::ReadBack& left : s.read_back) left.rows.clear();
    };
    forget();
    try {
        s.watched = std::move(layers);
        s.survey = survey;
        s.make_probe_buffers();
    } catch (...) { // there is no memory for it: nothing is watched
        forget();
        throw;
    }
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
