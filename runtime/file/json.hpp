#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace kvasir {

/// Arrays and objects may stand this deep in one another; no model's file needs more than a tenth of it.
constexpr int json_max_depth = 100;

/// The value that a JSON text holds; path is for messages. Throws Error, with line and column, where the text
/// is not JSON (RFC 8259, with valid UTF-8), is nested deeper than json_max_depth, has a key twice in one
/// object, or a number beyond double's range.
nlohmann::json parse_json(std::string_view text, const std::string& path);

/// As parse_json, of a file.
nlohmann::json read_json(const std::string& path);

} // namespace kvasir
