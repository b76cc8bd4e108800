#include "runtime/text/chat_format.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <array>
#include <string_view>

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

ChatFormat::ChatFormat(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
    for (const Speaker& speaker : speakers) stops_.push_back("\n" + std::string(speaker.name));
}

bool ChatFormat::has_template(const Metadata& metadata) {
    const auto text = metadata.text("tokenizer.chat_template");
    return text && !text->empty();
}

std::vector<int32_t> ChatFormat::encode(const std::vector<Turn>& turns) const {
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
