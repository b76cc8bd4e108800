#pragma once

namespace kvasir::ui {

enum class Language { english, chinese };

void set_language(Language language);
Language language();

/// A text of the interface in the language in use; the English one is the key. ImGui labels keep what follows
/// "##". Every literal that is passed here has a line in words.cpp, which a test checks.
const char* tr(const char* english);

} // namespace kvasir::ui
