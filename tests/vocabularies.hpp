#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/text/utf8.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

/// A token of a vocabulary that a test writes down.
struct TestToken {
    std::string label;
    double score = 0;
    int64_t type = 1; ///< as key token_type: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
};

inline Metadata vocabulary_of(const std::string& model, const std::vector<TestToken>& tokens) {
    std::vector<std::string> labels;
    std::vector<double> scores;
    std::vector<int64_t> types;
    for (const TestToken& token : tokens) {
        labels.push_back(token.label);
        scores.push_back(token.score);
        types.push_back(token.type);
    }
    Metadata metadata;
    metadata.values["tokenizer.ggml.model"] = model;
    metadata.values["tokenizer.ggml.tokens"] = labels;
    metadata.values["tokenizer.ggml.token_type"] = types;
    if (model == "llama") metadata.values["tokenizer.ggml.scores"] = scores;
    return metadata;
}

/// A SentencePiece vocabulary: <unk>, <s>, </s> as ids 0, 1, 2, then the tokens.
inline Metadata spm_vocabulary(std::vector<TestToken> tokens) {
    tokens.insert(tokens.begin(), {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}});
    Metadata metadata = vocabulary_of("llama", tokens);
    metadata.values["tokenizer.ggml.bos_token_id"] = int64_t{1};
    metadata.values["tokenizer.ggml.eos_token_id"] = int64_t{2};
    metadata.values["tokenizer.ggml.unknown_token_id"] = int64_t{0};
    return metadata;
}

/// The 256 tokens "<0x00>" to "<0xFF>".
inline std::vector<TestToken> spm_bytes() {
    std::vector<TestToken> tokens;
    for (int byte = 0; byte < 256; ++byte) {
        const auto digit = [](int n) { return static_cast<char>(n < 10 ? '0' + n : 'A' + n - 10); };
        tokens.push_back({std::string("<0x") + digit(byte / 16) + digit(byte % 16) + ">", 0, 6});
    }
    return tokens;
}

/// A byte-level vocabulary of these labels and merges ("a b").
inline Metadata bpe_vocabulary(const std::vector<TestToken>& tokens, const std::vector<std::string>& merges) {
    Metadata metadata = vocabulary_of("gpt2", tokens);
    metadata.values["tokenizer.ggml.merges"] = merges;
    metadata.values["tokenizer.ggml.pre"] = std::string("gpt-2");
    return metadata;
}

/// The 256 labels of single bytes, token i for byte i, written from the description of GPT-2's table: "!" to
/// "~", U+00A1 to U+00AC and U+00AE to U+00FF are themselves, the others U+0100, U+0101, ... in order.
inline std::vector<TestToken> bpe_bytes() {
    std::vector<TestToken> tokens;
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool itself = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        tokens.push_back({utf8(itself ? byte : next++)});
    }
    return tokens;
}

} // namespace kvasir
