#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Where a vocabulary puts a space before a text: nowhere; at its beginning and after every special token;
/// only at its beginning.
enum class Space { none, every, first };

/// How one tokenizer model reads and writes text that holds no special tokens.
class TextCodec {
  public:
    virtual ~TextCodec() = default;

    /// Appends the ids of a text. after_break: the text begins a string or follows a special token, where
    /// some vocabularies put a space before it.
    virtual void encode(std::string_view text, bool after_break, std::vector<int32_t>& ids) const = 0;

    /// The bytes of a token that stands for text.
    virtual std::string piece(int32_t id) const = 0;

    /// Where encode puts a space that decoding takes away.
    virtual Space space() const = 0;
};

} // namespace kvasir
