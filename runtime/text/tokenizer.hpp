#pragma once

#include "runtime/file/model_file.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Text to token ids and back, from the vocabulary in a model file (GGUF keys tokenizer.ggml.*). Models "llama"
/// (SentencePiece-style BPE with byte fallback) and "gpt2" (byte-level BPE with a named pre-tokenizer); another
/// model or pre-tokenizer is refused by name.
class Tokenizer {
  public:
    explicit Tokenizer(const Metadata& metadata);
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    /// Ids of a text. add_special puts BOS (and EOS) where the vocabulary asks for it; parse_special reads the
    /// text of control tokens ("<|im_end|>") as those tokens, else it is plain text.
    std::vector<int32_t> encode(std::string_view text, bool add_special, bool parse_special) const;

    /// The bytes of one token as they stand inside a text; control tokens give "".
    std::string piece(int32_t id) const;

    /// The text of ids: the pieces joined; a SentencePiece vocabulary drops the one space it puts before a text.
    std::string decode(std::span<const int32_t> ids) const;

    /// The token's own text, control tokens too ("<s>", "<0x0A>"): for labels and tables.
    const std::string& label(int32_t id) const;

    int32_t n_vocab() const;
    int32_t bos() const;          ///< -1 where the vocabulary has none
    int32_t eos() const;          ///< -1 where the vocabulary has none
    bool add_bos() const;         ///< key add_bos_token; without it: yes for "llama", no for "gpt2"
    bool is_end(int32_t id) const; ///< EOS, end of turn, end of text: generation stops here
    int32_t find(std::string_view label) const; ///< id of the token with this own text, -1 where there is none

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Turns pieces into text that is always whole UTF-8: keeps back the bytes of an unfinished character; bytes that
/// can never become one are replaced by U+FFFD.
class Utf8Stream {
  public:
    std::string push(std::string_view bytes);
    std::string finish(); ///< what is still kept back, as U+FFFD where it is unfinished

  private:
    std::string pending_;
};

} // namespace kvasir
