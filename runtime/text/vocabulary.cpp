#include "runtime/text/vocabulary.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <array>

namespace kvasir {

namespace {

constexpr const char* reading = "reading the vocabulary";
constexpr const char* again = "another copy of the model, or converting it again";

/// The published names of control tokens that end a turn or a text. Files name one or two of them by key, yet
/// a model may write any: Qwen's chat models end a turn with <|im_end|> and a text with <|endoftext|>.
constexpr std::array<std::string_view, 9> end_labels = {
    "<|endoftext|>",         // GPT-2, Falcon, Qwen
    "<|im_end|>",            // ChatML: Qwen, MiniMind
    "<|end_of_text|>",       // Llama 3
    "<|eot_id|>",            // Llama 3
    "<|eom_id|>",            // Llama 3.1
    "<end_of_turn>",         // Gemma
    "<|end|>",               // Phi-3
    "<|EOT|>",               // DeepSeek Coder
    "<｜end▁of▁sentence｜>", // DeepSeek
};

/// An id under key that must be one of the vocabulary; -1 where the key is absent or says "none".
int32_t special_id(const Metadata& metadata, const std::string& key, std::size_t n_tokens) {
    const auto id = metadata.integer(key);
    // Converters write -1 for "none" into a key of type uint32.
    if (!id || *id == -1 || *id == 0xFFFFFFFF) return -1;
    if (*id < 0 || static_cast<uint64_t>(*id) >= n_tokens)
        throw Error(reading,
                    "key " + key + " is " + std::to_string(*id) + " in a vocabulary of " +
                        std::to_string(n_tokens) + " tokens",
                    again);
    return static_cast<int32_t>(*id);
}

} // namespace

std::string byte_label(int byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    return {'<', '0', 'x', digits[byte >> 4 & 15], digits[byte & 15], '>'};
}

Vocabulary::Vocabulary(const Metadata& metadata) : model(metadata.need_text("tokenizer.ggml.model")) {
    const std::vector<std::string>* tokens = metadata.texts("tokenizer.ggml.tokens");
    std::vector<std::string> numbers; // a model without a vocabulary names its tokens by their ids
    if (model == "no_vocab") {
        const int64_t n = metadata.need_integer(metadata.need_text("general.architecture") + ".vocab_size");
        for (int64_t id = 0; id < std::min<int64_t>(n, 1 << 24); ++id) numbers.push_back(std::to_string(id));
        tokens = &numbers;
    }
    if (!tokens || tokens->empty())
        throw Error(reading, "key tokenizer.ggml.tokens is missing or empty", again);
    if (tokens->size() > INT32_MAX)
        throw Error(reading, std::to_string(tokens->size()) + " tokens, more than ids of 32 bits can name",
                    again);
    labels = *tokens;
    ids.reserve(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i].empty()) throw Error(reading, "token " + std::to_string(i) + " is empty", again);
        if (const int32_t* first = ids.insert(labels[i], static_cast<int32_t>(i)))
            throw Error(reading,
                        "tokens " + std::to_string(*first) + " and " + std::to_string(i) + " are both " +
                            quoted(labels[i]),
                        again);
    }
    read_types(metadata);
    read_ids(metadata);
    read_ends(metadata);
    read_rules(metadata);
}

int32_t Vocabulary::find(std::string_view label) const {
    const int32_t* id = ids.find(label);
    return id ? *id : -1;
}

void Vocabulary::read_types(const Metadata& metadata) {
    types.assign(labels.size(), TokenType::normal);
    const std::vector<int64_t>* numbers = metadata.integers("tokenizer.ggml.token_type");
    if (!numbers) return;
    if (numbers->size() != labels.size())
        throw Error(reading,
                    std::to_string(numbers->size()) + " token types for " + std::to_string(labels.size()) +
                        " tokens",
                    again);
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const int64_t number = (*numbers)[i];
        if (number < static_cast<int64_t>(TokenType::normal) ||
            number > static_cast<int64_t>(TokenType::byte))
            throw Error(reading,
                        "token " + std::to_string(i) + " has the unknown type " + std::to_string(number) +
                            " (known: 1 to 6)",
                        again);
        types[i] = static_cast<TokenType>(number);
    }
}

void Vocabulary::read_ids(const Metadata& metadata) {
    bos = special_id(metadata, "tokenizer.ggml.bos_token_id", labels.size());
    eos = special_id(metadata, "tokenizer.ggml.eos_token_id", labels.size());
    unknown = special_id(metadata, "tokenizer.ggml.unknown_token_id", labels.size());
    if (unknown < 0) {
        const auto at = std::find(types.begin(), types.end(), TokenType::unknown);
        if (at != types.end()) unknown = static_cast<int32_t>(at - types.begin());
    }
    if (!metadata.integers("tokenizer.ggml.token_type") && model != "no_vocab") infer_types();
    // GPT-2's files name <|endoftext|> here, which a text must never become.
    if (unknown >= 0 && is(unknown, TokenType::control)) unknown = -1;
    const auto wanted = [&](const std::string& key, int32_t id, bool otherwise) {
        const auto flag = metadata.flag(key);
        if (flag.value_or(false) && id < 0)
            throw Error(reading, "key " + key + " asks for a token that the vocabulary does not name", again);
        return flag.value_or(otherwise && id >= 0);
    };
    // SentencePiece's LLaMA vocabularies begin a text with BOS; byte-level ones do not unless they say so.
    add_bos = wanted("tokenizer.ggml.add_bos_token", bos, model == "llama");
    add_eos = wanted("tokenizer.ggml.add_eos_token", eos, false);
}

void Vocabulary::infer_types() {
    const auto set = [&](int32_t id, TokenType type) {
        if (id >= 0) types[static_cast<std::size_t>(id)] = type;
    };
    set(bos, TokenType::control);
    set(eos, TokenType::control);
    set(unknown, TokenType::unknown);
    if (model != "llama") return;
    for (int byte = 0; byte < 256; ++byte) set(find(byte_label(byte)), TokenType::byte);
}

void Vocabulary::read_ends(const Metadata& metadata) {
    const auto add = [&](int32_t id) {
        if (id >= 0 && std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
    };
    add(eos);
    add(special_id(metadata, "tokenizer.ggml.eot_token_id", labels.size()));
    add(special_id(metadata, "tokenizer.ggml.eom_token_id", labels.size()));
    if (const auto* more = metadata.integers("tokenizer.json.end_token_ids"))
        for (const int64_t id : *more)
            if (id >= 0 && id < size()) add(static_cast<int32_t>(id));
    for (const std::string_view label : end_labels)
        if (const int32_t id = find(label); id >= 0 && is(id, TokenType::control)) add(id);
}

void Vocabulary::read_rules(const Metadata& metadata) {
    const auto read = [&](const std::string& key, bool FindRule::*flag) {
        if (const auto* list = metadata.integers("tokenizer.json." + key))
            for (const int64_t id : *list)
                if (id >= 0 && id < size()) rules[static_cast<int32_t>(id)].*flag = true;
    };
    read("lstrip", &FindRule::lstrip);
    read("rstrip", &FindRule::rstrip);
    read("single_word", &FindRule::single_word);
    read("normalized", &FindRule::normalized);
}

} // namespace kvasir
