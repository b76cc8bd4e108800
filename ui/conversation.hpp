#pragma once

#include "runtime/text/turn.hpp"
#include "ui/event.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvasir::ui {

/// A token of an answer and what the answer's text grew by (nothing while a character is incomplete).
struct AnswerToken {
    TokenChoice choice;
    std::string text;
};

/// One message of a conversation and where it hangs in the tree of its versions.
struct Message {
    static constexpr uint32_t none = UINT32_MAX;
    uint32_t parent = none;
    std::string role; ///< "user" or "assistant"
    std::string text;
    std::vector<AnswerToken> tokens; ///< of an answer
    std::vector<TokenChoice> known;  ///< of the answer it was branched from, until its tokens are here again
    std::string model;               ///< path of the one that wrote it
    std::string why; ///< what ended it; empty while it is written, or where the program ended first
    double tokens_per_second = 0, prompt_tokens_per_second = 0;
    std::vector<uint32_t> children;
    uint32_t chosen = 0; ///< of children
};

/// A tree of messages: editing a message, answering again and branching at a token add to it and lose
/// nothing.
class Conversation {
  public:
    std::string id, title, system;
    int64_t changed = 0; ///< seconds since 1970

    const std::vector<Message>& messages() const { return messages_; }
    Message& at(uint32_t message) { return messages_[message]; }
    const Message& at(uint32_t message) const { return messages_[message]; }

    /// Adds a message after `parent` (Message::none: at the beginning) and shows it.
    uint32_t add(uint32_t parent, std::string role, std::string text);

    /// The messages that are shown, from the first on.
    std::vector<uint32_t> path() const;
    uint32_t last() const; ///< of path(); Message::none where there is none

    /// Versions of a message (itself among them), and which of them it is.
    const std::vector<uint32_t>& versions(uint32_t message) const;
    uint32_t version(uint32_t message) const;
    /// Shows the message and, after it, what was shown there last.
    void choose(uint32_t message);

    /// What a model reads to write the message after `last`: the path to it. Ids where `model` wrote them.
    std::vector<Turn> turns(uint32_t last, const std::string& model) const;

    /// The beginning of the first user message, for a list.
    std::string name() const;

    std::string to_markdown() const; ///< of the shown path
    std::string to_json() const;     ///< of the whole tree

  private:
    std::vector<Message> messages_;
    std::vector<uint32_t> roots_;
    uint32_t chosen_root_ = 0;
};

} // namespace kvasir::ui
