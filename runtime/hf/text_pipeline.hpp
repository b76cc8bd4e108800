#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/text/pre_tokenizer.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace kvasir {

/// What a tokenizer.json does to a text before its model merges: normalizer, pre_tokenizer and the decoder
/// that undoes them, in the terms of the two codecs. Source: huggingface/tokenizers, its components of these
/// names.
struct TextPipeline {
    bool byte_level = false;    ///< else SentencePiece-style, spaces written as U+2581
    bool nfc = false;           ///< normalizer NFC
    bool marks_spaces = false;  ///< spaces become U+2581
    bool prepends = false;      ///< the normalizer puts U+2581 before a text
    bool space_before = false;  ///< a text gets a space before it
    bool at_start_only = false; ///< not those after special tokens
    bool one_space = false;     ///< not those that begin with one
    bool space_begins_word = false;
    std::vector<SplitStep> steps;
    std::vector<std::string> behaviors; ///< of steps, as the file names them

    /// Adds its keys, tokenizer.json.* and tokenizer.ggml.add_space_prefix.
    void put(Metadata& metadata) const;
};

/// Throws Error, naming it, for a component or a setting that is not run here.
TextPipeline read_text_pipeline(const nlohmann::json& file, const std::string& path);

} // namespace kvasir
