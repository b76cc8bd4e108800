#include "runtime/text/spm.hpp"

#include "runtime/error.hpp"
#include "runtime/text/merge_line.hpp"
#include "runtime/text/utf8.hpp"
#include "runtime/text/word_cache.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvasir {

namespace {

constexpr std::string_view space_mark = "\xE2\x96\x81"; // U+2581, how SentencePiece writes a space
constexpr const char* reading = "reading the SentencePiece vocabulary";
constexpr const char* again = "another copy of the model, or converting it again";
// Every split of a piece is looked up at load, so a hostile file could make that quadratic. SentencePiece's
// own limit is 16 characters unless the trainer raised it; the longest pieces in use are runs of 128 dashes.
constexpr std::size_t longest_piece = 512; // bytes

std::string with_spaces(std::string_view label) {
    std::string text;
    for (std::size_t at = 0; at < label.size();) {
        const bool space = label.substr(at, space_mark.size()) == space_mark;
        text += space ? ' ' : label[at];
        at += space ? space_mark.size() : 1;
    }
    return text;
}

/// The character at the front of a text: what is not UTF-8 counts byte by byte.
std::string_view next_character(std::string_view text) {
    const Utf8Unit unit = next_unit(text.substr(0, 4));
    return text.substr(0, unit.kind == Utf8Unit::Kind::character ? unit.size : 1);
}

std::size_t pair_of(std::string_view left, std::string_view right) {
    const auto last = static_cast<unsigned char>(left == space_mark ? ' ' : left.back());
    const auto first = static_cast<unsigned char>(right == space_mark ? ' ' : right.front());
    return static_cast<std::size_t>(last) << 8 | first;
}

/// 0 for the best score, the same number for equal scores.
std::vector<uint32_t> ranks_of(const std::vector<double>& scores) {
    std::vector<uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
    std::vector<uint32_t> ranks(scores.size());
    for (std::size_t i = 1; i < order.size(); ++i)
        ranks[order[i]] = ranks[order[i - 1]] + (scores[order[i]] < scores[order[i - 1]] ? 1 : 0);
    return ranks;
}

const std::vector<double>& scores_of(const Metadata& metadata, std::size_t n) {
    const std::vector<double>* scores = metadata.reals("tokenizer.ggml.scores");
    if (!scores || scores->size() != n)
        throw Error(reading,
                    (scores ? std::to_string(scores->size()) : "no") + " scores for " + std::to_string(n) +
                        " tokens",
                    again);
    for (std::size_t i = 0; i < n; ++i)
        if (!std::isfinite((*scores)[i]))
            throw Error(reading, "the score of token " + std::to_string(i) + " is not a finite number",
                        again);
    return *scores;
}

} // namespace

SpmCodec::SpmCodec(const Vocabulary& vocabulary, const Metadata& metadata) : vocabulary_(vocabulary) {
    if (!metadata.flag("tokenizer.ggml.add_space_prefix").value_or(true))
        space_ = Space::none;
    else if (metadata.flag("tokenizer.json.space_at_start_only").value_or(false))
        space_ = Space::first;
    doubles_space_ = !metadata.flag("tokenizer.json.one_space_at_start").value_or(false);
    space_begins_word_ = metadata.flag("tokenizer.json.space_begins_word").value_or(false);
    read_bytes();
    read_pieces();
    joined_ = std::make_unique<std::bitset<65536>>();
    if (const auto* merges = metadata.texts("tokenizer.ggml.merges");
        merges && !metadata.reals("tokenizer.ggml.scores"))
        read_merges(*merges);
    else
        build_merges(ranks_of(scores_of(metadata, vocabulary.labels.size())));
}

void SpmCodec::read_bytes() {
    bytes_.fill(-1);
    std::size_t n_bytes = 0;
    for (int byte = 0; byte < 256; ++byte) {
        const int32_t id = vocabulary_.find(byte_label(byte));
        if (id < 0 || !vocabulary_.is(id, TokenType::byte)) continue;
        bytes_[static_cast<std::size_t>(byte)] = id;
        byte_of_[id] = static_cast<char>(static_cast<unsigned char>(byte));
        ++n_bytes;
    }
    for (int32_t id = 0; id < vocabulary_.size(); ++id)
        if (vocabulary_.is(id, TokenType::byte) && !byte_of_.contains(id))
            throw Error(reading,
                        "token " + std::to_string(id) + " has the type of a byte but the name " +
                            quoted(vocabulary_.labels[static_cast<std::size_t>(id)]) +
                            " (expected <0x00> to <0xFF>)",
                        again);
    byte_complete_ = n_bytes == 256;
}

void SpmCodec::read_pieces() {
    texts_.reserve(vocabulary_.labels.size());
    symbols_.reserve(vocabulary_.labels.size());
    for (int32_t id = 0; id < vocabulary_.size(); ++id) {
        const std::string& label = vocabulary_.labels[static_cast<std::size_t>(id)];
        texts_.push_back(with_spaces(label));
        // As in SentencePiece, control, unknown and byte tokens are never made from text. A label with a real
        // space is a user-defined token, taken out of the text before: merging writes spaces as U+2581 and
        // cannot reach it.
        if (vocabulary_.is(id, TokenType::control) || vocabulary_.is(id, TokenType::unknown) ||
            vocabulary_.is(id, TokenType::byte) || label.find(' ') != std::string::npos)
            continue;
        if (label.size() > longest_piece)
            throw Error(reading,
                        "token " + std::to_string(id) + " has " + std::to_string(label.size()) +
                            " bytes (at most " + std::to_string(longest_piece) + ")",
                        again);
        symbols_.insert(texts_.back(), id);
        pieces_.push_back(id);
    }
    // A character that only occurs inside pieces is a symbol too, one that is no token: "n" + "o" may make a
    // piece "no" in a vocabulary without "n".
    for (const int32_t id : pieces_)
        for (std::string_view rest = texts_[static_cast<std::size_t>(id)]; !rest.empty();) {
            const std::string_view character = next_character(rest);
            rest.remove_prefix(character.size());
            const auto symbol = static_cast<int64_t>(vocabulary_.size()) + n_characters_;
            if (symbol <= INT32_MAX && !symbols_.insert(character, static_cast<int32_t>(symbol)))
                ++n_characters_;
        }
    for (std::size_t c = 0; c < ascii_.size(); ++c) {
        const char character = static_cast<char>(c);
        const int32_t* symbol = symbols_.find(std::string_view(&character, 1));
        ascii_[c] = symbol ? *symbol : -1;
    }
}

void SpmCodec::build_merges(const std::vector<uint32_t>& ranks) {
    merges_.reserve(pieces_.size() * 2);
    for (const int32_t id : pieces_) {
        const std::string_view text = texts_[static_cast<std::size_t>(id)];
        std::string_view left = next_character(text);
        for (std::size_t cut = left.size(); cut < text.size();) {
            const std::string_view right = next_character(text.substr(cut));
            joined_->set(pair_of(left, right));
            const int32_t* head = symbols_.find(text.substr(0, cut));
            const int32_t* tail = head ? symbols_.find(text.substr(cut)) : nullptr;
            if (tail) merges_.add(*head, *tail, {ranks[static_cast<std::size_t>(id)], id});
            left = right;
            cut += right.size();
        }
    }
}

void SpmCodec::read_merges(const std::vector<std::string>& lines) {
    merges_.reserve(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const MergeLine line(lines[i], i, vocabulary_, reading);
        // A text that a user wrote must never become a control token, nor a byte's.
        const TokenType type = vocabulary_.types[static_cast<std::size_t>(line.merged)];
        if (type == TokenType::control || type == TokenType::unknown || type == TokenType::byte) continue;
        merges_.add(line.left, line.right, {static_cast<uint32_t>(i), line.merged});
        const std::string_view left = texts_[static_cast<std::size_t>(line.left)];
        joined_->set(pair_of(left, texts_[static_cast<std::size_t>(line.right)]));
    }
}

int32_t SpmCodec::symbol_of(std::string_view character) const {
    const auto first = static_cast<unsigned char>(character[0]);
    if (first < 0x80) return ascii_[first];
    if (character == space_mark) return ascii_[' '];
    const int32_t* symbol = symbols_.find(character);
    return symbol ? *symbol : -1;
}

std::size_t SpmCodec::word_end(std::string_view text, std::size_t begin) const {
    std::string_view left = next_character(text.substr(begin));
    std::size_t end = begin + left.size();
    while (end < text.size()) {
        const std::string_view right = next_character(text.substr(end));
        if (!joined_->test(pair_of(left, right))) break;
        if (space_begins_word_ && (right == " " || right == space_mark)) break;
        end += right.size();
        left = right;
    }
    return end;
}

void SpmCodec::encode(std::string_view text, bool after_break, std::vector<int32_t>& ids) const {
    const std::size_t first_id = ids.size();
    WordCache cache;
    Merger merger;
    bool space_before = after_break && space_ != Space::none &&
                        (doubles_space_ || !(text.starts_with(' ') || text.starts_with(space_mark)));
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = word_end(text, at);
        const std::string_view word = text.substr(at, end - at);
        at = end;
        if (!space_before && cache.repeat(word, ids)) continue;
        const std::size_t begin = ids.size();
        encode_word(merger, word, space_before, ids);
        if (!space_before) cache.remember(word, begin, ids);
        space_before = false;
    }
    if (byte_complete_) return;
    const auto both_unknown = [&](int32_t a, int32_t b) { return a == vocabulary_.unknown && a == b; };
    ids.erase(std::unique(ids.begin() + static_cast<std::ptrdiff_t>(first_id), ids.end(), both_unknown),
              ids.end());
}

void SpmCodec::encode_word(Merger& merger, std::string_view word, bool space_before,
                           std::vector<int32_t>& ids) const {
    merger.clear();
    if (space_before) merger.push(ascii_[' '], 0, 0);
    for (std::size_t at = 0; at < word.size();) {
        const std::string_view character = next_character(word.substr(at));
        const auto end = at + character.size();
        merger.push(symbol_of(character), static_cast<uint32_t>(at), static_cast<uint32_t>(end));
        at = end;
    }
    for (const Merger::Symbol& symbol : merger.run(merges_)) {
        if (symbol.id >= 0 && symbol.id < vocabulary_.size())
            ids.push_back(symbol.id);
        else if (symbol.begin == symbol.end) // the space put before
            emit(" ", ids);
        else
            emit(word.substr(symbol.begin, symbol.end - symbol.begin), ids);
    }
}

void SpmCodec::emit(std::string_view character, std::vector<int32_t>& ids) const {
    const std::string_view bytes = character == " " ? space_mark : character;
    const auto id_of = [&](char byte) { return bytes_[static_cast<unsigned char>(byte)]; };
    if (std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return id_of(byte) >= 0; })) {
        for (const char byte : bytes) ids.push_back(id_of(byte));
    } else if (vocabulary_.unknown >= 0) {
        ids.push_back(vocabulary_.unknown);
    } else {
        throw Error("encoding a text",
                    "the vocabulary has no token for " + quoted(character) +
                        ", no byte tokens, and no unknown token",
                    "another text or model");
    }
}

std::string SpmCodec::piece(int32_t id) const {
    if (const auto byte = byte_of_.find(id); byte != byte_of_.end()) return {byte->second};
    return texts_[static_cast<std::size_t>(id)];
}

} // namespace kvasir
