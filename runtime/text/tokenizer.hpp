#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/text/utf8.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Text to token ids and back, from the vocabulary in a model file (GGUF keys tokenizer.ggml.*). Models
/// "llama" (SentencePiece-style BPE with byte fallback) and "gpt2" (byte-level BPE with a named
/// pre-tokenizer); another model or pre-tokenizer is refused by name. May be used from many threads at once.
///
/// A text is bytes: NUL is a character like any other, and bytes that are not UTF-8 become the tokens of
/// those bytes. decode(encode(text)) is text again for every vocabulary with a token for each byte; for
/// SentencePiece that needs the piece U+2581 too, and a text without U+2581, which stands for a space there.
class Tokenizer {
  public:
    /// Throws Error where the vocabulary is not whole and consistent.
    explicit Tokenizer(const Metadata& metadata);
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    /// Ids of a text. add_special puts BOS (and EOS) where the vocabulary asks for it; parse_special reads
    /// the text of control tokens ("<|im_end|>") as those tokens, else it is plain text. User-defined tokens
    /// are always read as such; of several that match at one place, the longest. Throws Error for a text that
    /// the vocabulary has no tokens for, and for 4 GiB or more.
    std::vector<int32_t> encode(std::string_view text, bool add_special, bool parse_special) const;

    /// Ids of a text that goes on after other ids: no BOS or EOS, no control tokens, and no space before it.
    std::vector<int32_t> encode_inside(std::string_view text) const;

    /// Bytes begin to end - 1 of a text.
    struct Range {
        std::size_t begin, end;
    };

    /// Ids of a text that is in part someone else's: control tokens are read as in encode with parse_special,
    /// but none that has a byte in one of `plain`, which are in order and apart. inside: the text goes on
    /// after other ids, as in encode_inside.
    std::vector<int32_t> encode_around(std::string_view text, std::span<const Range> plain,
                                       bool inside) const;

    /// The control or user-defined token at the front of a text, -1 where there is none.
    int32_t special_at_front(std::string_view text) const;

    /// The bytes of one token as they stand inside a text; control tokens give "", the unknown token " \u2047
    /// " as in SentencePiece. Throws Error for an id that is none, as do decode and label.
    std::string piece(int32_t id) const;

    /// The text of ids: the pieces joined; a SentencePiece vocabulary drops the one space it puts before a
    /// text (and before each text after a special token).
    std::string decode(std::span<const int32_t> ids) const;

    /// The token's own text, control tokens too ("<s>", "<0x0A>"): for labels and tables.
    const std::string& label(int32_t id) const;

    int32_t n_vocab() const;
    int32_t bos() const;  ///< -1 where the vocabulary has none
    int32_t eos() const;  ///< -1 where the vocabulary has none
    bool add_bos() const; ///< key add_bos_token; without it: yes for "llama" with a BOS, no for "gpt2"
    bool is_end(int32_t id) const; ///< EOS, end of turn, end of text: generation stops here
    int32_t
    find(std::string_view label) const; ///< id of the token with this own text, -1 where there is none

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace kvasir
