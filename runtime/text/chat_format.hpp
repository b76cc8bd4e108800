#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/text/tokenizer.hpp"

#include <string>
#include <vector>

namespace kvasir {

struct Turn {
    std::string role; ///< "system", "user" or "assistant"
    std::string text;
    /// An answer as the model wrote it, up to what ended it: read instead of text where not empty.
    std::vector<int32_t> ids = {};
};

/// The conversation as the model should read it, and what ends an answer.
class ChatFormat {
  public:
    /// The plain format, for a model without a template; tokenizer stays alive and in place. Each turn is a
    /// line of its own: "System: ...\n", "User: ...\n", "Assistant: ...\n". A program that uses it for a
    /// model with a template (has_template) should say so: the model was trained to read another one.
    explicit ChatFormat(const Tokenizer& tokenizer);

    /// Whether the file says how its model reads a conversation (key tokenizer.chat_template).
    static bool has_template(const Metadata& metadata);

    /// Ids of all turns, followed by the opening of the assistant's next one, "Assistant:"; before them BOS
    /// where the vocabulary asks for it, never EOS. A text is never read as control tokens; it can still
    /// imitate a turn ("\nUser:
    /// ..."), which the plain format has no means to prevent. Throws Error for another role.
    ///
    /// What a longer conversation shares with a shorter one (so that the KV cache is reused):
    /// 1. encode(turns) is always a prefix of encode(turns + answer + anything), whatever the texts hold: the
    /// parts
    ///    are encoded alone, so nothing written later changes ids before it.
    /// 2. Where answer.ids are the ids the model wrote, encode(turns) + answer.ids is a prefix of it too.
    /// 3. With answer.text instead, that holds as far as encoding the text gives the ids the model wrote,
    /// which it
    ///    does not where the model chose another spelling of the same text.
    std::vector<int32_t> encode(const std::vector<Turn>& turns) const;

    /// Strings that end an answer when the model writes them ("\nUser:"); they are not shown.
    const std::vector<std::string>& stops() const { return stops_; }

  private:
    const Tokenizer& tokenizer_;
    std::vector<std::string> stops_;
};

} // namespace kvasir
