#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/text/hash_table.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvasir {

/// What a token is, as key tokenizer.ggml.token_type numbers it. Source: GGUF specification, "Tokenizer"; the
/// kinds themselves: sentencepiece_model.proto, ModelProto.SentencePiece.Type.
enum class TokenType : uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
};

/// How a token that is taken out of a text before anything else is found. Source: huggingface/tokenizers,
/// AddedToken.
struct FindRule {
    bool lstrip = false, rstrip = false; ///< white space before, after it goes with it
    bool single_word = false;            ///< not beside a letter, digit or underscore
    bool normalized = false; ///< its text is looked for in the normalised text, and normalised itself
};

/// The tokens of a model file and the ids with a meaning, checked; common to all tokenizer models.
/// Throws Error where tokens are missing, empty or there twice, where an array has another length than the
/// tokens, and where an id that text needs (BOS, EOS, unknown, the ends of a turn) lies outside. Ids of roles
/// that nothing here uses (padding, separator) are not looked at: published files hold 4294967295 there,
/// which is -1, "none".
struct Vocabulary {
    explicit Vocabulary(const Metadata& metadata);
    Vocabulary(const Vocabulary&) = delete; // `ids` points into `labels`

    int32_t size() const { return static_cast<int32_t>(labels.size()); }
    int32_t find(std::string_view label) const;
    bool is(int32_t id, TokenType type) const { return types[static_cast<std::size_t>(id)] == type; }

    FindRule rule(int32_t id) const {
        const auto it = rules.find(id);
        return it == rules.end() ? FindRule{} : it->second;
    }

    std::string model; ///< "llama", "gpt2", or "no_vocab": ids without text
    std::vector<std::string> labels;
    std::vector<TokenType> types;
    HashTable<std::string_view, int32_t> ids; ///< label -> id
    int32_t bos = -1;
    int32_t eos = -1;
    int32_t unknown = -1;
    std::vector<int32_t> ends; ///< ids at which generation stops
    std::unordered_map<int32_t, FindRule> rules;
    bool add_bos = false;
    bool add_eos = false;

  private:
    void read_types(const Metadata& metadata);
    void read_ids(const Metadata& metadata);
    void infer_types(); ///< where the file gives none, the special ids and the byte tokens' names tell them
    void read_ends(const Metadata& metadata);
    void read_rules(const Metadata& metadata);
};

/// The name of a SentencePiece token that stands for one byte: "<0x0A>".
std::string byte_label(int byte);

} // namespace kvasir
