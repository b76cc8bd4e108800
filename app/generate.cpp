#include "app/answer.hpp"
#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

namespace kvasir {

namespace {

nlohmann::json or_null(const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

nlohmann::json to_json(const Answer& answer, const AnswerRequest& request, const Running& running) {
    return {{"text", answer.text},
            {"ids", answer.ids},
            {"prompt_ids", request.prompt},
            {"tokens_per_second", or_null(answer.tokens_per_second())},
            {"prompt_tokens_per_second", or_null(answer.prompt_tokens_per_second())},
            {"device", running.device->info().name},
            {"model", running.path},
            {"context", running.session.n_ctx()},
            {"seed", request.sampler.seed},
            {"stopped", name(answer.stop)}};
}

std::string summary(const Answer& answer, const AnswerRequest& request, uint32_t n_ctx) {
    auto speed = [](const std::optional<double>& s) {
        return s ? " (" + fixed(*s, 1) + " tokens/s)" : std::string{};
    };
    std::string line = "prompt " + std::to_string(request.prompt.size()) + " tokens" +
                       speed(answer.prompt_tokens_per_second()) + ", generated " +
                       std::to_string(answer.ids.size()) + speed(answer.tokens_per_second());
    if (answer.stop == Stop::context)
        line += "; stopped: the context of " + std::to_string(n_ctx) +
                " tokens is full, --context N makes it larger";
    if (answer.stop == Stop::interrupt) line += "; stopped by Ctrl-C";
    return line;
}

} // namespace

int run(const GenerateOptions& options) {
    model_path(options.model.model); // before standard input is waited for
    const std::string prompt = options.prompt == "-" ? read_text("-") : options.prompt.value_or("");
    Running running(options.model);
    const Tokenizer& tokenizer = running.model.tokenizer;

    AnswerRequest request{.sampler = options.answer.with(running.model.sampler), .limit = options.n};
    if (!options.prompt) {
        request.prompt = read_ids(options.ids, tokenizer.n_vocab());
        if (request.prompt.empty())
            throw Error("reading the ids in " + options.ids, "there are none", "one id at least");
    } else if (options.raw) {
        request.prompt = encode_raw(tokenizer, prompt);
    } else {
        ChatFormat format = chat_format(running.model);
        request.prompt = format.encode({{.role = "user", .text = prompt}});
        request.stops = format.stops();
        request.ends = format.ends();
        notice_format(format);
        request.trim = true;
    }
    const bool terminal = is_terminal(Stream::out);
    if (!options.json)
        request.show = [&](const std::string& text) { print(terminal ? harmless(text) : text); };

    const Answer result = answer(running.session, tokenizer, request);
    if (options.json)
        print(to_text(to_json(result, request, running)));
    else if (terminal && !result.text.ends_with('\n'))
        print("\n");
    notice(summary(result, request, running.session.n_ctx()));
    return result.stop == Stop::interrupt ? 130 : 0;
}

} // namespace kvasir
