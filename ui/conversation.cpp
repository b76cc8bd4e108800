#include "ui/conversation.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvasir::ui {

uint32_t Conversation::add(uint32_t parent, std::string role, std::string text) {
    const auto index = static_cast<uint32_t>(messages_.size());
    Message& message = messages_.emplace_back();
    message.parent = parent, message.role = std::move(role), message.text = std::move(text);
    auto& siblings = parent == Message::none ? roots_ : messages_[parent].children;
    siblings.push_back(index);
    choose(index);
    return index;
}

std::vector<uint32_t> Conversation::path() const {
    std::vector<uint32_t> shown;
    for (const auto* from = &roots_; !from->empty();) {
        const uint32_t chosen = shown.empty() ? chosen_root_ : messages_[shown.back()].chosen;
        shown.push_back((*from)[std::min<size_t>(chosen, from->size() - 1)]);
        from = &messages_[shown.back()].children;
    }
    return shown;
}

uint32_t Conversation::last() const {
    const auto shown = path();
    return shown.empty() ? Message::none : shown.back();
}

const std::vector<uint32_t>& Conversation::versions(uint32_t message) const {
    const uint32_t parent = messages_[message].parent;
    return parent == Message::none ? roots_ : messages_[parent].children;
}

uint32_t Conversation::version(uint32_t message) const {
    const auto& all = versions(message);
    return static_cast<uint32_t>(std::find(all.begin(), all.end(), message) - all.begin());
}

void Conversation::choose(uint32_t message) {
    for (uint32_t at = message; at != Message::none; at = messages_[at].parent) {
        const uint32_t parent = messages_[at].parent;
        (parent == Message::none ? chosen_root_ : messages_[parent].chosen) = version(at);
    }
}

std::vector<Turn> Conversation::turns(uint32_t last, const std::string& model) const {
    std::vector<Turn> result;
    for (uint32_t at = last; at != Message::none; at = messages_[at].parent) {
        const Message& message = messages_[at];
        Turn turn{message.role, message.text, {}};
        // A stop string's tokens, or a character that was cut, are in the ids but not in the text: the text
        // counts then.
        if (message.model == model && message.why != "stop string")
            for (const AnswerToken& token : message.tokens) turn.ids.push_back(token.choice.id);
        result.push_back(std::move(turn));
    }
    if (!system.empty()) result.push_back({"system", system, {}});
    std::reverse(result.begin(), result.end());
    return result;
}

std::string Conversation::name() const {
    if (!title.empty()) return title;
    constexpr size_t most = 48;
    for (const Message& message : messages_) {
        if (message.role != "user") continue;
        const size_t begin = std::min(message.text.find_first_not_of(" \t\r\n"), message.text.size());
        std::string line = message.text.substr(begin, message.text.find('\n', begin) - begin);
        if (line.size() > most) {
            size_t end = most;
            while (end > 0 && (line[end] & 0xc0) == 0x80) --end; // whole characters
            line = line.substr(0, end) + "...";
        }
        if (!line.empty()) return line;
    }
    return "";
}

std::string Conversation::to_markdown() const {
    std::string text = "# " + name() + "\n";
    if (!system.empty()) text += "\n> " + system + "\n";
    for (const uint32_t at : path())
        text += "\n## " + messages_[at].role + "\n\n" + messages_[at].text + "\n";
    return text;
}

std::string Conversation::to_json() const {
    auto list = nlohmann::json::array();
    for (const Message& message : messages_) {
        nlohmann::json one{{"role", message.role}, {"text", message.text}};
        one["parent"] = message.parent == Message::none ? nlohmann::json() : nlohmann::json(message.parent);
        if (!message.tokens.empty()) {
            auto tokens = nlohmann::json::array();
            for (const AnswerToken& token : message.tokens)
                tokens.push_back({{"id", token.choice.id}, {"text", token.text}, {"p", token.choice.p}});
            one["tokens"] = std::move(tokens);
            one["model"] = message.model;
        }
        list.push_back(std::move(one));
    }
    return nlohmann::json{
               {"title", name()}, {"system", system}, {"shown", path()}, {"messages", std::move(list)}}
               .dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
}

} // namespace kvasir::ui
