#pragma once

#include "runtime/file/model_file.hpp"
#include "runtime/hf/config.hpp"

#include <string>

// Family::more of those that have settings of their own: what config.json says, as GGUF's keys under the
// family's prefix. Each throws Error, naming it, for a setting that is not run.

namespace kvasir::settings {

void put_experts(const Config& config, Metadata& metadata, const std::string& prefix);
void qwen_moe(const Config& config, Metadata& metadata, const std::string& prefix);
void deepseek2(const Config& config, Metadata& metadata, const std::string& prefix);
void gemma2(const Config& config, Metadata& metadata, const std::string& prefix);
void falcon(const Config& config, Metadata& metadata, const std::string& prefix);
void bigcode(const Config& config, Metadata& metadata, const std::string& prefix);
void mpt(const Config& config, Metadata& metadata, const std::string& prefix);
void refact(const Config& config, Metadata& metadata, const std::string& prefix);
void minimind(const Config& config, Metadata& metadata, const std::string& prefix);

} // namespace kvasir::settings
