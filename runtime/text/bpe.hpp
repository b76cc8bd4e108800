#pragma once

#include "runtime/text/merge.hpp"
#include "runtime/text/pre_tokenizer.hpp"
#include "runtime/text/text_codec.hpp"
#include "runtime/text/vocabulary.hpp"

#include <array>

namespace kvasir {

/// Model "gpt2": byte-level BPE. A pre-tokenizer cuts the text into words; the bytes of a word are merged by
/// the vocabulary's list of merges, the earliest in the list first. Labels write each byte as a printable
/// character. A byte that is no token becomes the unknown token, and is an Error in a vocabulary without one.
/// Bytes that are not UTF-8 are words of their own. Source: Radford et al., "Language Models are Unsupervised
/// Multitask Learners" (2019), section 2.2, and encoder.py of its release.
class BpeCodec : public TextCodec {
  public:
    /// vocabulary stays alive and in place as long as the codec does.
    BpeCodec(const Vocabulary& vocabulary, const Metadata& metadata);

    void encode(std::string_view text, bool after_break, std::vector<int32_t>& ids) const override;
    std::string piece(int32_t id) const override;
    Space space() const override { return Space::none; }

  private:
    struct Work;

    void read_bytes();
    void read_merges(const Metadata& metadata);
    void encode_part(Work& work, std::size_t step, std::string_view part, std::vector<int32_t>& ids) const;
    void encode_word(Merger& merger, std::string_view word, std::vector<int32_t>& ids) const;

    const Vocabulary& vocabulary_;
    PreTokenizer pre_tokenizer_;
    bool space_before_; ///< a text that does not begin with a space gets one, which stays when it is decoded
    bool whole_words_;  ///< a word that is a token is that token, whatever its merges would give
    std::array<int32_t, 256> bytes_; ///< the token of a byte, -1 where there is none
    MergeTable merges_;
};

} // namespace kvasir
