#pragma once

#include "runtime/file/model_file.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace kvasir {

/// Adds a tokenizer.json's vocabulary to metadata, as keys tokenizer.ggml.* where GGUF has them and
/// tokenizer.json.* for what it has not; Tokenizer reads both. Runs model BPE, byte-level or
/// SentencePiece-style, with the normalizers, pre-tokenizers and post-processors that language models of the
/// known families have; every other component is refused by name. n_vocab: rows of the model's embedding, up
/// to which ids without a token get a made-up one; path is for messages. Throws Error. Source:
/// huggingface/tokenizers, serialised form of its components.
void read_tokenizer_json(const nlohmann::json& file, const std::string& path, uint64_t n_vocab,
                         Metadata& metadata);

} // namespace kvasir
