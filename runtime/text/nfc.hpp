#pragma once

#include <string>
#include <string_view>

namespace kvasir {

/// A text in Unicode's Normalization Form C; bytes that are not UTF-8 stay as they are. Source: Unicode
/// Standard Annex 15.
std::string to_nfc(std::string_view text);

} // namespace kvasir
