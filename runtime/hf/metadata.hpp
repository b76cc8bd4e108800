#pragma once

#include "runtime/hf/families.hpp"

#include <filesystem>

namespace kvasir {

/// A config.json in GGUF's keys; two more say what GGUF leaves to the family, "<architecture>.activation" and
/// "<architecture>.rope.layout". n_heads and the like then stand there as read_spec() finds them. Throws
/// Error, naming the setting, for one that is not run.
void read_config(const Config& config, const Family& family, ModelFile& file);

/// The vocabulary of a folder: tokenizer.json, tokenizer_config.json, special_tokens_map.json,
/// generation_config.json, chat_template.jinja, whichever are there. Without a tokenizer.json the model runs
/// on ids. After read_config.
void read_vocabulary(const Config& config, const std::filesystem::path& folder, Metadata& metadata);

} // namespace kvasir
