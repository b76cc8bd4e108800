#include "app/engine.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

constexpr uint32_t replay_chunk = 256; ///< tokens between two looks at what the window asks

/// KL(p || q) in nats of the softmaxes of two rows of logits.
double divergence(std::span<const float> p, std::span<const float> q) {
    auto log_sum = [](std::span<const float> l) {
        const float best = *std::max_element(l.begin(), l.end());
        double sum = 0;
        for (const float value : l) sum += std::exp(double(value) - best);
        return best + std::log(sum);
    };
    const double zp = log_sum(p), zq = log_sum(q);
    double kl = 0;
    for (size_t i = 0; i < p.size(); ++i) kl += std::exp(p[i] - zp) * ((p[i] - zp) - (q[i] - zq));
    return std::max(kl, 0.0);
}

/// Logits [ids.size(), n_vocab] that follow `before`, then each of ids.
std::vector<std::vector<float>> logits_along(Session& session, std::span<const int32_t> before,
                                             std::span<const int32_t> ids) {
    session.prompt(before);
    std::vector<std::vector<float>> rows{session.logits()};
    session.evaluate(
        ids, [&](uint32_t, std::span<const float> row) { rows.emplace_back(row.begin(), row.end()); });
    return rows;
}

} // namespace

void Engine::watch(const ui::Watch& request) {
    watch_ = request;
    if (session_)
        session_->watch(watch_.layer ? std::vector<uint32_t>{*watch_.layer} : std::vector<uint32_t>{},
                        watch_.survey);
}

void Engine::replay() {
    if (!session_ || session_->length() == 0) return;
    const std::vector<int32_t> ids = session_->ids();
    session_->rewind(0);
    const auto total = static_cast<uint32_t>(ids.size());
    for (uint32_t done = 0; done < total && !stop_asked_();) {
        send_(ui::PromptProgressed{done, total});
        const uint32_t n = std::min(replay_chunk, total - done);
        session_->evaluate(std::span(ids).subspan(done, n), [](uint32_t, std::span<const float>) {});
        done += n;
    }
    if (session_->length() < total) session_->prompt(ids);
    send_(ui::PromptProgressed{total, total});
    tell_pages();
}

void Engine::edit(const ui::PositionEdit& edit) {
    need_model("changing positions");
    if (edit == edit_) return;
    if (!edit.slopes.empty() && edit.slopes.size() != model_->spec.n_heads)
        throw Error("changing ALiBi's slopes", std::to_string(edit.slopes.size()) + " of them",
                    "one for each of the " + std::to_string(model_->spec.n_heads) + " heads");
    const ModelSpec before = session_->spec();
    const ui::PositionEdit kept = edit_;
    edit_ = edit;
    if (edited_spec() == before) { // only slopes: what is in the cache stays
        if (before.alibi_max_bias > 0) session_->set_slopes(slopes()), stale_ = true;
        send_(ui::Loaded{running_model()});
        return;
    }
    try {
        edited_spec().validate();
    } catch (...) {
        edit_ = kept;
        throw;
    }
    const std::vector<int32_t> ids = session_->ids();
    open_session();
    if (!ids.empty()) session_->prompt(ids);
    tell_pages();
}

std::vector<int32_t> Engine::greedy(Session& session, std::span<const int32_t> ids, uint32_t n) {
    session.prompt(ids);
    std::vector<int32_t> made;
    while (made.size() < n && !stop_asked_()) {
        const auto id = session.next({.temperature = 0});
        if (!id || model_->tokenizer.is_end(*id)) break;
        made.push_back(*id);
    }
    return made;
}

/// The same place in the text continued by the model as it was trained and as it is edited.
void Engine::compare(uint32_t n) {
    need_model("comparing");
    if (answer_) throw Error("comparing", "an answer is being made", "Stop, or waiting for its end");
    const std::vector<int32_t> ids = session_->ids();
    if (ids.empty()) throw Error("comparing", "there is no text yet", "a message first");
    session_->watch({});
    session_->on_attention = {}, session_->on_logits = {};
    Session trained(*device_, *model_, {.n_ctx = session_->n_ctx(), .kv = loaded_.kv});
    const std::vector<int32_t> a = greedy(trained, ids, n), b = greedy(*session_, ids, n);
    ui::Compared result{labels(a), labels(b), {}};
    if (ids.size() + b.size() <= session_->n_ctx()) {
        const auto p = logits_along(*session_, ids, b), q = logits_along(trained, ids, b);
        for (size_t i = 0; i < p.size(); ++i) result.kl.push_back(float(divergence(p[i], q[i])));
    }
    session_->prompt(ids);
    listen();
    send_(std::move(result));
}

void Engine::time_operations(bool on) {
    if (timing_ == on) return;
    timing_ = on;
    if (!session_) return;
    const std::vector<int32_t> ids = session_->ids();
    open_session();
    if (!ids.empty()) session_->prompt(ids);
    tell_pages();
}

} // namespace kvasir
