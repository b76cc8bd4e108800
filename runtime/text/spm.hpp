#pragma once

#include "runtime/text/merge.hpp"
#include "runtime/text/text_codec.hpp"
#include "runtime/text/vocabulary.hpp"

#include <array>
#include <bitset>
#include <memory>
#include <unordered_map>

namespace kvasir {

/// Model "llama": SentencePiece's BPE. A text is its characters, a space written as U+2581; the neighbours
/// whose union has the best score are merged, the leftmost of equals. A character that is no piece becomes
/// its bytes (tokens "<0x00>" to "<0xFF>"), or the unknown token (one for a run of such characters) where the
/// vocabulary has no bytes; without that too, Error. Bytes that are not UTF-8 go the same way, one by one.
/// Where the file lists merges (tokenizer.json does), their order counts in place of scores.
/// U+2581 in a text cannot be told from a space, here as in SentencePiece.
/// Source: SentencePiece, src/bpe_model.cc and doc/special_symbols.md; Kudo and Richardson (2018), section 3.
class SpmCodec : public TextCodec {
  public:
    /// vocabulary stays alive and in place as long as the codec does.
    SpmCodec(const Vocabulary& vocabulary, const Metadata& metadata);

    void encode(std::string_view text, bool after_break, std::vector<int32_t>& ids) const override;
    std::string piece(int32_t id) const override;
    Space space() const override { return space_; }

  private:
    void read_bytes();
    void read_pieces();
    void build_merges(const std::vector<uint32_t>& ranks);
    void read_merges(const std::vector<std::string>& lines);
    void encode_word(Merger& merger, std::string_view word, bool space_before,
                     std::vector<int32_t>& ids) const;
    void emit(std::string_view character, std::vector<int32_t>& ids) const;
    int32_t symbol_of(std::string_view character) const;

    /// One past the last byte of the word at begin: texts are cut where no piece of the vocabulary has such
    /// neighbours, so that no merge could cross, and the parts are encoded alone.
    std::size_t word_end(std::string_view text, std::size_t begin) const;

    const Vocabulary& vocabulary_;
    Space space_ = Space::every;
    bool doubles_space_ = true; ///< a space is put also before a text that begins with one
    bool space_begins_word_ = false;
    std::vector<std::string> texts_;               ///< of each token: its label with U+2581 as a space
    std::vector<int32_t> pieces_;                  ///< the tokens that merging may make
    HashTable<std::string_view, int32_t> symbols_; ///< their texts, and single characters that occur in them
    int32_t n_characters_ = 0;                     ///< of the latter: symbols n_vocab, n_vocab + 1, ...
    std::array<int32_t, 128> ascii_; ///< symbols_ for characters of one byte, -1 where there is none
    MergeTable merges_;
    std::array<int32_t, 256> bytes_; ///< the token of a byte, -1 where there is none
    std::unordered_map<int32_t, char> byte_of_;
    bool byte_complete_ = false;
    std::unique_ptr<std::bitset<65536>> joined_; ///< (last byte, first byte) of neighbours inside some piece
};

} // namespace kvasir
