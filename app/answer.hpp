#pragma once

#include "runtime/session.hpp"
#include "runtime/text/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kvasir {

/// The text of an answer as it may be shown: whole characters only, nothing of a stop string, and nothing
/// that may yet become one.
class AnswerText {
  public:
    explicit AnswerText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    /// What may be shown now that these bytes were generated.
    std::string push(std::string_view bytes);

    /// What was kept back when the answer ended otherwise than by a stop string.
    std::string finish();

    bool stopped() const { return stopped_; } ///< by a stop string
    const std::string& shown() const { return shown_; }

  private:
    std::string release(bool all);

    std::vector<std::string> stops_;
    Utf8Stream characters_;
    std::string held_, shown_;
    bool stopped_ = false;
};

enum class Stop { end, stop_string, limit, context, interrupt };

const char* name(Stop stop); ///< "end", "stop string", "limit", "context", "interrupt"

struct AnswerRequest {
    std::vector<int32_t> prompt = {};
    SamplerOptions sampler;
    std::optional<uint32_t> limit; ///< tokens at most
    std::vector<std::string> stops = {};
    std::vector<int32_t> ends = {};                    ///< tokens that end it, beside the vocabulary's
    bool trim = false;                                 ///< without the white space it begins with
    std::function<void(const std::string&)> show = {}; ///< each piece of text as it is made
};

/// What was generated: `ids` without the end token, `text` what `show` was given, joined.
struct Answer {
    std::vector<int32_t> ids;
    std::string text;
    Stop stop = Stop::end;
    uint32_t reused = 0;                    ///< prompt tokens that were in the cache
    uint32_t computed = 0;                  ///< prompt tokens that were not
    double prompt_seconds = 0, seconds = 0; ///< to the first token, and from there to the last
    uint32_t steps = 0;                     ///< tokens in `seconds`

    std::optional<double> prompt_tokens_per_second() const;
    std::optional<double> tokens_per_second() const;
};

/// Runs the prompt and generates. Ctrl-C stops it (forget_interrupts() is the caller's).
Answer answer(Session& session, const Tokenizer& tokenizer, const AnswerRequest& request);

} // namespace kvasir
