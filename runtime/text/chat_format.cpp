#include "runtime/text/chat_format.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace kvasir {

namespace {

struct Speaker {
    std::string_view role, name;
};
constexpr Speaker assistant = {"assistant", "Assistant:"};
constexpr std::array<Speaker, 3> speakers = {{{"system", "System:"}, {"user", "User:"}, assistant}};

std::string_view name_of(const std::string& role) {
    const auto it =
        std::find_if(speakers.begin(), speakers.end(), [&](const Speaker& s) { return s.role == role; });
    if (it == speakers.end())
        throw Error("reading a conversation", "unknown role " + quoted(role),
                    "one of system, user, assistant");
    return it->name;
}

/// A text with the one space that stands between a name and it.
std::string spaced(const std::string& text) {
    const bool has_space =
        text.empty() || std::string_view(" \t\n\r").find(text[0]) != std::string_view::npos;
    return has_space ? text : " " + text;
}

} // namespace

ChatFormat::ChatFormat(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

ChatFormat::ChatFormat(const Tokenizer& tokenizer, std::string_view chat_template, const std::tm& now)
    : tokenizer_(tokenizer) {
    if (chat_template.empty()) return;
    try {
        template_.emplace(tokenizer, chat_template, now);
    } catch (const Error& error) {
        give_up(error.what());
    }
}

void ChatFormat::give_up(const std::string& why) {
    template_.reset();
    notices_.push_back(why + "; the plain format (User: ... Assistant: ...) is used instead");
}

std::vector<int32_t> ChatFormat::encode(const std::vector<Turn>& turns) {
    for (const Turn& turn : turns) name_of(turn.role); // throws where it has none
    if (!template_) return encode_plain(turns);
    const bool has_system =
        std::any_of(turns.begin(), turns.end(), [](const Turn& turn) { return turn.role == "system"; });
    if (has_system && template_->merges_system() && !std::exchange(told_system_, true))
        notices_.push_back(
            "the model's chat template takes no system text: it stands before the first message");
    try {
        return template_->encode(turns);
    } catch (const Error& error) {
        give_up(error.what());
        return encode_plain(turns);
    }
}

std::vector<std::string> ChatFormat::stops() const {
    if (template_)
        return template_->stop().empty() ? std::vector<std::string>{} : std::vector{template_->stop()};
    std::vector<std::string> stops;
    for (const Speaker& speaker : speakers) stops.push_back("\n" + std::string(speaker.name));
    return stops;
}

std::vector<int32_t> ChatFormat::ends() const {
    return template_ && template_->end() >= 0 ? std::vector{template_->end()} : std::vector<int32_t>{};
}

std::vector<std::string> ChatFormat::take_notices() {
    return std::exchange(notices_, {});
}

std::vector<int32_t> ChatFormat::encode_plain(const std::vector<Turn>& turns) const {
    std::vector<int32_t> ids;
    if (tokenizer_.add_bos()) ids.push_back(tokenizer_.bos());
    bool first = true;
    const auto add = [&](const std::string& text) {
        // Only the start of the conversation is the start of a text, where a vocabulary may put a space.
        const auto more = first ? tokenizer_.encode(text, false, false) : tokenizer_.encode_inside(text);
        ids.insert(ids.end(), more.begin(), more.end());
        first = false;
    };
    for (const Turn& turn : turns) {
        const std::string name(name_of(turn.role));
        if (turn.role != assistant.role) {
            add(name + spaced(turn.text) + "\n");
            continue;
        }
        // In three parts: the opening and the answer are what the model read and wrote when the turn was new.
        add(name);
        if (turn.ids.empty())
            add(spaced(turn.text));
        else
            ids.insert(ids.end(), turn.ids.begin(), turn.ids.end());
        add("\n");
    }
    add(std::string(assistant.name));
    return ids;
}

} // namespace kvasir
