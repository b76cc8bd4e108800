#include "app/answer.hpp"

#include "app/output.hpp"
#include "app/terminal.hpp"

#include <algorithm>
#include <chrono>

namespace kvasir {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// How many bytes at the end of `text` are the beginning of `stop`.
size_t overlap(std::string_view text, std::string_view stop) {
    for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n)
        if (text.ends_with(stop.substr(0, n))) return n;
    return 0;
}

/// False where Ctrl-C stopped it.
bool run_prompt(Session& session, const AnswerRequest& request, Answer& result) {
    auto progress = [&](uint32_t done, uint32_t total) {
        if (done < total)
            show_progress("prompt: " + std::to_string(done) + " of " + std::to_string(total) + " tokens");
        return interrupts() == 0;
    };
    result.reused = session.prompt(request.prompt, progress);
    result.computed = session.length() - result.reused;
    show_progress("");
    return interrupts() == 0;
}

} // namespace

std::string AnswerText::push(std::string_view bytes) {
    if (stopped_) return "";
    held_ += characters_.push(bytes);
    return release(false);
}

std::string AnswerText::finish() {
    if (stopped_) return "";
    held_ += characters_.finish();
    return release(true);
}

std::string AnswerText::release(bool all) {
    size_t keep = 0, end = held_.size();
    for (const std::string& stop : stops_) {
        if (stop.empty()) continue;
        if (const size_t found = held_.find(stop); found < end) {
            end = found;
            stopped_ = true;
        }
        keep = std::max(keep, overlap(held_, stop));
    }
    if (!stopped_ && !all) end -= keep;
    std::string text = held_.substr(0, end);
    held_.erase(0, stopped_ ? std::string::npos : end);
    shown_ += text;
    return text;
}

const char* name(Stop stop) {
    constexpr const char* names[] = {"end", "stop string", "limit", "context", "interrupt"};
    return names[static_cast<int>(stop)];
}

std::optional<double> Answer::prompt_tokens_per_second() const {
    if (computed == 0 || prompt_seconds <= 0) return std::nullopt;
    return computed / prompt_seconds;
}

std::optional<double> Answer::tokens_per_second() const {
    if (steps == 0 || seconds <= 0) return std::nullopt;
    return steps / seconds;
}

Answer answer(Session& session, const Tokenizer& tokenizer, const AnswerRequest& request) {
    Answer result;
    AnswerText text(request.stops);
    auto show = [&](std::string piece) {
        if (request.trim && result.text.empty()) piece.erase(0, piece.find_first_not_of(" \n\r\t"));
        if (piece.empty()) return;
        result.text += piece;
        if (request.show) request.show(piece);
    };
    const auto is_end = [&](int32_t id) {
        return tokenizer.is_end(id) ||
               std::find(request.ends.begin(), request.ends.end(), id) != request.ends.end();
    };
    // A text that nothing stands before begins without the space of a SentencePiece vocabulary.
    const bool first_text = tokenizer.decode(request.prompt).empty();

    const auto start = Clock::now();
    if (!run_prompt(session, request, result)) {
        result.prompt_seconds = seconds_since(start);
        result.stop = Stop::interrupt;
        return result;
    }
    Clock::time_point first = Clock::now();
    for (uint32_t made = 0;; ++made) {
        if (interrupts() > 0)
            result.stop = Stop::interrupt;
        else if (request.limit && made >= *request.limit)
            result.stop = Stop::limit;
        else if (text.stopped())
            result.stop = Stop::stop_string;
        else if (const std::optional<int32_t> id = session.next(request.sampler); !id)
            result.stop = Stop::context;
        else {
            // The first token waits for the prompt; what follows is generation.
            if (made == 0)
                first = Clock::now();
            else
                ++result.steps;
            if (!is_end(*id)) {
                result.ids.push_back(*id);
                show(text.push(first_text && made == 0 ? tokenizer.decode(std::span(&*id, 1))
                                                       : tokenizer.piece(*id)));
                continue;
            }
            result.stop = Stop::end;
        }
        break;
    }
    result.prompt_seconds = std::chrono::duration<double>(first - start).count();
    result.seconds = seconds_since(first);
    show(text.finish());
    return result;
}

} // namespace kvasir
