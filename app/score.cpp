#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

namespace kvasir {

namespace {

static_assert(std::endian::native == std::endian::little, "--logits is written as it lies in memory");

/// One stretch that the model reads from an empty cache: target[i] should follow input[i]; a target is
/// missing where the last id has none.
struct Window {
    std::vector<int32_t> input;
    std::vector<int32_t> target;
};

/// Windows of at most n predictions each. With a BOS every window begins with it and predicts the text from
/// there; without one, a window is fed n ids and predicts each one's successor. Either way each id is
/// predicted once at most.
std::vector<Window> cut(const std::vector<int32_t>& ids, int32_t bos, uint32_t n) {
    std::vector<Window> windows;
    for (size_t from = 0; from < ids.size(); from += n) {
        const size_t to = std::min(ids.size(), from + n);
        auto at = [&](size_t i) { return ids.begin() + static_cast<ptrdiff_t>(i); };
        if (bos >= 0) {
            Window window{{bos}, {at(from), at(to)}};
            window.input.insert(window.input.end(), at(from), at(to - 1));
            windows.push_back(std::move(window));
        } else {
            windows.push_back({{at(from), at(to)}, {at(from + 1), at(std::min(ids.size(), to + 1))}});
        }
    }
    return windows;
}

/// -ln of the probability that softmax(logits) gives `target`.
double negative_log_likelihood(std::span<const float> logits, int32_t target) {
    const double most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float logit : logits) sum += std::exp(logit - most);
    return std::log(sum) - (logits[static_cast<size_t>(target)] - most);
}

struct Score {
    double sum = 0;
    uint64_t tokens = 0;
};

Score evaluate(Session& session, const std::vector<Window>& windows, OutputFile* logits) {
    Score score;
    for (size_t w = 0; w < windows.size(); ++w) {
        throw_if_interrupted();
        show_progress("window " + std::to_string(w + 1) + " of " + std::to_string(windows.size()));
        session.rewind(0);
        session.evaluate(windows[w].input, [&](uint32_t i, std::span<const float> row) {
            throw_if_interrupted();
            if (logits) logits->write(row.data(), row.size_bytes());
            if (i >= windows[w].target.size()) return;
            score.sum += negative_log_likelihood(row, windows[w].target[i]);
            ++score.tokens;
        });
    }
    show_progress("");
    return score;
}

std::vector<int32_t> ids_of(const ScoreOptions& options, const Tokenizer& tokenizer) {
    if (!options.ids.empty()) return read_ids(options.ids, tokenizer.n_vocab());
    return tokenizer.encode(read_text(options.text), false, false);
}

} // namespace

int run(const ScoreOptions& options) {
    model_path(options.model.model);
    std::optional<OutputFile> logits;
    if (!options.logits.empty()) logits.emplace(options.logits);
    Running running(options.model, options.window);
    const Tokenizer& tokenizer = running.model.tokenizer;
    const uint32_t n_ctx = running.session.n_ctx();
    const uint32_t whole = options.ids.empty() ? std::max(1u, n_ctx - 1) : n_ctx; // a text shares it with BOS
    const uint32_t window = options.window ? options.window : whole;
    if (window > n_ctx)
        throw Error("scoring in windows of " + std::to_string(window) + " predictions",
                    "the context holds " + std::to_string(n_ctx) + " tokens",
                    "a smaller --window or a larger --context");

    const std::vector<int32_t> ids = ids_of(options, tokenizer);
    const int32_t bos = options.ids.empty() && tokenizer.add_bos() ? tokenizer.bos() : -1;
    const std::vector<Window> windows = cut(ids, bos, window);
    if (ids.empty() || (!logits && windows[0].target.empty()))
        throw Error("scoring " + (options.ids.empty() ? options.text : options.ids),
                    "it has " + std::to_string(ids.size()) + " tokens, nothing to predict", "a longer text");

    const Score score = evaluate(running.session, windows, logits ? &*logits : nullptr);
    if (logits) logits->commit();
    const bool any = score.tokens > 0;
    const double nll = any ? score.sum / static_cast<double>(score.tokens) : 0;
    if (options.json) {
        print(to_text({{"tokens", score.tokens},
                       {"nll", any ? nlohmann::json(nll) : nlohmann::json(nullptr)},
                       {"perplexity", any ? nlohmann::json(std::exp(nll)) : nlohmann::json(nullptr)},
                       {"window", window},
                       {"model", running.path},
                       {"device", running.device->info().name}}));
    } else {
        print(fields({{"tokens", std::to_string(score.tokens)},
                      {"nll", any ? fixed(nll, 6) : "-"},
                      {"perplexity", any ? fixed(std::exp(nll), 4) : "-"}}));
    }
    return 0;
}

} // namespace kvasir
