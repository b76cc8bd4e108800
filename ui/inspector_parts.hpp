#pragma once

#include "ui/panels.hpp"

namespace kvasir::ui {

/// A token's text as it stands among others: line ends and tabs written out; its number where it has no text.
std::string visible_label(const std::string& label, int32_t id);

/// Whether a token begins a line, where it and what it begins do not fit on the one of `before`.
bool begins_word(const std::string& before, const std::string& token);

/// The sequence as flowing tokens, those in view drawn; a click asks for ShowToken. Gives the position under
/// the mouse.
std::optional<uint32_t> draw_tokens(InspectorPanel& state, const Snapshot& snapshot, Requests& requests);

} // namespace kvasir::ui
