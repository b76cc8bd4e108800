#include "runtime/text/chat_template.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <optional>

namespace kvasir {

namespace {

using jinja::Text;

/// From the first to the last byte of an origin; nothing where it has none.
std::optional<Tokenizer::Range> find_origin(const Text& text, int origin) {
    std::optional<Tokenizer::Range> range;
    for (const jinja::Span& span : text.spans()) {
        if (span.origin != origin) continue;
        if (!range) range = {span.begin, span.end};
        range->end = span.end;
    }
    return range;
}

std::string_view stripped(std::string_view text, bool left, bool right) {
    const jinja::Range range = jinja::strip(text, left, right);
    return text.substr(range.begin, range.end - range.begin);
}

/// What no template is known to change.
const Turn question = {"user", "Hello", {}}, reply = {"assistant", "Good", {}},
           rule = {"system", "Think", {}};

} // namespace

ChatTemplate::ChatTemplate(const Tokenizer& tokenizer, std::string_view source, const std::tm& now)
    : tokenizer_(tokenizer), template_(source), now_(now) {
    learn_content();
    learn_system();
    learn_answer();
}

jinja::Value ChatTemplate::content(jinja::Workspace& workspace, Text text) const {
    const jinja::Value value = workspace.text(std::move(text));
    if (!typed_content_) return value;
    return workspace.list({workspace.dict(
        {{workspace.text("type"), workspace.text("text")}, {workspace.text("text"), value}})});
}

jinja::Value ChatTemplate::messages(jinja::Workspace& workspace, const std::vector<Turn>& turns) const {
    std::vector<jinja::Value> messages;
    const auto add = [&](const std::string& role, Text text) {
        messages.push_back(
            workspace.dict({{workspace.text("role"), workspace.text(role)},
                            {workspace.text("content"), content(workspace, std::move(text))}}));
    };
    Text system; // that waits for a user's turn
    for (std::size_t i = 0; i < turns.size(); ++i) {
        const int origin = static_cast<int>(i) + 1;
        if (merges_system_ && turns[i].role == "system") {
            system.append(turns[i].text, origin);
            system.append("\n");
            continue;
        }
        Text text;
        if (turns[i].role == "user") std::swap(text, system);
        text.append(turns[i].text, origin);
        add(turns[i].role, std::move(text));
    }
    if (system.size() > 0) add("user", std::move(system));
    return workspace.list(std::move(messages));
}

Text ChatTemplate::render(const std::vector<Turn>& turns, bool open_answer) const {
    std::size_t bytes = 0;
    for (const Turn& turn : turns) bytes += turn.text.size();
    jinja::Workspace workspace(jinja::Limits::for_input(bytes, turns.size()), now_);
    const auto label = [&](int32_t id) { return workspace.text(id < 0 ? "" : tokenizer_.label(id)); };
    // What Hugging Face's apply_chat_template gives a template, of a model that is offered no tools.
    return template_.render(workspace, {{"messages", messages(workspace, turns)},
                                        {"add_generation_prompt", jinja::Value::of(open_answer)},
                                        {"tools", jinja::Value{}},
                                        {"documents", jinja::Value{}},
                                        {"bos_token", label(tokenizer_.bos())},
                                        {"eos_token", label(tokenizer_.eos())}});
}

/// Most templates take a message's text; those of models that see take a list of typed parts.
void ChatTemplate::learn_content() {
    std::optional<Error> failure;
    for (const bool typed : {false, true}) {
        typed_content_ = typed;
        try {
            if (find_origin(render({question}), 1)) return;
        } catch (const Error& error) {
            if (!failure) failure = error;
        }
    }
    if (failure) throw *failure;
    jinja::refuse(0, "it leaves out what the user says");
}

void ChatTemplate::learn_system() {
    try {
        merges_system_ = !find_origin(render({rule, question}), 1);
    } catch (const Error&) { // the template raises that it takes no system turn
        merges_system_ = true;
    }
}

/// What stands before and after an answer.
void ChatTemplate::learn_answer() {
    Text fresh, later;
    try {
        fresh = render({question});
        later = render({question, reply, question});
    } catch (const Error&) {
        return; // a template for one question
    }
    const auto asked = find_origin(fresh, 1), said = find_origin(later, 1);
    const auto answered = find_origin(later, 2), next = find_origin(later, 3);
    if (!asked || !said || !answered || said->end > answered->begin) return;

    const std::string_view text = later.bytes();
    const std::string_view before = text.substr(said->end, answered->begin - said->end);
    const std::string_view open = std::string_view(fresh.bytes()).substr(asked->end);
    keeps_answers_ = before.starts_with(open) && stripped(before.substr(open.size()), true, false).empty();
    opening_ = before;
    gap_ = before.size() - std::min(before.size(), open.size());

    const std::size_t end = next && next->begin >= answered->end ? next->begin : text.size();
    const std::string_view after = text.substr(answered->end, end - answered->end);
    const std::string_view mark = stripped(after, true, false);
    end_ = mark.empty() ? -1 : tokenizer_.special_at_front(mark);
    if (end_ >= 0 || mark.empty()) return;
    std::size_t size = 0; // up to a control token that may follow
    const std::string_view words = stripped(after, false, true);
    while (size < words.size() && tokenizer_.special_at_front(words.substr(size)) < 0) ++size;
    stop_ = words.substr(0, size);
}

std::vector<ChatTemplate::Answer> ChatTemplate::answers_in(const Text& text,
                                                           const std::vector<Turn>& turns) const {
    std::vector<Answer> answers;
    if (!keeps_answers_) return answers;
    const std::string_view bytes = text.bytes();
    for (std::size_t i = 0; i < text.spans().size(); ++i) {
        const jinja::Span& span = text.spans()[i];
        const Turn& turn = turns[static_cast<std::size_t>(span.origin) - 1];
        if (turn.role != "assistant" || turn.ids.empty()) continue;
        const std::string_view shown = bytes.substr(span.begin, span.end - span.begin);
        // A part of an answer is not the answer; white space at its ends may be gone.
        if (stripped(shown, true, true) != stripped(turn.text, true, true)) continue;
        if (!bytes.substr(0, span.begin).ends_with(opening_)) continue;
        if (answers.empty() || span.begin - gap_ >= answers.back().end)
            answers.push_back({span.begin - gap_, span.end, &turn.ids});
    }
    return answers;
}

std::vector<int32_t> ChatTemplate::encode(const std::vector<Turn>& turns, bool open_answer) const {
    const Text text = render(turns, open_answer);
    std::vector<Tokenizer::Range> plain;
    for (const jinja::Span& span : text.spans()) plain.push_back({span.begin, span.end});
    std::vector<int32_t> ids;
    std::size_t done = 0;
    const auto add = [&](std::size_t end) {
        std::vector<Tokenizer::Range> inside;
        for (const Tokenizer::Range& range : plain)
            if (range.end > done && range.begin < end)
                inside.push_back({std::max(range.begin, done) - done, std::min(range.end, end) - done});
        const auto more = tokenizer_.encode_around(std::string_view(text.bytes()).substr(done, end - done),
                                                   inside, done > 0);
        ids.insert(ids.end(), more.begin(), more.end());
    };
    for (const Answer& answer : answers_in(text, turns)) {
        add(answer.begin);
        ids.insert(ids.end(), answer.ids->begin(), answer.ids->end());
        done = answer.end;
    }
    add(text.size());
    if (tokenizer_.add_bos() && (ids.empty() || ids[0] != tokenizer_.bos()))
        ids.insert(ids.begin(), tokenizer_.bos());
    return ids;
}

} // namespace kvasir
