#include "runtime/text/bpe.hpp"

#include "runtime/error.hpp"
#include "runtime/text/merge_line.hpp"
#include "runtime/text/utf8.hpp"
#include "runtime/text/word_cache.hpp"

#include <algorithm>

namespace kvasir {

namespace {

constexpr const char* reading = "reading the byte-level vocabulary";
constexpr const char* again = "another copy of the model, or converting it again";

/// GPT-2's table: bytes that print in Latin-1 stand for themselves, the other 68, in order, for U+0100
/// onwards. Source: encoder.py of GPT-2's release, bytes_to_unicode.
struct ByteAlphabet {
    std::array<char32_t, 256> character;
    std::array<int, 0x144> byte; ///< -1 for a character outside

    ByteAlphabet() {
        byte.fill(-1);
        char32_t next = 0x100;
        for (char32_t b = 0; b < 256; ++b) {
            const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xFF && b != 0xAD);
            character[b] = prints ? b : next++;
            byte[character[b]] = static_cast<int>(b);
        }
    }
};

const ByteAlphabet& alphabet() {
    static const ByteAlphabet table;
    return table;
}

PreTokenizer pre_tokenizer_of(const Metadata& metadata) {
    if (metadata.texts("tokenizer.json.split_patterns")) return PreTokenizer(split_steps(metadata));
    const auto name = metadata.text("tokenizer.ggml.pre");
    if (!name)
        throw Error(reading, "the file does not name its pre-tokenizer (key tokenizer.ggml.pre)",
                    "converting the model again with a current converter");
    return PreTokenizer(*name);
}

} // namespace

/// What one call of encode keeps: before each step of the pre-tokenizer, and after the last, the words met
/// there, so that a text's repeated words skip all that would follow.
struct BpeCodec::Work {
    explicit Work(std::size_t n_steps) : caches(n_steps + 1), words(n_steps) {}

    std::vector<WordCache> caches;
    std::vector<std::vector<std::string_view>> words; ///< that a step made
    PreTokenizer::Scratch scratch;
    Merger merger;
};

BpeCodec::BpeCodec(const Vocabulary& vocabulary, const Metadata& metadata)
    : vocabulary_(vocabulary), pre_tokenizer_(pre_tokenizer_of(metadata)),
      space_before_(metadata.flag("tokenizer.ggml.add_space_prefix").value_or(false)),
      whole_words_(metadata.flag("tokenizer.json.ignore_merges").value_or(false)) {
    read_bytes();
    read_merges(metadata);
}

void BpeCodec::read_bytes() {
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte) {
        const int32_t id = vocabulary_.find(utf8(alphabet().character[byte]));
        // A user-defined token is a text of its own: DeepSeek's "õ" is that letter, not the byte it would
        // stand for.
        const bool text =
            id >= 0 && (vocabulary_.is(id, TokenType::normal) || vocabulary_.is(id, TokenType::unused));
        bytes_[byte] = text ? id : -1;
    }
}

void BpeCodec::read_merges(const Metadata& metadata) {
    const std::vector<std::string>* lines = metadata.texts("tokenizer.ggml.merges");
    if (!lines) throw Error(reading, "key tokenizer.ggml.merges is missing", again);
    merges_.reserve(lines->size());
    for (std::size_t i = 0; i < lines->size(); ++i) {
        const MergeLine line((*lines)[i], i, vocabulary_, reading);
        // A text that a user wrote must never become a control token.
        if (vocabulary_.is(line.merged, TokenType::control) ||
            vocabulary_.is(line.merged, TokenType::unknown))
            throw Error(reading,
                        "merge " + std::to_string(i) + ", " + quoted((*lines)[i]) + ", makes a control token",
                        again);
        // Their labels are text as it stands, which is found before merging; one spelt in byte characters is
        // not that.
        if (vocabulary_.is(line.merged, TokenType::user_defined)) continue;
        merges_.add(line.left, line.right,
                    {static_cast<uint32_t>(i), line.merged}); // of two equal lines the first counts
    }
}

void BpeCodec::encode(std::string_view text, bool after_break, std::vector<int32_t>& ids) const {
    std::string spaced;
    if (space_before_ && after_break && !text.starts_with(' ')) text = spaced = " " + std::string(text);
    Work work(pre_tokenizer_.steps());
    while (!text.empty()) {
        const std::size_t valid = valid_prefix(text);
        if (valid > 0) encode_part(work, 0, text.substr(0, valid), ids);
        text.remove_prefix(valid);
        std::size_t invalid = 0;
        while (invalid < text.size()) {
            const Utf8Unit unit = next_unit(text.substr(invalid));
            if (unit.kind == Utf8Unit::Kind::character) break;
            invalid += unit.size;
        }
        if (invalid > 0) encode_word(work.merger, text.substr(0, invalid), ids);
        text.remove_prefix(invalid);
    }
}

void BpeCodec::encode_part(Work& work, std::size_t step, std::string_view part,
                           std::vector<int32_t>& ids) const {
    WordCache& cache = work.caches[step];
    if (cache.repeat(part, ids)) return;
    const std::size_t begin = ids.size();
    if (step == pre_tokenizer_.steps()) {
        encode_word(work.merger, part, ids);
    } else {
        std::vector<std::string_view>& words = work.words[step];
        words.clear();
        pre_tokenizer_.split_step(step, part, work.scratch, words);
        for (const std::string_view word : words) encode_part(work, step + 1, word, ids);
    }
    cache.remember(part, begin, ids);
}

void BpeCodec::encode_word(Merger& merger, std::string_view word, std::vector<int32_t>& ids) const {
    if (whole_words_) {
        std::string label;
        for (const char byte : word) label += utf8(alphabet().character[static_cast<unsigned char>(byte)]);
        const int32_t id = vocabulary_.find(label);
        if (id >= 0 && vocabulary_.is(id, TokenType::normal)) return ids.push_back(id);
    }
    merger.clear();
    for (std::size_t i = 0; i < word.size(); ++i)
        merger.push(bytes_[static_cast<unsigned char>(word[i])], static_cast<uint32_t>(i),
                    static_cast<uint32_t>(i + 1));
    for (const Merger::Symbol& symbol : merger.run(merges_)) {
        if (symbol.id < 0 && vocabulary_.unknown < 0)
            throw Error("encoding a text",
                        "the vocabulary has no token for the byte " + quoted(word.substr(symbol.begin, 1)) +
                            " and no unknown token",
                        "another text or model");
        ids.push_back(symbol.id < 0 ? vocabulary_.unknown : symbol.id);
    }
}

std::string BpeCodec::piece(int32_t id) const {
    const std::string& label = vocabulary_.labels[static_cast<std::size_t>(id)];
    if (vocabulary_.is(id, TokenType::user_defined)) return label;
    std::string bytes;
    for (std::string_view rest = label; !rest.empty();) {
        const Utf8Unit unit = next_unit(rest);
        const bool whole = unit.kind == Utf8Unit::Kind::character;
        const char32_t c = whole ? code_point(rest.substr(0, unit.size)) : 0x10FFFF;
        // A label with a character outside the alphabet was added as plain text.
        if (c >= alphabet().byte.size() || alphabet().byte[c] < 0) return label;
        bytes += static_cast<char>(static_cast<unsigned char>(alphabet().byte[c]));
        rest.remove_prefix(unit.size);
    }
    return bytes;
}

} // namespace kvasir
