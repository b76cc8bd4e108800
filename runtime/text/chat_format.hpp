#pragma once

#include "runtime/text/chat_template.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/text/turn.hpp"

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// The conversation as the model should read it, and what ends an answer.
class ChatFormat {
  public:
    /// The plain format, for a model without a template; tokenizer stays alive and in place. Each turn is a
    /// line of its own: "System: ...\n", "User: ...\n", "Assistant: ...\n".
    explicit ChatFormat(const Tokenizer& tokenizer);

    /// The model's own format: the Jinja template that its file has (key tokenizer.chat_template). Where it
    /// is empty, the plain format; where it cannot be used, the plain format and a notice that says why. now:
    /// the local time, which templates may write.
    ChatFormat(const Tokenizer& tokenizer, std::string_view chat_template, const std::tm& now);

    /// Ids of all turns, followed by the opening of the assistant's next one; before them BOS where the
    /// vocabulary asks for it, never EOS. A text is never read as control tokens; in the plain format it can
    /// still imitate a turn ("\nUser: ..."), which that has no means to prevent. Throws Error for a role
    /// other than system, user and assistant. A template that fails leaves the plain format from then on, and
    /// a notice.
    ///
    /// What a longer conversation shares with a shorter one (so that the KV cache is reused), in the plain
    /// format:
    /// 1. encode(turns) is always a prefix of encode(turns + answer + anything), whatever the texts hold: the
    ///    parts are encoded alone, so nothing written later changes ids before it.
    /// 2. Where answer.ids are the ids the model wrote, encode(turns) + answer.ids is a prefix of it too.
    /// 3. With answer.text instead, that holds as far as encoding the text gives the ids the model wrote,
    ///    which it does not where the model chose another spelling of the same text.
    /// With a template 1 and 2 hold for answers with ids, where it shows a turn the same way when it is new
    /// and later (most do; some take an answer's reasoning out once it is past). Texts are encoded with what
    /// stands around them, as the models were trained to read them.
    std::vector<int32_t> encode(const std::vector<Turn>& turns);

    /// Strings that end an answer when the model writes them ("\nUser:"); they are not shown.
    std::vector<std::string> stops() const;

    /// Ids that end an answer beside those that Tokenizer::is_end names.
    std::vector<int32_t> ends() const;

    /// What the user should be told and has not been, a line each: that the template cannot be used, that a
    /// system text went elsewhere.
    std::vector<std::string> take_notices();

  private:
    std::vector<int32_t> encode_plain(const std::vector<Turn>& turns) const;
    void give_up(const std::string& why);

    const Tokenizer& tokenizer_;
    std::optional<ChatTemplate> template_;
    bool told_system_ = false;
    std::vector<std::string> notices_;
};

} // namespace kvasir
