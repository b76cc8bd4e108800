#pragma once

#include "runtime/text/tokenizer.hpp"

#include <string>
#include <vector>

namespace kvasir {

struct Turn {
    std::string role; ///< "system", "user" or "assistant"
    std::string text;
    std::vector<int32_t> ids = {}; ///< of an answer as it was generated; empty: the text is encoded
};

/// The conversation as the model should read it, and what ends an answer.
class ChatFormat {
  public:
    /// The plain format, for a model without a template: "User: ...\nAssistant: ...\n".
    explicit ChatFormat(const Tokenizer& tokenizer);

    /// Ids of all turns, followed by the opening of the assistant's next one. A text a user wrote is never
    /// read as control tokens. The ids of a longer conversation begin with those of a shorter one wherever
    /// the answer was kept as ids (so the KV cache is reused).
    std::vector<int32_t> encode(const std::vector<Turn>& turns) const;

    /// Strings that end an answer when the model writes them ("\nUser:"); they are not shown.
    const std::vector<std::string>& stops() const { return stops_; }

  private:
    const Tokenizer& tokenizer_;
    std::vector<std::string> stops_;
};

} // namespace kvasir
