#pragma once

#include "runtime/text/jinja/template.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/text/turn.hpp"

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// A model's own chat template, and what can be told of it by rendering small conversations.
class ChatTemplate {
  public:
    /// now: the local time, for templates that write the date. Throws Error where the template is none, or
    /// cannot render the smallest conversation, or leaves the user's text out of it.
    ChatTemplate(const Tokenizer& tokenizer, std::string_view source, const std::tm& now);

    /// The conversation with the opening of the assistant's next turn (or without), as text; bytes that come
    /// from turns[i] have the origin i + 1. Throws Error where the template fails.
    jinja::Text render(const std::vector<Turn>& turns, bool open_answer = true) const;

    /// Ids of the same. What a turn holds is never read as control tokens, whatever it holds and whatever the
    /// template does with it: each byte's origin is known. An answer that has ids keeps them, where the
    /// template shows it as it was written. BOS stands in front once where the vocabulary asks for it.
    std::vector<int32_t> encode(const std::vector<Turn>& turns, bool open_answer = true) const;

    /// The token that follows an answer, -1 where that is no control token or the vocabulary ends at it
    /// anyway.
    int32_t end() const { return end_; }
    /// The text that follows an answer, where that is no control token; else empty.
    const std::string& stop() const { return stop_; }
    /// Whether the template has no place for a system turn: its text then goes before the next user's, a line
    /// of its own.
    bool merges_system() const { return merges_system_; }

  private:
    jinja::Value content(jinja::Workspace& workspace, jinja::Text text) const;
    jinja::Value messages(jinja::Workspace& workspace, const std::vector<Turn>& turns) const;
    void learn_content();
    void learn_system();
    void learn_answer();

    /// Where to put ids into a rendered text.
    struct Answer {
        std::size_t begin, end;
        const std::vector<int32_t>* ids;
    };
    std::vector<Answer> answers_in(const jinja::Text& text, const std::vector<Turn>& turns) const;

    const Tokenizer& tokenizer_;
    jinja::Template template_;
    std::tm now_;
    bool typed_content_ = false; ///< a message is [{"type": "text", "text": ...}] instead of its text
    bool merges_system_ = false;
    bool keeps_answers_ = false; ///< an answer stands after the same text when it is new and later
    std::string opening_;        ///< that text, since the user's
    std::size_t gap_ = 0;        ///< bytes of white space at its end that stand only before a later one
    int32_t end_ = -1;
    std::string stop_;
};

} // namespace kvasir
