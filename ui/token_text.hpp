#pragma once

#include <string>
#include <string_view>

namespace kvasir::ui {

/// A token's text as one line that shows its blanks: a space at its ends as a middle dot, line ends and tabs
/// as \n and \t, other control characters as U+FFFD; nothing at all as an empty pair of quotes.
std::string token_text(std::string_view label);

} // namespace kvasir::ui
